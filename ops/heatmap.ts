/**
 * Reads coordinates out of heatmaps. Coordinates are (x, y) from -1 at the first pixel's centre to 1 at the last's.
 *
 * Maps are channels-last, so that all sums over positions of all landmarks are one matrix product with a constant.
 *
 * @module
 */

import { dims, showShape, type Value } from "../engine/graph.ts";
import { div } from "./div.ts";
import { matmul } from "./matmul.ts";
import { maximum } from "./maximum.ts";
import { reshape } from "./reshape.ts";
import { slice } from "./slice.ts";

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
  const { N, H, W, P } = dims(weights, "N H W P");
  const rows = centres(H).flatMap((y) => centres(W).flatMap((x) => [x, y, x * x, y * y, x * y, 1]));
  // One copy a sample: the gradient of a product does not broadcast its left operand.
  const terms = weights.graph.constant(Array.from({ length: N }, () => rows).flat(), [N, H * W, 6]);
  const sums = matmul(reshape(weights, [N, H * W, P]), terms, { transpose_a: true });
  const total = maximum(slice(sums, 2, 5, 1), weights.graph.constant([1e-6], [1]));
  return { mean: div(slice(sums, 2, 0, 2), total), second: div(slice(sums, 2, 2, 3), total), total };
}
