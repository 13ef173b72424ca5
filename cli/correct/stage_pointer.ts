/// <reference lib="dom" />
/**
 * The pointer on the picture: what it is over and takes hold of, and fingers and the wheel that move the view.
 *
 * @module
 */
import type { Point } from "./api.ts";
import type { Stage } from "./stage.ts";
import { cornerOf, CORNERS, type StageBox } from "./stage_boxes.ts";

/** Reach of the pointer by its kind, and its way up to which it pressed and did not drag, CSS pixels. */
const REACH = { mouse: 14, pen: 18, touch: 28 }, PRESS_PX = 3;

/** Part of the drawing that the pointer holds. */
export type Grip =
  | { readonly kind: "point"; readonly point: number }
  | { readonly kind: "move" | "turn" | "scale" }
  /** No box, or one that was taken away, which a press opens. */
  | { readonly kind: "new"; readonly index: number | undefined }
  /** Corner of the open face's box: 0 for left or top, 1 for right or bottom. */
  | { readonly kind: "corner"; readonly corner: Point }
  /** Box of another face. */
  | { readonly kind: "other"; readonly index: number };

/** Receives what the pointer does. */
export interface StageEvents {
  /** The pointer took hold of something; false to pan instead. */
  grab(grip: Grip, at: Point): boolean;
  /** It moved with what it holds, pixels of the picture. */
  drag(at: Point): void;
  /** It let go; `cancelled` if the drag does not count, as when a second finger came. */
  drop(cancelled: boolean): void;
  /** It is over a landmark, or over none. */
  hover(point: number | null): void;
  /** It pressed the box of another face. */
  press(index: number): void;
}

/** See the module. */
export class StagePointer {
  readonly #stage: Stage;
  readonly #svg: SVGSVGElement;
  readonly #events: StageEvents;
  /** Pointers on the stage, by their ids, CSS pixels. */
  readonly #pointers = new Map<number, Point>();
  /** Way of the pointer since it was pressed, CSS pixels. */
  #way = 0;
  #mode: "idle" | "drag" | "pan" | "pinch" = "idle";

  /** Takes the stage, its element, and the receiver of the pointer's events. */
  constructor(stage: Stage, element: SVGSVGElement, events: StageEvents) {
    [this.#stage, this.#svg, this.#events] = [stage, element, events];
    this.#listen();
  }

  #place({ clientX, clientY }: { clientX: number; clientY: number }): Point {
    const { left, top } = this.#svg.getBoundingClientRect();
    return [clientX - left, clientY - top];
  }

