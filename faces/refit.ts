/**
 * Landmarks that follow others: some are placed by hand, and the rest take the places that are most likely then.
 *
 * The errors of landmarks are taken for a Gaussian process over the face: near landmarks err alike, those of one contour even
 * more; a feature is shifted, turned, stretched as one; and both sides err alike, as in a mirror. Places by hand are of a
 * person, who has a spread too. The others move to the mean of the process under that condition,
 *
 *     x = m + K_s (K_ss + n I)^-1 (t - m_s),    n = (h / l)^2
 *
 * with the landmarks `m` as they were, the places `t` of the set `s` placed by hand, and the covariance `K`, whose mean
 * variance is 1: that of {@linkcode RefitModel}, which needs nothing to learn from and so works for any schema, and where it is
 * known that of the detector's own errors ({@linkcode errorCovariance}). A person moves the landmark first that is farthest
 * off, so the errors that are left are as large as the longest move `l`; `h` is the spread of places by hand. Long moves take
 * the rest along, and small ones, the last of a face, say little about it.
 *
 * Source: Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, eq. 2.19.
 *
 * @module
 */
import { acrossOf } from "./error_covariance.ts";
import { type FeatureSchema, featuresOf } from "./features.ts";
import { pointAt } from "./geometry.ts";
import { boundingBox } from "./landmarks.ts";
import { solve } from "./solve.ts";

/**
 * Variances and lengths of the process. Lengths are in units of the face's size, the root of the area of its box, turned
 * as the face is; `d` is the
 * distance of two landmarks.
 *
 *     k(i, j) = smooth exp(-d^2 / 2 l^2) + [same contour] contour exp(-d^2 / 2 l^2)
 *             + [same feature] (shift + affine u_i . u_j) + [i = j] own
 *
 * with the place `u` of a landmark in its feature: from its centre, in units of its mean radius. An error is the sum of such a
 * process and of `mirror` times the mirror image of its value at the landmark on the other side.
 */
export interface RefitModel {
  /** Variance and length of smooth deformations. */
  readonly smooth: { readonly variance: number; readonly length: number };
  /** Variance and length of deformations along a contour, which other contours do not share. */
  readonly contour: { readonly variance: number; readonly length: number };
  /** Variances of a feature's shift, and of its turn, stretch and shear. */
  readonly feature: { readonly shift: number; readonly affine: number };
  /** Variance that each landmark has for itself. */
  readonly own: number;
  /** Share of an error that is on the other side too, 0 to 1. */
  readonly mirror: number;
}

/** The process that is used: its numbers bring rendered faces to their landmarks with the fewest drags (docs/correct.md). */
const REFIT: RefitModel = {
  smooth: { variance: 0.28, length: 0.175 },
  contour: { variance: 0.375, length: 0.14 },
  feature: { shift: 0.133, affine: 0.133 },
  own: 0.266,
  mirror: 0.2,
};

/** Share of the process in a covariance that is in part that of the detector's errors. */
const PROCESS_SHARE = 0.4;

/** Spread of places by hand, a share of the face's size: see the module. */
const HAND_SPREAD = 0.02;

/** Landmarks placed by hand: index, and place in pixels. */
export type Placed = ReadonlyMap<number, readonly [x: number, y: number]>;

/**
 * Moves the landmarks that were not placed by hand after those that were.
 *
 * @param landmarks `[P, 2]`, pixels: where they are without the new places.
 * @param placed Landmarks placed by hand; those that stay where they are count too, as long as one moves.
 * @param schema Schema of the landmarks.
 * @param errors Covariance of the detector's errors, `[2P, 2P]`, see {@linkcode errorCovariance}; without it the process alone
 * decides.
 * @param model The process.
 * @returns `[P, 2]`; placed landmarks are exactly where they were put.
 */
export function refit(
  landmarks: ArrayLike<number>,
  placed: Placed,
  schema: FeatureSchema,
  errors?: ArrayLike<number> | null,
  model: RefitModel = REFIT,
): Float64Array {
  const result = Float64Array.from({ length: landmarks.length }, (_, i) => landmarks[i]!);
  const shifts = [...placed].flatMap(([p, place]) => place.map((px, axis) => px - landmarks[2 * p + axis]!));
  const longest = Math.max(0, ...[...placed.keys()].map((_, k) => Math.hypot(shifts[2 * k]!, shifts[2 * k + 1]!)));
  if (longest === 0) return result;
  const process = covarianceOf(landmarks, schema, model);
  const covariance = errors ? mixtureOf(process, errors, landmarks, schema.mirror) : process;
  const noise = (HAND_SPREAD * sizeOf(landmarks, schema.mirror) / longest) ** 2;
  // Coordinates, as those of one landmark depend on both of another one.
  const known = [...placed.keys()].flatMap((p) => [2 * p, 2 * p + 1]);
  const weights = solve(known.map((a) => known.map((b) => covariance(a, b) + (a === b ? noise : 0))), shifts);
  for (let a = 0; a < result.length; a++) {
    result[a]! += known.reduce((sum, b, k) => sum + covariance(a, b) * weights[k]!, 0);
  }
  for (const [p, place] of placed) result.set(place, 2 * p);
  return result;
}

