/**
 * Landmarks that follow others: some are placed by hand, and the rest take the places that are most likely then.
 *
 * The errors of landmarks are taken for a Gaussian process over the face: near landmarks err alike, those of one contour even
 * more, and the face as a whole may be shifted, turned, sheared and scaled. The landmarks that are placed by hand have no
 * error; the others move by the mean of the process under that condition,
 *
 *     x = m + K_s (K_ss)^-1 (t - m_s)
 *
 * with the landmarks `m` as they were, the places `t` of the set `s` placed by hand, and the covariance `K` below. Without an
 * array of shapes to learn from, it works for any schema.
 *
 * Source: Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, eq. 2.19.
 *
 * @module
 */
import { pointAt } from "./geometry.ts";
import { boundingBox } from "./landmarks.ts";

/** The parts of a schema that are needed here. */
export interface Contours {
  /** Lines of the face. */
  readonly contours: readonly { readonly points: readonly number[] }[];
}

/** Variances and lengths of the process; lengths in units of the face's size, the root of its box's area. */
export interface RefitModel {
  /** Variance of a shift of the whole face. */
  readonly shift: number;
  /** Variance of its affine deformation, per squared unit of distance from the centre. */
  readonly affine: number;
  /** Variances and lengths of smooth deformations. */
  readonly smooth: readonly { readonly variance: number; readonly length: number }[];
  /** Variance and length of deformations along a contour, which other contours do not share. */
  readonly contour: { readonly variance: number; readonly length: number };
  /** Variance that each landmark has for itself. */
  readonly own: number;
}

/** The process that is used. */
export const REFIT: RefitModel = {
  shift: 0.3,
  affine: 1,
  smooth: [{ variance: 0.5, length: 0.35 }],
  contour: { variance: 1, length: 0.2 },
  own: 0.05,
};

/** Landmarks placed by hand: index, and place in pixels. */
export type Placed = ReadonlyMap<number, readonly [x: number, y: number]>;

/**
 * Moves the landmarks that were not placed by hand after those that were.
 *
 * @param landmarks `[P, 2]`, pixels: where they are without the new places.
 * @param placed Landmarks placed by hand; those that stay where they are count too.
 * @param schema Schema of the landmarks.
 * @param model The process.
 * @returns `[P, 2]`; placed landmarks are exactly where they were put.
 */
export function refit(
  landmarks: ArrayLike<number>,
  placed: Placed,
  schema: Contours,
  model: RefitModel = REFIT,
): Float64Array {
  const P = landmarks.length / 2, result = Float64Array.from({ length: 2 * P }, (_, i) => landmarks[i]!);
  const known = [...placed.keys()];
  if (known.length === 0) return result;
  const covariance = covarianceOf(landmarks, schema, model);
  const K = known.map((i) => known.map((j) => covariance(i, j)));
  const weights = [0, 1].map((axis) => solve(K, known.map((i) => placed.get(i)![axis]! - landmarks[2 * i + axis]!)));
  for (let p = 0; p < P; p++) {
    for (const axis of [0, 1]) {
      const move = known.reduce((sum, i, k) => sum + covariance(p, i) * weights[axis]![k]!, 0);
      result[2 * p + axis]! += move;
    }
  }
  for (const [i, place] of placed) result.set(place, 2 * i);
  return result;
}

/** Covariance of the errors of two landmarks. */
function covarianceOf(
  landmarks: ArrayLike<number>,
  { contours }: Contours,
  { shift, affine, smooth, contour, own }: RefitModel,
): (i: number, j: number) => number {
  const { x, y, width, height } = boundingBox(landmarks);
  const size = Math.sqrt(Math.max(width, 1) * Math.max(height, 1)), cx = x + width / 2, cy = y + height / 2;
  const lines = new Map<number, Set<number>>();
  for (const [k, { points }] of contours.entries()) {
    for (const p of points) lines.set(p, (lines.get(p) ?? new Set()).add(k));
  }
  return (i, j) => {
    const [ax, ay] = pointAt(landmarks, i), [bx, by] = pointAt(landmarks, j);
    const [ux, uy, vx, vy] = [ax - cx, ay - cy, bx - cx, by - cy].map((px) => px / size) as [
      number,
      number,
      number,
      number,
    ];
    const squared = (ux - vx) ** 2 + (uy - vy) ** 2;
    const bell = (length: number) => Math.exp(-squared / (2 * length ** 2));
    const same = lines.get(i)?.intersection(lines.get(j) ?? new Set()).size;
    return shift + affine * (ux * vx + uy * vy) +
      smooth.reduce((sum, { variance, length }) => sum + variance * bell(length), 0) +
      (same ? contour.variance * bell(contour.length) : 0) + (i === j ? own : 0);
  };
}

/** Solves a symmetric positive definite system by Cholesky's decomposition. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const n = right.length, L = matrix.map((row) => [...row]), x = [...right];
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let sum = L[i]![j]!;
      for (let k = 0; k < j; k++) sum -= L[i]![k]! * L[j]![k]!;
      L[i]![j] = i === j ? Math.sqrt(Math.max(sum, 1e-12)) : sum / L[j]![j]!;
    }
  }
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) x[i]! -= L[i]![k]! * x[k]!;
    x[i]! /= L[i]![i]!;
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) x[i]! -= L[k]![i]! * x[k]!;
    x[i]! /= L[i]![i]!;
  }
  return x;
}
