/**
 * Smooth warps of an image by a grid of offsets at random, and its landmarks with it.
 *
 * @module
 */

import type { RandomSource } from "../engine/rng.ts";
import type { Landmarks } from "./landmarks.ts";

/** Points of the grid along each axis; the first and the last lie on the image's border. */
const POINTS = 4;
/** Greatest offset of a point of the grid, parts of the side. */
export const GREATEST_OFFSET = 0.25;
/** Limit of the change of the displacement over that of the point: below 1 no two points come to one place. */
const STEEPEST = 0.8;
/** Places along each axis where that is looked at. */
const LOOKS = 16;

/** A warp: a uniform cubic B-spline of offsets, whose grid goes on outside the image as it ends. */
export interface GridWarp {
  /** Side of the image, pixels. */
  readonly side: number;
  /** `[4, 4, 2]`, offsets to where the image's points came from, pixels. */
  readonly offsets: Float64Array;
}

/** Writes the weights of four points of the grid at t, from 0 to 1 between the inner two. */
function weigh(t: number, out: Float64Array, at = 0): void {
  const s = 1 - t;
  out[at] = s * s * s / 6;
  out[at + 1] = (4 - 3 * t * t * (2 - t)) / 6;
  out[at + 2] = (4 - 3 * s * s * (2 - s)) / 6;
  out[at + 3] = t * t * t / 6;
}

/** The slopes of those weights. */
function weighSlopes(t: number, out: Float64Array): void {
  const s = 1 - t;
  out[0] = -s * s / 2;
  out[1] = (3 * t * t - 4 * t) / 2;
  out[2] = (4 * s - 3 * s * s) / 2;
  out[3] = t * t / 2;
}

const inGrid = (i: number): number => Math.max(0, Math.min(POINTS - 1, i));
const [across, down] = [new Float64Array(4), new Float64Array(4)];

/** Sums the offsets about a cell of the grid by weights along both axes. */
function sumOffsets({ offsets }: GridWarp, column: number, row: number, sum: Float64Array): void {
  let x = 0, y = 0;
  for (let j = 0; j < 4; j++) {
    for (let i = 0; i < 4; i++) {
      const weight = down[j]! * across[i]!;
      const at = 2 * (inGrid(row - 1 + j) * POINTS + inGrid(column - 1 + i));
      x += weight * offsets[at]!;
      y += weight * offsets[at + 1]!;
    }
  }
  sum[0] = x;
  sum[1] = y;
}

/** Cell of the grid that a coordinate lies in, and how far it is through it. */
function cellOf(at: number, side: number): [cell: number, t: number] {
  const place = Math.max(0, Math.min(POINTS - 1, at / (side - 1) * (POINTS - 1)));
  const cell = Math.min(POINTS - 2, Math.floor(place));
  return [cell, place - cell];
}

/** The greatest factor by which the displacement changes a small step: the largest norm of its Jacobian. */
function steepness(warp: GridWarp): number {
  const sum = new Float64Array(2);
  const per = (POINTS - 1) / (warp.side - 1);
  let most = 0;
  for (let j = 0; j < LOOKS; j++) {
    const [row, v] = cellOf(j / (LOOKS - 1) * (warp.side - 1), warp.side);
    for (let i = 0; i < LOOKS; i++) {
      const [column, u] = cellOf(i / (LOOKS - 1) * (warp.side - 1), warp.side);
      weighSlopes(u, across);
      weigh(v, down);
      sumOffsets(warp, column, row, sum);
      const a = sum[0]! * per, c = sum[1]! * per;
      weigh(u, across);
      weighSlopes(v, down);
      sumOffsets(warp, column, row, sum);
      const b = sum[0]! * per, d = sum[1]! * per;
      // The larger singular value of [[a, b], [c, d]].
      const squares = a * a + b * b + c * c + d * d, det = a * d - b * c;
      most = Math.max(most, Math.sqrt((squares + Math.sqrt(Math.max(0, squares * squares - 4 * det * det))) / 2));
    }
  }
  return most;
}

