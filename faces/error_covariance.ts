/**
 * The covariance of a detector's errors: which landmarks err together, and in which direction.
 *
 * @module
 */
import type { Landmarks } from "./landmarks.ts";

/** The part of a schema that is needed. */
export interface MirroredSchema {
  /** Number of landmarks, P. */
  readonly count: number;
  /** The landmark that takes the place of each in the mirrored face. */
  readonly mirror: readonly number[];
}

/**
 * Learns the covariance from faces whose landmarks are known.
 *
 * Errors are turned upright with their face and divided by their root mean square, so that each face counts the same, however
 * wrong it is found. The mirror image of each face counts too.
 *
 * @param found `[n, P, 2]`, pixels.
 * @param truth `[n, P, 2]`, pixels.
 * @param schema Their schema.
 * @returns `[2P, 2P]` in the order x, y of landmark 0, x, y of landmark 1 ...; the mean of its diagonal is 1. All 0 of no face.
 */
export function errorCovariance(found: Landmarks, truth: Landmarks, schema: MirroredSchema): Float32Array {
  const { count, mirror } = schema, size = 2 * count, faces = found.length / size;
  const sum = new Float64Array(size * size), error = new Float64Array(size), opposite = new Float64Array(size);
  let used = 0;
  for (let n = 0; n < faces; n++) {
    const [face, right] = [found, truth].map((all) => all.subarray(n * size, (n + 1) * size));
    const [ux, uy] = acrossOf(face!, mirror);
    for (let p = 0; p < count; p++) {
      const dx = right![2 * p]! - face![2 * p]!, dy = right![2 * p + 1]! - face![2 * p + 1]!;
      error[2 * p] = ux * dx + uy * dy;
      error[2 * p + 1] = ux * dy - uy * dx;
    }
    const square = error.reduce((total, x) => total + x * x, 0) / size;
    if (square === 0) continue;
    used++;
    mirror.forEach((q, p) => opposite.set([-error[2 * q]!, error[2 * q + 1]!], 2 * p));
    for (const one of [error, opposite]) {
      for (let a = 0; a < size; a++) {
        for (let b = 0; b < size; b++) sum[a * size + b]! += one[a]! * one[b]! / (2 * square);
      }
    }
  }
  return Float32Array.from(sum, (x) => x / Math.max(1, used));
}

/**
 * Direction across a face, from its left to its right half in the picture.
 *
 * @param landmarks `[P, 2]`, pixels.
 * @param mirror See {@linkcode MirroredSchema}.
 * @returns A vector of length 1; along x where the two halves are at one place.
 */
export function acrossOf(landmarks: ArrayLike<number>, mirror: readonly number[]): readonly [x: number, y: number] {
  let x = 0, y = 0;
  mirror.forEach((q, p) => {
    if (p >= q) return;
    x += landmarks[2 * q]! - landmarks[2 * p]!;
    y += landmarks[2 * q + 1]! - landmarks[2 * p + 1]!;
  });
  const length = Math.hypot(x, y);
  return length > 0 ? [x / length, y / length] : [1, 0];
}
