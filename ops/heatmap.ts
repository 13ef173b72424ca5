/**
 * Reads coordinates out of heatmaps. Coordinates are (x, y) from -1 at the first pixel's centre to 1 at the last's.
 *
 * Maps are channels-last, so that all sums over positions of all landmarks are one matrix product with a constant.
 *
 * @module
 */

import { showShape, type Value } from "../runtime/graph.ts";
import { add } from "./add.ts";
import { div } from "./div.ts";
import { exp } from "./exp.ts";
import { matmul } from "./matmul.ts";
import { maxMiddle } from "./max_middle.ts";
import { maximum } from "./maximum.ts";
import { mul } from "./mul.ts";
import { reshape } from "./reshape.ts";
import { scale } from "./scale.ts";
import { slice } from "./slice.ts";
import { sub } from "./sub.ts";
import { sumLast } from "./sum_last.ts";

/** Weighted means of position and of its products. */
export interface HeatmapMoments {
  /** Mean of (x, y), `[N, P, 2]`; (0, 0) for a map of zeros. */
  readonly mean: Value;
  /** Mean of (x^2, y^2, x y), `[N, P, 3]`. */
  readonly second: Value;
  /** Sum of the weights but at least 1e-6, `[N, P, 1]`. */
  readonly total: Value;
}

/** Positions of `size` pixel centres from -1 to 1. */
export function centres(size: number): number[] {
  return Array.from({ length: size }, (_, k) => size > 1 ? 2 * k / (size - 1) - 1 : 0);
}

/**
 * Moments of maps of weights.
 *
 * @param weights Not negative, `[N, H, W, P]`; need not sum to one.
 */
export function heatmapMoments(weights: Value): HeatmapMoments {
  if (weights.shape.length !== 4) {
    throw new TypeError(`Cannot read heatmaps of shape ${showShape(weights.shape)}: [N, H, W, P] is expected`);
  }
  const [N, H, W, P] = weights.shape as [number, number, number, number];
  const rows = centres(H).flatMap((y) => centres(W).flatMap((x) => [x, y, x * x, y * y, x * y, 1]));
  // One copy a sample: the gradient of a product does not broadcast its left operand.
  const terms = weights.graph.constant(Array.from({ length: N }, () => rows).flat(), [N, H * W, 6]);
  const sums = matmul(reshape(weights, [N, H * W, P]), terms, { transpose_a: true });
  const total = maximum(slice(sums, 2, 5, 1), weights.graph.constant([1e-6], [1]));
  return { mean: div(slice(sums, 2, 0, 2), total), second: div(slice(sums, 2, 2, 3), total), total };
}

/**
 * Expected squared distance from a point, `E |p - target|^2`.
 *
 * @param target `[N, P, 2]`. @returns `[N, P, 1]`.
 */
export function varianceAbout({ mean, second }: HeatmapMoments, target: Value): Value {
  return sumLast(add(slice(second, 2, 0, 2), mul(target, sub(target, scale(mean, 2)))));
}

/**
 * Weights `exp((x - max) / temperature)` of each map: softmax over its pixels, up to a factor that moments divide out.
 *
 * @param heatmaps `[N, H, W, P]`. @returns The same shape; the largest of each map is 1.
 */
export function softmaxWeights(heatmaps: Value, temperature = 1): Value {
  const [N, H, W, P] = heatmaps.shape as [number, number, number, number];
  const rows = reshape(heatmaps, [N, H * W, P]);
  return reshape(exp(scale(sub(rows, maxMiddle(rows)), 1 / temperature)), heatmaps.shape);
}