/**
 * Draws a warp; one that would fold the image, or nearly, is weakened until it does not.
 *
 * @param side Of the image, pixels.
 * @param strength Greatest offset of a point of the grid along each axis, parts of the side; to `GREATEST_OFFSET`.
 */
export function drawGridWarp(
  random: Pick<RandomSource, "uniform" | "normal">,
  side: number,
  strength: number,
): GridWarp {
  const offsets = Float64Array.from(
    { length: 2 * POINTS * POINTS },
    () => (2 * random.uniform() - 1) * strength * side,
  );
  const warp = { side, offsets };
  const weaker = Math.min(1, STEEPEST / steepness(warp));
  for (let k = 0; k < offsets.length; k++) offsets[k]! *= weaker;
  return warp;
}

/**
 * Where a point was before the warp.
 *
 * @param at The point, `[x, y]`; changed.
 */
export function warpBack(at: Float64Array, warp: GridWarp): void {
  const [column, u] = cellOf(at[0]!, warp.side), [row, v] = cellOf(at[1]!, warp.side);
  weigh(u, across);
  weigh(v, down);
  const sum = new Float64Array(2);
  sumOffsets(warp, column, row, sum);
  at[0]! += sum[0]!;
  at[1]! += sum[1]!;
}

/**
 * The offsets of all pixels.
 *
 * @returns `[side, side, 2]`, pixels, to where a pixel's centre was before the warp.
 */
export function offsetField({ side, offsets }: GridWarp): Float32Array {
  const field = new Float32Array(side * side * 2);
  const weights = new Float64Array(side * 4);
  const cells = new Int32Array(side);
  for (let k = 0; k < side; k++) {
    const [cell, t] = cellOf(k, side);
    cells[k] = cell;
    weigh(t, weights, 4 * k);
  }
  // The grid's columns at this row, one more at each end.
  const line = new Float64Array(2 * (POINTS + 2));
  for (let y = 0, o = 0; y < side; y++) {
    for (let i = 0; i < POINTS + 2; i++) {
      let [dx, dy] = [0, 0];
      for (let j = 0; j < 4; j++) {
        const at = 2 * (inGrid(cells[y]! - 1 + j) * POINTS + inGrid(i - 1));
        dx += weights[4 * y + j]! * offsets[at]!;
        dy += weights[4 * y + j]! * offsets[at + 1]!;
      }
      line[2 * i] = dx;
      line[2 * i + 1] = dy;
    }
    for (let x = 0; x < side; x++, o += 2) {
      const w = 4 * x, p = 2 * cells[x]!;
      const a = weights[w]!, b = weights[w + 1]!, c = weights[w + 2]!, d = weights[w + 3]!;
      field[o] = a * line[p]! + b * line[p + 2]! + c * line[p + 4]! + d * line[p + 6]!;
      field[o + 1] = a * line[p + 1]! + b * line[p + 3]! + c * line[p + 5]! + d * line[p + 7]!;
    }
  }
  return field;
}

/**
 * Where a warp takes landmarks.
 *
 * @param landmarks `[P, 2]`, pixels.
 * @returns `[P, 2]`, pixels, to 1e-4.
 */
export function warpLandmarks(landmarks: Landmarks, warp: GridWarp): Landmarks {
  const moved = landmarks.slice();
  const was = new Float64Array(2), at = new Float64Array(2);
  for (let k = 0; k < moved.length; k += 2) {
    const x = landmarks[k]!, y = landmarks[k + 1]!;
    at[0] = x;
    at[1] = y;
    // The fixed point of "the landmark less the offset there": each round comes nearer, as offsets change by less than
    // points do.
    for (let round = 0, step = 1; round < 100 && step > 1e-4; round++) {
      was.set(at);
      warpBack(was, warp);
      const right = x - was[0]!, below = y - was[1]!;
      at[0]! += right;
      at[1]! += below;
      step = Math.hypot(right, below);
    }
    moved[k] = at[0]!;
    moved[k + 1] = at[1]!;
  }
  return moved;
}