  /** The landmark nearest to a place of the stage, within reach of the pointer. */
  #nearest(at: Point, kind: string): number | null {
    const shown = this.#stage.shown;
    if (!shown?.visible) return null;
    const [x, y] = this.#stage.picturePlace(at),
      reach = (REACH[kind as keyof typeof REACH] ?? REACH.mouse) / this.#stage.scale;
    let [best, least]: [number | null, number] = [null, reach];
    shown.points.forEach(([px, py], p) => {
      // Of two at one place the one that is selected is meant.
      const distance = Math.hypot(px - x, py - y) - (p === shown.selected ? reach / 4 : 0);
      if (distance < least) [best, least] = [p, distance];
    });
    return best;
  }

  #listen(): void {
    const stage = this.#svg;
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"] as const) {
      stage.addEventListener(name, (event) => this.#up(event, name === "pointercancel"));
    }
    stage.addEventListener("pointerleave", () => this.#mode === "idle" && this.#events.hover(null));
    stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      const pixels = event.deltaMode === 1 ? 16 * event.deltaY : event.deltaY;
      this.#stage.zoom(Math.exp(-Math.min(120, Math.max(-120, pixels)) / 300), this.#place(event));
    }, { passive: false });
  }

  #down(event: PointerEvent): void {
    if (event.pointerType === "mouse" && event.button > 1) return;
    event.preventDefault();
    const at = this.#place(event);
    this.#pointers.set(event.pointerId, at);
    this.#svg.setPointerCapture(event.pointerId);
    this.#way = 0;
    if (this.#pointers.size > 1) {
      if (this.#mode === "drag") this.#events.drop(true);
      this.#mode = "pinch";
      return;
    }
    const grip = event.button === 1 || this.#stage.panning ? undefined : this.#gripAt(event, at);
    this.#mode = grip && this.#events.grab(grip, this.#stage.picturePlace(at)) ? "drag" : "pan";
    this.#svg.classList.toggle("dragging", this.#mode === "drag");
  }

  #gripAt(event: PointerEvent, at: Point): Grip | undefined {
    if (this.#stage.shown?.boxing) return this.#boxGripAt(this.#stage.shown.boxes, event, at);
    const kind = (event.target as Element).getAttribute("data-grip");
    if (kind === "turn" || kind === "scale") return { kind };
    const point = this.#nearest(at, event.pointerType), boxed = this.#stage.shown?.boxed;
    // A landmark of another feature is taken from within the box.
    if (kind === "move" && (point === null || boxed?.includes(point))) return { kind: "move" };
    return point === null ? undefined : { kind: "point", point };
  }

  #boxGripAt(boxes: readonly StageBox[], { pointerType }: PointerEvent, at: Point): Grip {
    const there = boxes.filter(({ verdict }) => verdict !== "rejected");
    const [x, y] = this.#stage.picturePlace(at), open = there.find((one) => one.open);
    const reach = (REACH[pointerType as keyof typeof REACH] ?? REACH.mouse) / this.#stage.scale;
    const corner = open && CORNERS.find((corner) => {
      const [cx, cy] = cornerOf(open.box, corner);
      return Math.hypot(cx - x, cy - y) <= reach;
    });
    if (corner) return { kind: "corner", corner };
    const over = this.#boxAt(there, at);
    if (!over) return { kind: "new", index: this.#boxAt(boxes, at)?.index };
    return over.open ? { kind: "move" } : { kind: "other", index: over.index };
  }

  /** The smallest box at a place of the stage. */
  #boxAt(boxes: readonly StageBox[], at: Point): StageBox | undefined {
    const [x, y] = this.#stage.picturePlace(at);
    return boxes.filter(({ box: [left, top, width, height] }) =>
      x >= left && y >= top && x <= left + width && y <= top + height
    ).sort((a, b) => a.box[2] * a.box[3] - b.box[2] * b.box[3])[0];
  }

  #move(event: PointerEvent): void {
    const at = this.#place(event), last = this.#pointers.get(event.pointerId);
    if (!last) return void (this.#mode === "idle" && this.#events.hover(this.#nearest(at, event.pointerType)));
    if (this.#mode === "pinch") {
      const [other] = [...this.#pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      this.#pointers.set(event.pointerId, at);
      if (!other) return;
      const before = Math.hypot(last[0] - other[0], last[1] - other[1]);
      const after = Math.hypot(at[0] - other[0], at[1] - other[1]);
      this.#stage.pan((at[0] - last[0]) / 2, (at[1] - last[1]) / 2);
      if (before > 0) this.#stage.zoom(after / before, [(at[0] + other[0]) / 2, (at[1] + other[1]) / 2]);
      return;
    }
    this.#pointers.set(event.pointerId, at);
    this.#way += Math.hypot(at[0] - last[0], at[1] - last[1]);
    if (this.#mode === "drag") this.#events.drag(this.#stage.picturePlace(at));
    else if (this.#mode === "pan") this.#stage.pan(at[0] - last[0], at[1] - last[1]);
  }

  #up(event: PointerEvent, cancelled: boolean): void {
    if (!this.#pointers.delete(event.pointerId)) return;
    if (this.#mode === "drag") this.#events.drop(cancelled);
    else if (this.#mode === "pan" && !cancelled && this.#way < PRESS_PX && this.#stage.shown) {
      const over = this.#boxAt(this.#stage.shown.boxes, this.#place(event));
      if (over && !over.open) this.#events.press(over.index);
    }
    this.#mode = this.#pointers.size ? "pinch" : "idle";
    this.#svg.classList.remove("dragging");
  }
}
