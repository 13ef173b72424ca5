/// <reference lib="dom" />
/**
 * Moves of landmarks by a drag of the pointer and by the arrow keys.
 *
 * @module
 */
import { refit } from "../../faces/refit.ts";
import type { Point } from "./api.ts";
import { addBox, boxBetween, resized } from "./boxes.ts";
import { boxed, editor, featureOf } from "./editor.ts";
import { checked, element } from "./elements.ts";
import { show } from "./faces.ts";
import { commit, commitLater, flushKeys } from "./history.ts";
import { select } from "./selection.ts";
import { boxOf, dragContour, movePoints } from "./shapes.ts";
import type { Grip } from "./stage_pointer.ts";
import { draw, render } from "./view.ts";

/** Ways in which a drag moves landmarks. */
export const MODES = {
  refit: ["Rest follows", "1", "a landmark; those that were not placed by hand follow it"],
  point: ["Point", "2", "one landmark alone"],
  contour: ["Contour", "3", "a landmark, and those beside it on its contour the less the farther they are"],
  feature: ["Feature", "4", "an eye, a brow, the nose, the mouth or the jaw: move, turn, scale"],
  face: ["Face", "5", "all landmarks: move, turn, scale"],
  boxes: ["Boxes", "6", "all faces of the picture: move, resize; a drag beside them adds one"],
} as const;
/** One of them. */
export type Mode = keyof typeof MODES;

/** The ways that the page has. */
export const modes = () =>
  (Object.entries(MODES) as [Mode, readonly [string, string, string]][]).filter(([name]) =>
    name !== "boxes" || editor.folder.adds
  );

/** Pixels of the screen below which a press is no drag. */
const STILL_PX = 2;

/** A drag on its way. */
export interface Drag {
  readonly grip: Grip;
  readonly start: Point;
  readonly points: readonly Point[];
  readonly held: number | null;
  /** Current place of the pointer. */
  at: Point;
  moved: boolean;
}

/** Landmarks after a drag. */
function dragged({ grip, start, points, held, at }: Drag): Point[] {
  const by: Point = [at[0] - start[0], at[1] - start[1]];
  if (grip.kind === "corner") return resized(points, grip.corner, by);
  if (grip.kind === "point" && held !== null) {
    const place: Point = [points[held]![0] + by[0], points[held]![1] + by[1]];
    return moved(points, held, place, by);
  }
  const some = editor.mode === "boxes" ? [...points.keys()] : boxed() ?? [], { x, y, w, h } = boxOf(points, some);
  const centre: Point = [x + w / 2, y + h / 2], still = { centre, angle: 0, scale: 1, by: [0, 0] as Point };
  const arm = (place: Point): Point => [place[0] - centre[0], place[1] - centre[1]];
  const [a, b] = [arm(start), arm(at)];
  if (grip.kind === "turn") {
    return movePoints(points, some, { ...still, angle: Math.atan2(b[1], b[0]) - Math.atan2(a[1], a[0]) });
  }
  if (grip.kind === "scale") {
    const scale = Math.max(0.05, Math.hypot(...b) / Math.max(1e-6, Math.hypot(...a)));
    return movePoints(points, some, { ...still, scale });
  }
  return movePoints(points, some, { ...still, by });
}

/** Landmarks after one of them was moved, by the mode. */
function moved(points: readonly Point[], held: number, place: Point, by: Point): Point[] {
  switch (editor.mode) {
    case "refit": {
      const placed = new Map((editor.open?.state.pinned ?? []).map((p) => [p, points[p]!]));
      return pairs(refit(points.flat(), placed.set(held, place), editor.folder.schema, editor.folder.errors));
    }
    case "contour": {
      const contour = editor.folder.schema.contours.find((one) => one.points.includes(held));
      const reach = Number(element<HTMLInputElement>("reach").value) / 100;
      if (contour) return dragContour(points, contour.points, contour.closed, held, by, reach);
      return points.with(held, place);
    }
    case "point":
      return points.with(held, place);
    case "feature":
      return movePoints(points, featureOf(held).points, { centre: [0, 0], angle: 0, scale: 1, by });
    case "face":
    case "boxes":
      return movePoints(points, [...points.keys()], { centre: [0, 0], angle: 0, scale: 1, by });
  }
}

