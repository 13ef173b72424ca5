/// <reference lib="dom" />
/**
 * Boxes of the faces of a picture, as the stage draws them.
 *
 * @module
 */
import type { Box, FaceState, Point } from "./api.ts";
import { svg } from "./stage.ts";

/** Box of a face of the picture. */
export interface StageBox {
  /** Its face. */
  readonly index: number;
  readonly box: Box;
  /** Text on it. */
  readonly label: string;
  /** Name for those who do not see it. */
  readonly name: string;
  readonly verdict: FaceState["verdict"];
  /** True for that of the open face. */
  readonly open: boolean;
}

/** Corners of a box: left or right, top or bottom. */
export const CORNERS: readonly Point[] = [[0, 0], [1, 0], [0, 1], [1, 1]];

/** Place of a corner of a box. */
export function cornerOf([x, y, width, height]: Box, [right, down]: Point): Point {
  return [x + right * width, y + down * height];
}

/** Side of the grips at the corners, pixels of the screen. */
const GRIP = 11;

/** See the module. */
export class BoxLayer {
  /** The element of the layer. */
  readonly element = svg("g", { class: "boxes", role: "group", "aria-label": "Faces of the picture" });
  /** The box that is being drawn; null for none. */
  draft: Box | null = null;
  readonly #groups = new Map<number, SVGGElement>();
  readonly #press: (index: number) => void;
  readonly #grips = svg("g", { class: "grips" });

  /** Takes what is called with the face whose box is opened by the keyboard. */
  constructor(press: (index: number) => void) {
    this.#press = press;
    this.element.append(this.#grips);
  }

  /**
   * Draws the boxes.
   *
   * @param boxes Those of all faces.
   * @param boxing True if the pointer is for them; else those of other faces than the open one are drawn.
   * @param unit Pixels of the picture for each of the screen.
   */
  draw(boxes: readonly StageBox[], boxing: boolean, unit: number): void {
    // One face fills the stage while its landmarks are moved: its box would say nothing.
    const drawn = boxing ? boxes : boxes.filter(({ open }) => !open);
    for (const [index, group] of this.#groups) {
      if (drawn.some((one) => one.index === index)) continue;
      group.remove();
      this.#groups.delete(index);
    }
    for (const { index, box: [x, y, width, height], label, name, verdict, open } of drawn) {
      const group = this.#groups.get(index) ?? this.#add(index);
      group.setAttribute("class", `box ${verdict ?? ""} ${open ? "open" : ""}`);
      group.setAttribute("aria-label", open ? `${name}, open` : name);
      const [rect, text] = [group.querySelector("rect")!, group.querySelector("text")!];
      for (const [key, value] of Object.entries({ x, y, width, height })) rect.setAttribute(key, String(value));
      text.textContent = boxing ? label : "";
      // Beside the grip at the corner.
      const left = open ? x + GRIP * unit : x;
      text.setAttribute("transform", `translate(${left} ${y - 4 * unit}) scale(${unit})`);
    }
    const own = boxing ? drawn.find(({ open, verdict }) => open && verdict !== "rejected")?.box : undefined;
    const side = GRIP * unit, square = { width: side, height: side, rx: 2 * unit };
    const corners = own ? CORNERS.map((corner) => cornerOf(own, corner)) : [];
    const grips = corners.map(([x, y], k) =>
      svg("rect", { class: k % 3 ? "rising" : "", x: x - side / 2, y: y - side / 2, ...square })
    );
    if (this.draft) {
      const [x, y, width, height] = this.draft;
      grips.push(svg("rect", { class: "draft", x, y, width, height }));
    }
    this.#grips.replaceChildren(...grips);
  }

  #add(index: number): SVGGElement {
    const group = svg("g", { role: "button", tabindex: 0 });
    group.append(svg("rect"), svg("text"));
    group.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.stopPropagation();
      this.#press(index);
    });
    this.#groups.set(index, group);
    this.#grips.before(group);
    return group;
  }
}
