/**
 * Bends of an image that change a face's proportions as a caricature does, and its landmarks with it.
 *
 * @module
 */

import type { RandomSource } from "../engine/rng.ts";
import { itemAt } from "../engine/lookup.ts";
import { pointAt } from "./geometry.ts";
import { faceBox, type Landmarks } from "./landmarks.ts";
import type { LandmarkSchema } from "./schema.ts";

/** A feature that grows, shrinks or moves, and its surroundings less so: a local warp (Gustafson 1993) of Gaussian shape. */
export interface Bend {
  /** Centre, pixels. */
  readonly x: number;
  /** Centre, pixels. */
  readonly y: number;
  /** Standard deviation of the Gaussian, pixels. */
  readonly deviation: number;
  /** Growth along x and y, as a share; below 0 it shrinks. */
  readonly growth: readonly [number, number];
  /** Shift of the centre, pixels. */
  readonly shift: readonly [number, number];
}

/** Most features that are bent. */
const MOST = 4;
/** Deviations, as shares of the longer side of the landmarks' box. */
const [NARROW, WIDE] = [0.1, 0.5];
/** Standard deviations that growths and shifts go to. */
const REACH = 2;

/**
 * Greatest strength of `drawBends`. A bend's displacement must change by less than the point does, or two points would
 * come to one place. It changes by at most the growth, `REACH` strengths, and by the length of the shift, `REACH`
 * strengths of the deviation along each axis, times the Gaussian's steepest slope, which is exp(-1/2) over the
 * deviation: here 0.5 + 0.5 * sqrt(2) * 0.61 = 0.93.
 */
export const STRONGEST_BEND = 0.25;

/**
 * Bends of one to four features about landmarks. Both sides of the face change alike, as in most caricatures.
 *
 * @param landmarks `[P, 2]`, pixels.
 * @param schema Their schema.
 * @param strength Standard deviation of growths, and of shifts as shares of the bend's deviation; to `STRONGEST_BEND`.
 */
export function drawBends(
  landmarks: Landmarks,
  { mirror }: LandmarkSchema,
  random: Pick<RandomSource, "uniform" | "normal">,
  strength: number,
): Bend[] {
  const { side } = faceBox(landmarks, 1);
  const amount = () => Math.max(-REACH, Math.min(REACH, random.normal())) * strength;
  return Array.from({ length: 1 + Math.floor(MOST * random.uniform()) }, () => {
    const point = Math.floor(random.uniform() * landmarks.length / 2),
      opposite = itemAt(mirror, point, "the mirror of the schema");
    const deviation = side * (NARROW + (WIDE - NARROW) * random.uniform());
    const growth = [amount(), amount()] as const;
    const [right, down] = [amount() * deviation, amount() * deviation];
    const about = (p: number, shift: readonly [number, number]): Bend => {
      const [x, y] = pointAt(landmarks, p);
      return { x, y, deviation, growth, shift };
    };
    const bend = about(point, [right, down]);
    return opposite === point ? [bend] : [bend, about(opposite, [-right, down])];
  }).flat();
}

/**
 * Undoes bends, made one after the other, at a point.
 *
 * @param at The point, `[x, y]`; changed.
 */
export function bendBack(at: Float64Array, bends: readonly Bend[]): void {
  for (let k = bends.length - 1; k >= 0; k--) undo(bends[k]!, at);
}

/** Undoes one bend at a point. */
function undo({ x, y, deviation, growth, shift }: Bend, at: Float64Array): void {
  const dx = at[0]! - x, dy = at[1]! - y;
  const share = Math.exp(-(dx * dx + dy * dy) / (2 * deviation * deviation));
  at[0]! -= share * (shift[0] + growth[0] * dx);
  at[1]! -= share * (shift[1] + growth[1] * dy);
}

/**
 * Bends landmarks.
 *
 * @param landmarks `[P, 2]`, pixels.
 * @returns `[P, 2]`, pixels.
 */
export function bendLandmarks(landmarks: Landmarks, bends: readonly Bend[]): Landmarks {
  const moved = landmarks.slice();
  const was = new Float64Array(2);
  for (let k = 0; k < moved.length; k += 2) {
    for (const bend of bends) {
      const x = moved[k]!, y = moved[k + 1]!;
      // The fixed point of "the landmark and the displacement there": each round comes nearer, as displacements change
      // by less than points do.
      for (let round = 0, squared = 1; round < 100 && squared > 1e-6; round++) {
        was[0] = moved[k]!;
        was[1] = moved[k + 1]!;
        undo(bend, was);
        const right = x - was[0]!, down = y - was[1]!;
        moved[k]! += right;
        moved[k + 1]! += down;
        squared = right * right + down * down;
      }
    }
  }
  return moved;
}
