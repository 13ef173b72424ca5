/**
 * Normalisations, as compositions: moments in two small kernels, then an element-wise op that fuses with what follows.
 *
 * @module
 */

import { elements, extent, type Value } from "../engine/graph.ts";
import { add } from "./add.ts";
import { moments } from "./moments.ts";
import { mul } from "./mul.ts";
import { normalize } from "./normalize.ts";
import { reshape } from "./reshape.ts";
import { rowMoments } from "./row_moments.ts";
import { rsqrt } from "./rsqrt.ts";
import { affine } from "./affine.ts";
import { sub } from "./sub.ts";

/** Options of norms over groups of channels. */
export interface GroupNormOptions {
  /** Groups of channels; divides C. */
  readonly groups: number;
  /** Added to the variance, default 1e-5. */
  readonly eps?: number;
}

/**
 * Normalises each group of channels of each sample, then scales and shifts: `(x - mean) / sqrt(var + eps) * gamma + beta`.
 *
 * @param x `[N, ..., C]`. @param gamma, beta `[C]`, or `[N, 1, ..., C]` for a scale and shift of each sample's own.
 * @returns As `x`.
 * @throws {TypeError} If `groups` does not divide C.
 *
 * Source: Wu & He 2018, arXiv 1803.08494, eq. 1-6.
 */
export function groupNorm(x: Value, gamma: Value, beta: Value, { groups, eps = 1e-5 }: GroupNormOptions): Value {
  const [mean, variance] = moments(x, groups);
  return normalize(x, mean, mul(rsqrt(variance, eps), gamma), beta);
}

/**
 * Normalises each channel of each sample, without scale and shift. Source: Ulyanov et al. 2016, arXiv 1607.08022.
 *
 * @param x `[N, ..., C]`.
 */
export function instanceNorm(x: Value, eps = 1e-5): Value {
  const C = extent(x, -1);
  const [mean, variance] = moments(x, C);
  return normalize(x, mean, rsqrt(variance, eps), x.graph.constant(new Float32Array(C), [C]));
}

/**
 * Normalises each row, then scales and shifts. Source: Ba et al. 2016, arXiv 1607.06450.
 *
 * @param x `[..., C]`. @param gamma, beta `[C]`.
 */
export function layerNorm(x: Value, gamma: Value, beta: Value, eps = 1e-5): Value {
  const [mean, variance] = rowMoments(x);
  return add(mul(mul(sub(x, mean), rsqrt(variance, eps)), gamma), beta);
}

/** Results of batch norm in training. */
export interface BatchNormResult {
  /** As `x`. */
  readonly y: Value;
  /** New value of the running mean, `[C]`. */
  readonly running_mean: Value;
  /** New value of the running variance, `[C]`, of the unbiased variances. */
  readonly running_var: Value;
}

/**
 * Normalises each channel by the statistics of the batch, then scales and shifts; for training.
 *
 * The biased variance normalises, the unbiased one goes into the running variance, as in PyTorch. The running values
 * are to be assigned by the fetches' updates; no gradient flows through them.
 *
 * @param x `[N, ..., C]`. @param gamma, beta `[C]`. @param running The running statistics, `[C]` each.
 * @param options `momentum` is the share of the batch in the new running values, default 0.1.
 *
 * Source: Ioffe & Szegedy 2015, arXiv 1502.03167, algorithm 1.
 */
export function batchNormTrain(
  x: Value,
  gamma: Value,
  beta: Value,
  running: { readonly mean: Value; readonly var: Value },
  { eps = 1e-5, momentum = 0.1 }: { eps?: number; momentum?: number } = {},
): BatchNormResult {
  const C = extent(x, -1);
  const rows = elements(x.shape) / C;
  const flat = reshape(x, [1, rows, C]);
  const [mean, variance] = moments(flat, C);
  const y = normalize(flat, mean, mul(rsqrt(variance, eps), gamma), beta);
  const blend = (old: Value, now: Value, factor: number) =>
    add(affine(old, 1 - momentum), affine(reshape(now, [C]), momentum * factor));
  return {
    y: reshape(y, x.shape),
    running_mean: blend(running.mean, mean, 1),
    running_var: blend(running.var, variance, rows / Math.max(1, rows - 1)),
  };
}

/**
 * Normalises each channel by running statistics; for inference. One element-wise expression.
 *
 * @param x `[N, ..., C]`. @param gamma, beta `[C]`. @param running The running statistics, `[C]` each.
 */
export function batchNorm(
  x: Value,
  gamma: Value,
  beta: Value,
  running: { readonly mean: Value; readonly var: Value },
  eps = 1e-5,
): Value {
  return add(mul(sub(x, running.mean), mul(rsqrt(running.var, eps), gamma)), beta);
}
