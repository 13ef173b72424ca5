/**
 * Moves of many landmarks at once: along a contour, of a feature, from the other side.
 *
 * @module
 */
import type { Box, Point } from "./api.ts";

/**
 * Moves a landmark, and those beside it on a contour the less the farther they are along it.
 *
 * @param points `[P][2]`.
 * @param contour Landmarks of the contour in order.
 * @param closed True if the last one is joined to the first.
 * @param held The landmark that is held.
 * @param by Its move, pixels.
 * @param reach Length along the contour at which the move is 0, as a share of the contour's length.
 * @returns New landmarks. Weight: `(1 + cos(pi d / reach)) / 2` at the distance d.
 */
export function dragContour(
  points: readonly Point[],
  contour: readonly number[],
  closed: boolean,
  held: number,
  [dx, dy]: Point,
  reach: number,
): Point[] {
  const at = [0];
  for (let k = 1; k <= contour.length; k++) {
    const [ax, ay] = points[contour[k - 1]!]!, [bx, by] = points[contour[k % contour.length]!]!;
    at.push(at[k - 1]! + Math.hypot(bx - ax, by - ay));
  }
  const whole = (closed ? at[contour.length] : at[contour.length - 1])!, start = at[contour.indexOf(held)]!;
  const result = [...points];
  for (const [k, p] of contour.entries()) {
    const straight = Math.abs(at[k]! - start), distance = closed ? Math.min(straight, whole - straight) : straight;
    const share = whole > 0 ? distance / (reach * whole) : p === held ? 0 : 1;
    const weight = share >= 1 ? 0 : (1 + Math.cos(Math.PI * share)) / 2;
    const [x, y] = points[p]!;
    result[p] = [x + weight * dx, y + weight * dy];
  }
  return result;
}

/** A move of landmarks as one: about a centre, turned (radians, clockwise), scaled, shifted (pixels). */
export interface Move {
  /** The point that stays but for the shift. */
  readonly centre: Point;
  /** 0 keeps upright. */
  readonly angle: number;
  /** 1 keeps the size. */
  readonly scale: number;
  /** Shift. */
  readonly by: Point;
}

/** Moves some landmarks as one. */
export function movePoints(
  points: readonly Point[],
  moved: readonly number[],
  { centre: [cx, cy], angle, scale, by: [dx, dy] }: Move,
): Point[] {
  const cos = scale * Math.cos(angle), sin = scale * Math.sin(angle), result = [...points];
  for (const p of moved) {
    const x = points[p]![0] - cx, y = points[p]![1] - cy;
    result[p] = [cx + cos * x - sin * y + dx, cy + sin * x + cos * y + dy];
  }
  return result;
}

/** Landmarks stretched from their own box to another one: left, top, width, height. */
export function stretch(points: readonly Point[], [left, top, wide, high]: Box): Point[] {
  const { x, y, w, h } = boxOf(points, [...points.keys()]);
  return points.map(([px, py]) => [left + (w > 0 ? wide * (px - x) / w : 0), top + (h > 0 ? high * (py - y) / h : 0)]);
}

/** Tight box of some landmarks. */
export function boxOf(
  points: readonly Point[],
  some: readonly number[],
): { x: number; y: number; w: number; h: number } {
  const xs = some.map((p) => points[p]![0]), ys = some.map((p) => points[p]![1]);
  const x = Math.min(...xs), y = Math.min(...ys);
  return { x, y, w: Math.max(...xs) - x, h: Math.max(...ys) - y };
}

/**
 * Puts landmarks at the mirror images of those on the other side. The axis is the line that halves the pairs of landmarks
 * left and right best, those to place aside: through the mean of their middles, across the mean of the lines between them.
 *
 * @param points `[P][2]`.
 * @param mirror The landmark on the other side of each.
 * @param some Landmarks to place; those on the middle line stay.
 * @returns New landmarks.
 */
export function mirrorFrom(points: readonly Point[], mirror: readonly number[], some: readonly number[]): Point[] {
  let [cx, cy, ux, uy, pairs] = [0, 0, 0, 0, 0];
  const placed = new Set(some);
  mirror.forEach((q, p) => {
    // The pairs that are placed are those that are wrong.
    if (p >= q || placed.has(p) || placed.has(q)) return;
    const [ax, ay] = points[p]!, [bx, by] = points[q]!;
    cx += (ax + bx) / 2;
    cy += (ay + by) / 2;
    ux += bx - ax;
    uy += by - ay;
    pairs++;
  });
  const length = Math.hypot(ux, uy), result = [...points];
  if (!pairs || !length) return result;
  [cx, cy, ux, uy] = [cx / pairs, cy / pairs, ux / length, uy / length];
  for (const p of some) {
    const q = mirror[p]!;
    if (q === p) continue;
    const [x, y] = points[q]!, along = (x - cx) * ux + (y - cy) * uy;
    result[p] = [x - 2 * along * ux, y - 2 * along * uy];
  }
  return result;
}
