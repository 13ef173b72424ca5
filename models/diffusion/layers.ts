/**
 * Layers that the diffusion networks share, under diffusers' names: residual block, transformer, resampling.
 *
 * Every function declares its parameters below a {@linkcode Scope} and returns the layer's output.
 *
 * Easy to get wrong:
 * - the time embedding goes through SiLU once more in every residual block, and is added between conv1 and norm2;
 * - the norm at the entry of a spatial transformer has eps 1e-6, those of UNet residual blocks 1e-5;
 * - queries, keys and values have no bias in a UNet, the output projection has; in an autoencoder all have;
 * - GEGLU projects to twice the width at once: the first half is the value, the second the gate.
 *
 * @module
 */

import { add } from "../../ops/add.ts";
import { attention } from "../../ops/attention.ts";
import { conv2d } from "../../ops/conv2d.ts";
import { geglu } from "../../ops/geglu.ts";
import { groupNorm, layerNorm } from "../../ops/norm.ts";
import { linear } from "../../ops/linear.ts";
import { reshape } from "../../ops/reshape.ts";
import { silu } from "../../ops/silu.ts";
import { timeEmbedding } from "../../ops/time_embedding.ts";
import { upsampleNearest } from "../../ops/upsample_nearest.ts";
import { dims, extent, type Value } from "../../engine/graph.ts";
import type { Scope, WeightOptions } from "../io/params.ts";

/** Kernel size, stride and padding of {@linkcode convolve}. */
export interface ConvolveOptions extends WeightOptions {
  /** Height and width of the filter; by default 3. */
  readonly kernel?: number;
  /** 1 when not given. */
  readonly stride?: number;
  /** One number, or top, left, bottom, right; by default half the kernel. */
  readonly padding?: number | readonly [number, number, number, number];
}

/** Convolution `NAME.weight`, `NAME.bias`: `[N, H, W, I]` to `[N, HO, WO, channels]`. */
export function convolve(scope: Scope, name: string, x: Value, channels: number, options: ConvolveOptions = {}): Value {
  const { kernel = 3, stride = 1, padding = (kernel - 1) / 2 } = options;
  const { weight, bias } = scope.conv(name, kernel, kernel, extent(x, 3), channels, options);
  return conv2d(x, weight, bias ? { stride, padding, bias } : { stride, padding });
}

/** Linear layer `NAME.weight`, `NAME.bias`: `[..., I]` to `[..., channels]`. */
export function project(scope: Scope, name: string, x: Value, channels: number, options: WeightOptions = {}): Value {
  const { weight, bias } = scope.linear(name, extent(x, -1), channels, options);
  return linear(x, weight, bias);
}

/** Group normalisation `NAME.weight`, `NAME.bias` of `[N, H, W, C]`. */
export function normalise(scope: Scope, name: string, x: Value, options: { groups: number; eps: number }): Value {
  const { gamma, beta } = scope.norm(name, extent(x, -1));
  return groupNorm(x, gamma, beta, options);
}

/** Layer normalisation `NAME.weight`, `NAME.bias` of `[N, T, C]`. */
export function normaliseTokens(scope: Scope, name: string, x: Value, eps = 1e-5): Value {
  const { gamma, beta } = scope.norm(name, extent(x, -1));
  return layerNorm(x, gamma, beta, eps);
}

/**
 * Embedding of time steps, `[N]` to `[N, 4 C]`: sines and cosines, linear, SiLU, linear.
 *
 * @param channels C, those of the first level.
 */
export function embedTime(scope: Scope, timesteps: Value, channels: number): Value {
  const at = scope.at("time_embedding");
  const hidden = silu(project(at, "linear_1", timeEmbedding(timesteps, channels), channels * 4));
  return project(at, "linear_2", hidden, channels * 4);
}

