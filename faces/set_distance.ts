/**
 * Distances of two sets of images by their features: the Frechet distance, as of the FID, and the kernel distance, as of the
 * KID, whose mean does not depend on the number of images.
 *
 * @module
 */

import { InputError } from "../formats/input_error.ts";
import { matrixSquareRoot, symmetricEigen } from "./eigen.ts";

/** Features of a set of images. */
export interface FeatureSet {
  /** `[n, width]`, one image after the other. */
  readonly data: ArrayLike<number>;
  /** Features of an image. */
  readonly width: number;
}

/** Mean and covariance of a set. */
export interface Gaussian {
  /** `[width]`. */
  readonly mean: Float64Array;
  /** With divisor n - 1: `[width, width]`. */
  readonly covariance: Float64Array;
}

/** Images of a set. */
function countOf({ data, width }: FeatureSet): number {
  const count = data.length / width;
  if (!Number.isInteger(count) || count < 2) {
    throw new InputError(`Cannot compare sets of ${count} images: 2 at least are expected`);
  }
  return count;
}

/**
 * Mean and covariance of features.
 *
 * @throws {InputError} If there are fewer than two images.
 */
export function gaussianOf(set: FeatureSet): Gaussian {
  const count = countOf(set), { data, width } = set;
  const mean = new Float64Array(width), covariance = new Float64Array(width * width);
  for (let k = 0; k < data.length; k++) mean[k % width]! += data[k]! / count;
  const centred = new Float64Array(width);
  for (let image = 0; image < count; image++) {
    for (let i = 0; i < width; i++) centred[i] = data[image * width + i]! - mean[i]!;
    for (let i = 0; i < width; i++) {
      for (let j = 0; j < width; j++) covariance[i * width + j]! += centred[i]! * centred[j]! / (count - 1);
    }
  }
  return { mean, covariance };
}

/**
 * Squared Frechet distance of two normal distributions: `|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))`.
 *
 * The trace of the root is that of `(R C2 R)^(1/2)` with `R = C1^(1/2)`, which is symmetric. Of few images it comes out too
 * large, the more so the more features there are: compare only distances of equally many.
 *
 * Source: Dowson & Landau 1982, eq. 4; Heusel et al. 2017, arXiv 1706.08500, eq. 6.
 */
export function frechetDistance(a: Gaussian, b: Gaussian): number {
  const n = a.mean.length;
  const root = matrixSquareRoot(a.covariance, n);
  const { values } = symmetricEigen(product(product(root, b.covariance, n), root, n), n);
  let distance = 0;
  for (let i = 0; i < n; i++) {
    distance += (a.mean[i]! - b.mean[i]!) ** 2 + a.covariance[i * n + i]! + b.covariance[i * n + i]!;
  }
  return distance - 2 * values.reduce((sum, value) => sum + Math.sqrt(Math.max(0, value)), 0);
}

function product(a: Float64Array, b: Float64Array, n: number): Float64Array {
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < n; k++) {
      const factor = a[i * n + k]!;
      for (let j = 0; j < n; j++) out[i * n + j]! += factor * b[k * n + j]!;
    }
  }
  return out;
}

/**
 * Kernel distance: the unbiased estimate of the squared maximum mean discrepancy with the kernel `(x y / width + 1)^3`. It is
 * about zero, above or below, for two sets of one distribution, however few images there are.
 *
 * @throws {InputError} If a set has fewer than two images.
 *
 * Source: Binkowski et al. 2018, arXiv 1801.01401, section 4 (KID); Gretton et al. 2012, eq. 3.
 */
export function kernelDistance(a: FeatureSet, b: FeatureSet): number {
  const [m, n] = [countOf(a), countOf(b)];
  const within = (set: FeatureSet, count: number) => {
    let sum = 0;
    for (let i = 0; i < count; i++) for (let j = 0; j < i; j++) sum += 2 * kernel(set, i, set, j);
    return sum / (count * (count - 1));
  };
  let between = 0;
  for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) between += kernel(a, i, b, j);
  return within(a, m) + within(b, n) - 2 * between / (m * n);
}

function kernel(a: FeatureSet, i: number, b: FeatureSet, j: number): number {
  const { width } = a;
  let sum = 0;
  for (let k = 0; k < width; k++) sum += a.data[i * width + k]! * b.data[j * width + k]!;
  return (sum / width + 1) ** 3;
}

/** Least deviation of a feature, as a share of the root mean square of all: one that is nearly always 0 must not count most. */
const LEAST_DEVIATION = 0.1;

/**
 * Scales features to mean 0 and about deviation 1 in a reference set, so that a distance does not depend on how large the
 * numbers of a layer are.
 *
 * @param reference Mean and covariance of the reference set.
 * @returns The scaled set.
 */
export function standardise(set: FeatureSet, { mean, covariance }: Gaussian): FeatureSet {
  const { data, width } = set;
  const variances = mean.map((_, i) => covariance[i * width + i]!);
  const least = LEAST_DEVIATION ** 2 * variances.reduce((sum, v) => sum + v, 0) / width;
  const deviations = variances.map((variance) => Math.sqrt(Math.max(variance, least)));
  return {
    width,
    data: Float64Array.from(data, (value, k) => {
      const deviation = deviations[k % width]!;
      return deviation === 0 ? 0 : (value - mean[k % width]!) / deviation;
    }),
  };
}