/** Pairs of a list of coordinates. */
export const pairs = (flat: ArrayLike<number>) =>
  Array.from({ length: flat.length / 2 }, (_, p): Point => [flat[2 * p]!, flat[2 * p + 1]!]);

/** Landmarks that are placed by hand after one of them was moved. */
function pinnedWith(p: number): readonly number[] {
  const pinned = editor.open?.state.pinned ?? [];
  return editor.mode === "feature" || editor.mode === "face" || editor.mode === "boxes" || pinned.includes(p)
    ? pinned
    : [...pinned, p];
}

/** Takes hold of something; false if there is nothing to hold. */
export function grab(grip: Grip, at: Point): boolean {
  const isBox = grip.kind === "new" || grip.kind === "other";
  if (!editor.open || !editor.visible && !isBox) return false;
  flushKeys();
  const held = grip.kind === "point" ? grip.point : null;
  if (held !== null) select(held);
  editor.drag = { grip, start: at, at, points: editor.open.state.landmarks, held, moved: false };
  editor.stage.magnify(held);
  return true;
}

/** Moves what is held. */
export function dragTo(at: Point): void {
  const { drag, open, stage } = editor;
  if (!drag || !open) return;
  const far = Math.hypot(at[0] - drag.start[0], at[1] - drag.start[1]) * stage.scale;
  if (!drag.moved && far < STILL_PX) return;
  [drag.moved, drag.at] = [true, at];
  if (drag.grip.kind === "other") return;
  if (drag.grip.kind === "new") return stage.draft(boxBetween(drag.start, at));
  draw(dragged(drag));
  stage.magnify(drag.held);
}

/** Lets it go. */
export function drop(cancelled: boolean): void {
  const done = editor.drag;
  editor.drag = undefined;
  editor.stage.magnify(checked("show-loupe") ? editor.selected : null);
  editor.stage.draft(null);
  if (!done || !editor.open) return;
  if (done.grip.kind === "new" || done.grip.kind === "other") {
    const { kind, index } = done.grip;
    if (cancelled) return;
    if (done.moved) return void (kind === "new" && addBox(boxBetween(done.start, done.at)));
    return void (index !== undefined && index !== editor.open.index && show(index));
  }
  if (!done.moved || cancelled) return render();
  commit({
    landmarks: dragged(done),
    ...(done.held !== null && { pinned: pinnedWith(done.held) }),
  });
}

/** Moves of a landmark by keys that are one change, as a drag is. */
interface Nudges {
  readonly held: number;
  readonly mode: Mode;
  /** Landmarks before the first of them. */
  readonly points: readonly Point[];
  readonly by: Point;
  /** Landmarks after the last of them. */
  readonly moved: readonly Point[];
}

let nudges: Nudges | undefined;

/** Moves the selected landmark by keys. */
export function nudge(dx: number, dy: number): void {
  const { open, selected, mode, keyed } = editor;
  if (!open || selected === null) return;
  const { landmarks } = open.state;
  const goesOn = keyed && nudges?.moved === landmarks && nudges.held === selected && nudges.mode === mode;
  const { points, by: [x, y] } = goesOn ? nudges! : { points: landmarks, by: [0, 0] };
  const by: Point = [x + dx, y + dy], [left, top] = points[selected]!;
  const after = moved(points, selected, [left + by[0], top + by[1]], by);
  nudges = { held: selected, mode, points, by, moved: after };
  commitLater({ landmarks: after, pinned: pinnedWith(selected) });
}