/** Options that all residual blocks of a network share. */
export interface ResnetOptions {
  /** Groups of the normalisations. */
  readonly groups: number;
  /** Their eps. */
  readonly eps: number;
  /** Embedding of the time step, `[N, E]`; none in an autoencoder. */
  readonly time?: Value;
}

/**
 * Residual block.
 *
 *     x ─ norm1 ─ SiLU ─ conv1 ─ + ─ norm2 ─ SiLU ─ conv2 ─ + ─ y
 *     │                          └ time_emb_proj(SiLU(t))   │
 *     └─────────── conv_shortcut where C changes ───────────┘
 */
export function resnet(scope: Scope, x: Value, channels: number, { time, ...norm }: ResnetOptions): Value {
  let h = convolve(scope, "conv1", silu(normalise(scope, "norm1", x, norm)), channels);
  if (time) {
    const shift = project(scope, "time_emb_proj", silu(time), channels);
    h = add(h, reshape(shift, [extent(shift, 0), 1, 1, channels]));
  }
  h = convolve(scope, "conv2", silu(normalise(scope, "norm2", h, norm)), channels);
  return add(x.shape[3] === channels ? x : convolve(scope, "conv_shortcut", x, channels, { kernel: 1 }), h);
}

/** Options that all transformers of a network share. */
export interface TransformerOptions {
  /** Groups of the normalisation at the entry. */
  readonly groups: number;
  /** Tokens of the prompt, `[N, T, D]`. */
  readonly context: Value;
  /** True if `proj_in` and `proj_out` are linear layers in files (Stable Diffusion 2); the arithmetic is the same. */
  readonly linear_projection: boolean;
  /** Transformer blocks one after the other. */
  readonly depth: number;
}

/**
 * Spatial transformer: self-attention over the pixels, cross-attention to the prompt, GEGLU.
 *
 *     [N, H, W, C] ─ norm ─ proj_in ─ [N, H W, C] ─ blocks ─ [N, H, W, C] ─ proj_out ─ + x
 */
export function transformer(scope: Scope, x: Value, heads: number, options: TransformerOptions): Value {
  const { N, H, W, C } = dims(x, "N H W C");
  const channels = (name: string, y: Value) =>
    options.linear_projection ? project(scope, name, y, C) : convolve(scope, name, y, C, { kernel: 1 });
  let h = channels("proj_in", normalise(scope, "norm", x, { groups: options.groups, eps: 1e-6 }));
  h = reshape(h, [N, H * W, C]);
  for (let k = 0; k < options.depth; k++) {
    const at = scope.at(`transformer_blocks.${k}`);
    const self = normaliseTokens(at, "norm1", h);
    h = add(h, attend(at.at("attn1"), self, self, heads));
    h = add(h, attend(at.at("attn2"), normaliseTokens(at, "norm2", h), options.context, heads));
    const wide = at.linear("ff.net.0.proj", C, C * 8);
    if (!wide.bias) throw new TypeError("Cannot build a transformer: geglu takes a bias");
    const gated = geglu(normaliseTokens(at, "norm3", h), wide.weight, wide.bias);
    h = add(h, project(at, "ff.net.2", gated, C));
  }
  return add(x, channels("proj_out", reshape(h, [N, H, W, C])));
}

/** Attention of `x`, `[N, L, C]`, to `context`, `[N, T, D]`, with its four projections; `bias` is for q, k and v. */
export function attend(scope: Scope, x: Value, context: Value, heads: number, bias = false): Value {
  const C = extent(x, 2);
  const q = project(scope, "to_q", x, C, { bias });
  const k = project(scope, "to_k", context, C, { bias });
  const v = project(scope, "to_v", context, C, { bias });
  return project(scope, "to_out.0", attention(q, k, v, { heads }), C);
}

/** Twice the height and width by repetition, then a convolution `conv`. */
export function upsample(scope: Scope, x: Value): Value {
  return convolve(scope, "conv", upsampleNearest(x, 2), extent(x, 3));
}
