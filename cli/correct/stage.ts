/// <reference lib="dom" />
/**
 * The picture with its landmarks: drawing, zoom and pan.
 *
 * @module
 */
import type { Box, PageSchema, Point } from "./api.ts";
import { boxOf } from "./shapes.ts";
import { BoxLayer, type StageBox } from "./stage_boxes.ts";
import { type StageEvents, StagePointer } from "./stage_pointer.ts";

const SVG = "http://www.w3.org/2000/svg";

/** Radius of landmarks, CSS pixels, and enlargement by the magnifier. */
const RADIUS = 3.5, LOUPE_ZOOM = 4;
/** Pixels of the screen a pixel of the picture may take. */
const LEAST_SCALE = 0.02, MOST_SCALE = 80;

/** Makes an element of SVG. */
export function svg<K extends keyof SVGElementTagNameMap>(
  name: K,
  attributes: Readonly<Record<string, string | number>> = {},
): SVGElementTagNameMap[K] {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

/** Name of a landmark for people. */
export function nameOf({ names, contours }: PageSchema, p: number): string {
  const contour = contours.find(({ points }) => points.includes(p));
  return `${p} ${(names[p] ?? contour?.name ?? "").replaceAll("_", " ")}`.trim();
}

/**
 * Lines beside those of the landmarks: before any correction, by the detector of a review, by the two that are compared. Those of
 * the last two have dots.
 */
const BESIDE = ["before", "found", "a", "b"] as const, DOTTED: readonly BesideName[] = ["a", "b"];
/** One of them. */
export type BesideName = (typeof BESIDE)[number];

/** State of the landmarks as it is drawn. */
export interface Shown {
  readonly points: readonly Point[];
  readonly occluded: readonly number[];
  readonly pinned: readonly number[];
  /** Landmark with the focus. */
  readonly selected: number | null;
  /** Landmarks that a drag would move, with handles around them; null for none. */
  readonly boxed: readonly number[] | null;
  /** Uncertainty of each landmark, pixels, drawn as circles; null for none. */
  readonly uncertainty: readonly number[] | null;
  /** Landmarks that are drawn as thin lines beside; null for none. */
  readonly beside: Readonly<Record<BesideName, readonly Point[] | null>>;
  /** False to show the picture alone. */
  readonly visible: boolean;
  /** Boxes of the faces of the picture. */
  readonly boxes: readonly StageBox[];
  /** True if the pointer is for the boxes. */
  readonly boxing: boolean;
}

/** See the module. */
export class Stage {
  readonly #svg: SVGSVGElement;
  readonly #loupe: SVGSVGElement;
  readonly #schema: PageSchema;
  readonly #events: StageEvents;
  readonly #layers = {
    image: svg("image", { x: -0.5, y: -0.5, preserveAspectRatio: "none" }),
    beside: svg("g"),
    uncertainty: svg("g", { class: "uncertainty" }),
    lines: svg("g", { class: "lines" }),
    points: svg("g", { class: "points", role: "group", "aria-label": "Landmarks" }),
    handles: svg("g", { class: "handles" }),
  };
  readonly #boxes = new BoxLayer((index) => this.#events.press(index));
  readonly #loupeImage = svg("image", { x: -0.5, y: -0.5, preserveAspectRatio: "none" });
  readonly #loupeLines = svg("path", { class: "loupe-line" });
  readonly #loupePoint = svg("circle", { class: "loupe-point", r: 4 });
  readonly #beside = new Map(BESIDE.map((name) => [name, svg("path", { class: `beside ${name}` })]));
  readonly #dots = new Map(DOTTED.map((name) => [name, svg("path", { class: `beside dots ${name}` })]));
  #lines: SVGPathElement[][] = [];
  #points: SVGGElement[] = [];
  #size = { width: 1, height: 1 };
  #view = { x: 0, y: 0, scale: 1 };
  #shown: Shown | undefined;
  /** The space bar is held: the pointer pans. */
  panning = false;

  /** Takes the elements of the page. */
  constructor(stage: SVGSVGElement, loupe: SVGSVGElement, schema: PageSchema, events: StageEvents) {
    [this.#svg, this.#loupe, this.#schema, this.#events] = [stage, loupe, schema, events];
    this.#svg.append(...Object.values(this.#layers), this.#boxes.element);
    this.#loupe.append(this.#loupeImage, this.#loupeLines, this.#loupePoint);
    this.#build();
    new StagePointer(this, stage, events);
    new ResizeObserver(() => this.#apply()).observe(stage);
  }

  #build(): void {
    const rgb = (colour: readonly number[]) => `rgb(${colour.join(" ")})`;
    this.#lines = this.#schema.contours.map(({ colour }) => {
      const dark = svg("path", { class: "line dark" }), bright = svg("path", { class: "line", stroke: rgb(colour) });
      return [dark, bright];
    });
    this.#layers.lines.append(...this.#lines.map(([dark]) => dark!), ...this.#lines.map(([, bright]) => bright!));
    this.#layers.beside.append(...this.#beside.values(), ...this.#dots.values());
    this.#points = Array.from({ length: this.#schema.count }, (_, p) => {
      const group = svg("g", { class: "point", role: "button", tabindex: -1, "data-point": p });
      group.append(svg("circle", { class: "ring", r: 2.2 * RADIUS }), svg("circle", { class: "dot", r: RADIUS }));
      return group;
    });
    this.#layers.points.append(...this.#points);
  }

  /** Width and height of the stage, CSS pixels. */
  #extent(): { width: number; height: number } {
    const { width, height } = this.#svg.getBoundingClientRect();
    return { width: Math.max(1, width), height: Math.max(1, height) };
  }

  /** Size of the page's letters, which follows the screen, CSS pixels. */
  #letter(): number {
    return parseFloat(getComputedStyle(document.documentElement).fontSize);
  }

  /** Shows a picture. */
  open(url: string, width: number, height: number): void {
    this.#size = { width, height };
    for (const image of [this.#layers.image, this.#loupeImage]) {
      image.setAttribute("href", url);
      image.setAttribute("width", String(width));
      image.setAttribute("height", String(height));
    }
  }

  /** Draws the landmarks. */
  show(shown: Shown): void {
    this.#shown = shown;
    const { points, occluded, pinned, selected, visible, beside, uncertainty } = shown;
    this.#svg.classList.toggle("bare", !visible);
    this.#svg.classList.toggle("boxing", shown.boxing);
    this.#svg.classList.toggle("away", shown.boxes.some(({ open, verdict }) => open && verdict === "rejected"));
    this.#schema.contours.forEach(({ points: contour, closed }, k) => {
      for (const line of this.#lines[k]!) line.setAttribute("d", pathOf(points, contour, closed));
    });
    this.#points.forEach((group, p) => {
      const [x, y] = points[p]!;
      group.classList.toggle("occluded", occluded.includes(p));
      group.classList.toggle("pinned", pinned.includes(p));
      group.classList.toggle("selected", p === selected);
      group.setAttribute("tabindex", p === (selected ?? 0) ? "0" : "-1");
      const facts = [pinned.includes(p) && "placed by hand", occluded.includes(p) && "hidden in the picture"];
      group.setAttribute(
        "aria-label",
        [nameOf(this.#schema, p), `x ${x.toFixed(1)} y ${y.toFixed(1)}`, ...facts.filter(Boolean)].join(", "),
      );
    });
    for (const [name, layer] of this.#beside) {
      const other = beside[name];
      const paths = this.#schema.contours.map((one) => other ? pathOf(other, one.points, one.closed) : "");
      layer.setAttribute("d", paths.join(""));
      // A line without length is a dot of the stroke's width.
      this.#dots.get(name)?.setAttribute("d", other?.map((place) => `M${place.join(" ")}h0`).join("") ?? "");
    }
    this.#layers.uncertainty.replaceChildren(
      ...uncertainty?.map((r, p) => {
        const [cx, cy] = points[p]!;
        return svg("circle", { cx, cy, r });
      }) ?? [],
    );
    this.#apply();
  }

  /** Moves the focus of the keyboard to a landmark. */
  focus(p: number): void {
    this.#points[p]!.focus({ preventScroll: true });
  }

  /** Shows a face in its surroundings. */
  frame(points: readonly Point[], share = 0.66): void {
    const { x, y, w, h } = boxOf(points, [...points.keys()]), { width, height } = this.#extent();
    const scale = clamp(share * Math.min(width / Math.max(w, 1), height / Math.max(h, 1)), LEAST_SCALE, MOST_SCALE);
    this.#view = { scale, x: x + w / 2 - width / scale / 2, y: y + h / 2 - height / scale / 2 };
    this.#apply();
  }

  /** Shows the whole picture. */
  frameAll(): void {
    const { width, height } = this.#extent(), scale = Math.min(width / this.#size.width, height / this.#size.height);
    this.#view = {
      scale,
      x: this.#size.width / 2 - width / scale / 2,
      y: this.#size.height / 2 - height / scale / 2,
    };
    this.#apply();
  }

  /** Zooms about a place of the stage, CSS pixels; by default about its middle. */
  zoom(factor: number, at?: Point): void {
    const { width, height } = this.#extent(), [sx, sy] = at ?? [width / 2, height / 2];
    const { x, y, scale } = this.#view, next = clamp(scale * factor, LEAST_SCALE, MOST_SCALE);
    this.#view = { scale: next, x: x + sx / scale - sx / next, y: y + sy / scale - sy / next };
    this.#apply();
  }

  /** Pixels of the screen for each of the picture. */
  get scale(): number {
    return this.#view.scale;
  }

  /** The face as it is drawn; undefined before the first one. */
  get shown(): Shown | undefined {
    return this.#shown;
  }

  /** Place on the picture of a place of the stage, CSS pixels. */
  picturePlace([sx, sy]: Point): Point {
    const { x, y, scale } = this.#view;
    return [x + sx / scale, y + sy / scale];
  }

  /** Place of a point of the picture on the page, CSS pixels. */
  screenOf([px, py]: Point): Point {
    const { left, top } = this.#svg.getBoundingClientRect(), { x, y, scale } = this.#view;
    return [left + (px - x) * scale, top + (py - y) * scale];
  }

  /** Draws all that depends on the zoom. */
  #apply(): void {
    const { x, y, scale } = this.#view, { width, height } = this.#extent();
    this.#svg.setAttribute("viewBox", `${x} ${y} ${width / scale} ${height / scale}`);
    this.#svg.classList.toggle("pixels", scale >= 6);
    const shown = this.#shown;
    if (!shown) return;
    // Small faces on the screen have small points, and large screens large ones.
    const { w, h } = boxOf(shown.points, [...shown.points.keys()]), most = this.#letter() / 14;
    const size = clamp(Math.sqrt(w * h) * scale / 240, 0.45, most) / scale;
    this.#points.forEach((group, p) => {
      const [px, py] = shown.points[p]!;
      group.setAttribute("transform", `translate(${px} ${py}) scale(${size})`);
    });
    this.#drawHandles(shown);
    this.#boxes.draw(shown.boxes, shown.boxing, this.#letter() / 14 / scale);
  }

  /** Shows the box that is being drawn; null for none. */
  draft(box: Box | null): void {
    this.#boxes.draft = box;
    this.#apply();
  }

  /** The part of the picture that is seen. */
  seen(): Box {
    const { x, y, scale } = this.#view, { width, height } = this.#extent();
    return [x, y, width / scale, height / scale];
  }

  #drawHandles({ boxed, points }: Shown): void {
    if (!boxed) return this.#layers.handles.replaceChildren();
    const unit = this.#letter() / 14 / this.#view.scale, { x, y, w, h } = boxOf(points, boxed), pad = 14 * unit;
    const [left, top, right, bottom] = [x - pad, y - pad, x + w + pad, y + h + pad];
    const turn = { cx: (left + right) / 2, cy: top - 26 * unit };
    this.#layers.handles.replaceChildren(
      svg("rect", { x: left, y: top, width: right - left, height: bottom - top, "data-grip": "move" }),
      svg("line", { x1: turn.cx, y1: top, x2: turn.cx, y2: turn.cy }),
      svg("circle", { ...turn, r: 9 * unit, "data-grip": "turn" }),
      svg("rect", {
        class: "corner",
        x: right - 8 * unit,
        y: bottom - 8 * unit,
        width: 16 * unit,
        height: 16 * unit,
        rx: 3 * unit,
        "data-grip": "scale",
      }),
    );
  }

  /** Shows what is around a landmark, enlarged; null to hide it. */
  magnify(p: number | null): void {
    const shown = this.#shown;
    this.#loupe.classList.toggle("hidden", p === null || !shown);
    if (p === null || !shown) return;
    const [x, y] = shown.points[p]!, { width } = this.#loupe.getBoundingClientRect();
    const scale = Math.max(LOUPE_ZOOM, LOUPE_ZOOM * Math.min(this.#view.scale, 4) / 2),
      side = Math.max(width, 1) / scale;
    this.#loupe.setAttribute("viewBox", `${x - side / 2} ${y - side / 2} ${side} ${side}`);
    const path = this.#schema.contours.map(({ points, closed }) => pathOf(shown.points, points, closed)).join("");
    this.#loupeLines.setAttribute("d", path);
    this.#loupePoint.setAttribute("transform", `translate(${x} ${y}) scale(${1 / scale})`);
    // Out of the pointer's way.
    const [sx, sy] = this.screenOf([x, y]), stage = this.#svg.getBoundingClientRect();
    this.#loupe.classList.toggle("right", sx - stage.left < stage.width / 2 && sy - stage.top < stage.height / 2);
  }

  /** Moves the view, CSS pixels. */
  pan(dx: number, dy: number): void {
    const { x, y, scale } = this.#view;
    this.#view = { scale, x: x - dx / scale, y: y - dy / scale };
    this.#apply();
  }
}

function pathOf(points: readonly Point[], contour: readonly number[], closed: boolean): string {
  return `M${contour.map((p) => points[p]!.join(" ")).join("L")}${closed ? "Z" : ""}`;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
