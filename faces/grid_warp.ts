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
function weigh(t: number, out: Float64Array): void {
  const s = 1 - t;
  out[0] = s * s * s / 6;
  out[1] = (4 - 3 * t * t * (2 - t)) / 6;
  out[2] = (4 - 3 * s * s * (2 - s)) / 6;
  out[3] = t * t * t / 6;
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
const sum = new Float64Array(2);

/** Sums the offsets about a cell of the grid by weights along both axes, `across` and `down`, to `sum`. */
function sumOffsets({ offsets }: GridWarp, column: number, row: number): void {
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
  const per = (POINTS - 1) / (warp.side - 1);
  let most = 0;
  for (let j = 0; j < LOOKS; j++) {
    const [row, v] = cellOf(j / (LOOKS - 1) * (warp.side - 1), warp.side);
    for (let i = 0; i < LOOKS; i++) {
      const [column, u] = cellOf(i / (LOOKS - 1) * (warp.side - 1), warp.side);
      weighSlopes(u, across);
      weigh(v, down);
      sumOffsets(warp, column, row);
      const a = sum[0]! * per, c = sum[1]! * per;
      weigh(u, across);
      weighSlopes(v, down);
      sumOffsets(warp, column, row);
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
 * Place of a point before the warp.
 *
 * @param at The point, `[x, y]`; changed.
 */
export function warpBack(at: Float64Array, warp: GridWarp): void {
  const [column, u] = cellOf(at[0]!, warp.side), [row, v] = cellOf(at[1]!, warp.side);
  weigh(u, across);
  weigh(v, down);
  sumOffsets(warp, column, row);
  at[0]! += sum[0]!;
  at[1]! += sum[1]!;
}

/**
 * Landmarks after a warp.
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
    for (let round = 0, squared = 1; round < 100 && squared > 1e-8; round++) {
      was[0] = at[0]!;
      was[1] = at[1]!;
      warpBack(was, warp);
      const right = x - was[0]!, below = y - was[1]!;
      at[0]! += right;
      at[1]! += below;
      squared = right * right + below * below;
    }
    moved[k] = at[0]!;
    moved[k + 1] = at[1]!;
  }
  return moved;
}