/** Covariance of two coordinates. */
type Covariance = (a: number, b: number) => number;

/** The mean, by {@linkcode PROCESS_SHARE}, of a process and of a detector's errors, which are turned with the face. */
function mixtureOf(
  process: Covariance,
  errors: ArrayLike<number>,
  landmarks: ArrayLike<number>,
  mirror: readonly number[],
): Covariance {
  const [ux, uy] = acrossOf(landmarks, mirror), size = landmarks.length;
  // Parts across and down of coordinate x, and of coordinate y.
  const parts = [[ux, -uy], [uy, ux]];
  return (a, b) => {
    const from = parts[a & 1]!, to = parts[b & 1]!, i = a & ~1, j = b & ~1;
    const row = (k: number) => to[0]! * errors[(i + k) * size + j]! + to[1]! * errors[(i + k) * size + j + 1]!;
    const learnt = from[0]! * row(0) + from[1]! * row(1);
    return PROCESS_SHARE * process(a, b) + (1 - PROCESS_SHARE) * learnt;
  };
}

/** Size of a face, pixels: the root of the area of its box, which is turned as the face is. */
function sizeOf(landmarks: ArrayLike<number>, mirror: readonly number[]): number {
  const [ux, uy] = acrossOf(landmarks, mirror);
  const upright = Float64Array.from(
    landmarks,
    (px, a) => a & 1 ? ux * px - uy * landmarks[a - 1]! : ux * px + uy * landmarks[a + 1]!,
  );
  const { width, height } = boundingBox(upright);
  return Math.sqrt(Math.max(width, 1) * Math.max(height, 1));
}

/**
 * Covariance of the errors of two coordinates; coordinate `2 p` is x of landmark p, `2 p + 1` is y. The mean variance of all
 * coordinates is 1.
 */
function covarianceOf(
  landmarks: ArrayLike<number>,
  schema: FeatureSchema,
  model: RefitModel,
): Covariance {
  const { mirror, count } = schema, share = model.mirror;
  const kernel = kernelOf(landmarks, schema, model);
  const known = new Float64Array(count * count).fill(NaN);
  const between = (i: number, j: number) => {
    const value = known[i * count + j]!;
    return Number.isNaN(value) ? known[i * count + j] = kernel(i, j) : value;
  };
  const [ux, uy] = acrossOf(landmarks, mirror);
  // The mirror image of a move turns its part across the face round.
  const flip = [[1 - 2 * ux * ux, -2 * ux * uy], [-2 * ux * uy, 1 - 2 * uy * uy]];
  const unscaled: Covariance = (a, b) => {
    const i = a >> 1, j = b >> 1, m = mirror[i]!, n = mirror[j]!, turned = flip[a & 1]![b & 1]!;
    const straight = (a & 1) === (b & 1) ? between(i, j) + share ** 2 * between(m, n) : 0;
    return straight + share * turned * (between(m, j) + between(i, n));
  };
  let variance = 0;
  for (let a = 0; a < 2 * count; a++) variance += unscaled(a, a) / (2 * count);
  return (a, b) => unscaled(a, b) / variance;
}

/** Covariance of the process of two landmarks, the same for both coordinates. */
function kernelOf(
  landmarks: ArrayLike<number>,
  schema: FeatureSchema,
  { smooth, contour, feature, own }: RefitModel,
): (i: number, j: number) => number {
  const size = sizeOf(landmarks, schema.mirror);
  const at = Array.from({ length: schema.count }, (_, p) => pointAt(landmarks, p).map((px) => px / size));
  const lines = at.map((_, p) => schema.contours.map(({ points }) => points.includes(p)));
  const parts = at.map((): { feature: number; u: readonly number[] } => ({ feature: -1, u: [0, 0] }));
  for (const [k, { points }] of featuresOf(schema).entries()) {
    const [cx, cy] = [0, 1].map((axis) => points.reduce((sum, p) => sum + at[p]![axis]!, 0) / points.length);
    const offsets = points.map((p) => [at[p]![0]! - cx!, at[p]![1]! - cy!] as const);
    const radius = Math.sqrt(offsets.reduce((sum, [x, y]) => sum + x * x + y * y, 0) / points.length) || 1;
    points.forEach((p, n) => parts[p] = { feature: k, u: offsets[n]!.map((x) => x / radius) });
  }
  return (i, j) => {
    const squared = (at[i]![0]! - at[j]![0]!) ** 2 + (at[i]![1]! - at[j]![1]!) ** 2;
    const bell = ({ variance, length }: { variance: number; length: number }) =>
      variance * Math.exp(-squared / (2 * length ** 2));
    const isLine = lines[i]!.some((is, k) => is && lines[j]![k]), [a, b] = [parts[i]!, parts[j]!];
    const together = a.feature === b.feature
      ? feature.shift + feature.affine * (a.u[0]! * b.u[0]! + a.u[1]! * b.u[1]!)
      : 0;
    return bell(smooth) + (isLine ? bell(contour) : 0) + together + (i === j ? own : 0);
  };
}
