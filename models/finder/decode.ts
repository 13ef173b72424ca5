/**
 * From the cells of a finder's network to faces of the picture.
 *
 * @module
 */

import type { FacePlace } from "../../faces/place.ts";
import { CELL_PX, CELL_VALUES, REFERENCE_PX } from "./network.ts";

/** A face with the network's logit. */
export interface FaceCandidate extends FacePlace {
  /** Above 0 if the network holds it for a face. */
  readonly logit: number;
}

/** A face that a network found. */
export interface NetworkFace extends FaceCandidate {
  /** Length of the network's mean of (cos, sin) of the angle: about 1 where it is sure, 0 where any angle is as likely. */
  readonly angle_sure: number;
}

/**
 * Reads the faces out of the cells of one picture: those whose logit no neighbour exceeds.
 *
 * @param cells `[h, w, 6]`, see `finderNetwork()`.
 * @param width w.
 * @param least Smallest logit.
 * @returns In pixels of the network's picture, unordered.
 */
export function readCells(cells: Float32Array, width: number, least: number): NetworkFace[] {
  const height = cells.length / CELL_VALUES / width;
  const found: NetworkFace[] = [];
  const logitAt = (row: number, column: number) =>
    row < 0 || column < 0 || row >= height || column >= width
      ? -Infinity
      : cells[(row * width + column) * CELL_VALUES] ?? -Infinity;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const logit = logitAt(row, column);
      if (!(logit >= least) || !isPeak(logitAt, row, column, logit)) continue;
      const from = (row * width + column) * CELL_VALUES;
      const [, dx = 0, dy = 0, size = 0, sin = 0, cos = 0] = cells.subarray(from, from + CELL_VALUES);
      found.push({
        x: (column + 0.5 + dx) * CELL_PX - 0.5,
        y: (row + 0.5 + dy) * CELL_PX - 0.5,
        side: REFERENCE_PX * Math.exp(size),
        angle: Math.atan2(sin, cos),
        angle_sure: Math.hypot(sin, cos),
        logit,
      });
    }
  }
  return found;
}

/** Returns true if no neighbour is greater, and none before it is equal. */
function isPeak(at: (row: number, column: number) => number, row: number, column: number, value: number): boolean {
  for (let r = -1; r <= 1; r++) {
    for (let c = -1; c <= 1; c++) {
      const other = at(row + r, column + c);
      if (other > value || (other === value && (r < 0 || (r === 0 && c < 0)))) return false;
    }
  }
  return true;
}

/** Overlap of two faces, intersection over union of their circles, above which they are one. */
export const SAME = 0.3;
/** Part of the smaller circle that lies in the larger one above which they are one. */
export const WITHIN = 0.8;

/**
 * Leaves one of several faces at a place, that of the greatest logit.
 *
 * Faces stand for circles of their side as diameter, which do not change with the angle. Two are the same face if the
 * intersection of the circles over their union is above 0.3, or over the smaller one above 0.8.
 *
 * @returns From the greatest logit to the least.
 */
export function suppress<C extends FaceCandidate>(candidates: readonly C[]): C[] {
  const kept: C[] = [];
  for (const face of candidates.toSorted((a, b) => b.logit - a.logit)) {
    const same = kept.some((other) => {
      const both = circleIntersection(face, other);
      const [a, b] = [circleArea(face), circleArea(other)];
      return both > SAME * (a + b - both) || both > WITHIN * Math.min(a, b);
    });
    if (!same) kept.push(face);
  }
  return kept;
}

/** A face as a circle; `side` is the diameter. */
type Circle = Pick<FacePlace, "x" | "y" | "side">;

/** Area of the circle of a face. */
export const circleArea = ({ side }: Circle): number => Math.PI * side * side / 4;

/** Area that two circles share; `side` is the diameter. */
export function circleIntersection(a: Circle, b: Circle): number {
  const [r, s] = [a.side / 2, b.side / 2];
  const d = Math.hypot(a.x - b.x, a.y - b.y);
  if (d >= r + s) return 0;
  if (d <= Math.abs(r - s)) return Math.PI * Math.min(r, s) ** 2;
  // Segments on both sides of the chord through the two points where the circles meet.
  const segment = (r: number, x: number) =>
    r * r * Math.acos(Math.max(-1, Math.min(1, x / r))) - x * Math.sqrt(Math.max(0, r * r - x * x));
  const x = (d * d + r * r - s * s) / (2 * d);
  return segment(r, x) + segment(s, d - x);
}
