/**
 * The UNet of latent diffusion: predicts the noise in a latent image, given the time step and the prompt.
 *
 *     sample [N, H, W, 4]        timesteps [N] ─ time_embedding ─ [N, 4 C0]    context [N, T, D]
 *        │ conv_in
 *     [N, H, W, C0] ───────────────────────────────── skips ────────────────────────────┐
 *        │ down_blocks.0: (resnet, transformer?) x layers_per_block, stride 2 │
 *     [N, H/2, W/2, C0]                                                                 │
 *        │ down_blocks.1 ...                                                            │
 *     [N, h, w, Cn]                                                                     │
 *        │ mid_block: resnet, transformer, resnet                                       │
 *     [N, h, w, Cn]                                                                     │
 *        │ up_blocks.0: (concat with a skip, resnet, transformer?) x (layers_per_block + 1), upsample
 *     [N, H, W, C0]
 *        │ conv_norm_out, SiLU, conv_out
 *     [N, H, W, 4]
 *
 * A ControlNet adds to the skips and to the output of the mid block.
 *
 * Easy to get wrong:
 * - `attention_head_dim` is the NUMBER of heads, despite its name;
 * - an up block has one residual block more than a down block; it concatenates `[running, skip]` in this order;
 * - every residual block, every downsampler and conv_in leave a skip; a block with attention leaves it after attention.
 *
 * Source: Rombach et al. 2021, arXiv 2112.10752; diffusers v0.20.2, UNet2DConditionModel.
 *
 * @module
 */

import { z } from "zod";
import { InputError } from "../../formats/input_error.ts";
import { add } from "../../ops/add.ts";
import { concat } from "../../ops/concat.ts";
import { silu } from "../../ops/silu.ts";
import { dims, showShape, type Value } from "../../engine/graph.ts";
import { itemAt } from "../../engine/lookup.ts";
import type { ConfigFormat } from "../io/config.ts";
import { convolve, embedTime, normalise, resnet, transformer, upsample } from "./layers.ts";
import type { Scope } from "../io/params.ts";

const size = z.int().min(1);
const perBlock = z.union([size, z.array(size)]);

/** Options of the encoder half, which a ControlNet shares. */
const encoderSchema = {
  in_channels: size.default(4),
  down_block_types: z.array(z.enum(["CrossAttnDownBlock2D", "DownBlock2D"])).min(1),
  block_out_channels: z.array(size).min(1),
  layers_per_block: perBlock.default(2),
  cross_attention_dim: size.default(1280),
  attention_head_dim: perBlock.default(8),
  transformer_layers_per_block: perBlock.default(1),
  norm_num_groups: size.default(32),
  norm_eps: z.number().positive().default(1e-5),
  use_linear_projection: z.boolean().default(false),
};

/** Options that change nothing here: precision of f32 arithmetic, details of parts that must be absent, dropout of 0. */
const INERT = /^(upcast_attention|addition_embed_type_num_heads|dropout)$/;

const encoderFixed = {
  act_fn: "silu",
  downsample_padding: 1,
  flip_sin_to_cos: true,
  freq_shift: 0,
  mid_block_scale_factor: 1,
  only_cross_attention: false,
  resnet_time_scale_shift: "default",
};

const unetSchema = z.object({
  ...encoderSchema,
  sample_size: size.nullish(),
  out_channels: size.default(4),
  up_block_types: z.array(z.enum(["CrossAttnUpBlock2D", "UpBlock2D"])).min(1),
});

/** Configuration of the encoder half: a UNet's or a ControlNet's; diffusers' names and defaults. */
export interface EncoderConfig {
  /** Channels of the sample. */
  in_channels: number;
  /** Blocks from the full size down; those with "CrossAttn" attend to the context. */
  down_block_types: ("CrossAttnDownBlock2D" | "DownBlock2D")[];
  /** Channels of each block. */
  block_out_channels: number[];
  /** Residual layers of each block. */
  layers_per_block: number | number[];
  /** Width of the context. */
  cross_attention_dim: number;
  /** Number of attention heads (not their width, despite the name), for each block or for all. */
  attention_head_dim: number | number[];
  /** Transformer layers behind each residual layer of a block that attends. */
  transformer_layers_per_block: number | number[];
  /** Groups of the normalisations. */
  norm_num_groups: number;
  /** Added to the variance in normalisations. */
  norm_eps: number;
  /** Linear layers in place of 1 x 1 convolutions around a transformer. */
  use_linear_projection: boolean;
}

/** Configuration of a UNet; diffusers' names and defaults. */
export interface UNetConfig extends EncoderConfig {
  /** Side of the samples it was trained on. */
  sample_size?: number | null | undefined;
  /** Channels of the prediction. */
  out_channels: number;
  /** Blocks from the smallest size up. */
  up_block_types: ("CrossAttnUpBlock2D" | "UpBlock2D")[];
}

/** `config.json` of a UNet. */
export const unetFormat: ConfigFormat<UNetConfig> = {
  name: "UNet2DConditionModel",
  schema: unetSchema,
  fixed: {
    ...encoderFixed,
    center_input_sample: false,
    conv_in_kernel: 3,
    conv_out_kernel: 3,
    dual_cross_attention: false,
    mid_block_type: "UNetMidBlock2DCrossAttn",
    num_attention_heads: null,
    resnet_out_scale_factor: 1,
    time_embedding_type: "positional",
    attention_type: "default",
  },
  ignored: INERT,
};

/** Schema of the options shared with a ControlNet, and their counterparts with one value only. */
export const encoderFormat = { schema: encoderSchema, fixed: encoderFixed, ignored: INERT } as const;

/** Inputs of a UNet. */
export interface UNetInputs {
  /** Noisy latents, `[N, H, W, in_channels]`. */
  readonly sample: Value;
  /** Time steps, `[N]`. */
  readonly timesteps: Value;
  /** Tokens of the prompt, `[N, T, cross_attention_dim]`. */
  readonly context: Value;
}

/** Residuals that a ControlNet adds to a UNet: one value for each skip, in order, and one for the mid block. */
export interface Residuals {
  /** In the shapes of the skips. */
  readonly down: readonly Value[];
  /** In the shape of the mid block's output. */
  readonly mid: Value;
}

/** Outputs of the encoder half of a UNet. */
export interface Encoded {
  /** Output of the mid block, `[N, h, w, Cn]`. */
  readonly mid: Value;
  /** Skips, from the highest resolution down. */
  readonly skips: readonly Value[];
  /** Embedding of the time step, `[N, 4 C0]`. */
  readonly time: Value;
}

/** The number that holds for a level when one is given for all, or one for each. */
function at(value: number | readonly number[], level: number): number {
  return typeof value === "number" ? value : itemAt(value, level, "the levels");
}

function transformerOptions(config: EncoderConfig, context: Value, level: number) {
  return {
    groups: config.norm_num_groups,
    context,
    linear_projection: config.use_linear_projection,
    depth: at(config.transformer_layers_per_block, level),
  };
}

/** Throws where shapes and configuration do not fit; afterwards every level has its entries. */
function check(config: EncoderConfig, { sample, context }: UNetInputs, name: string): void {
  const levels = config.block_out_channels.length;
  const stride = 2 ** (levels - 1);
  const { H, W, C } = dims(sample, "N H W C");
  const lists = { layers_per_block: config.layers_per_block, attention_head_dim: config.attention_head_dim };
  for (const [key, list] of Object.entries({ ...lists, down_block_types: config.down_block_types })) {
    if (Array.isArray(list) && list.length !== levels) {
      throw new InputError(`Cannot build ${name}: ${key} has ${list.length} entries, block_out_channels ${levels}`);
    }
  }
  if (C !== config.in_channels || H % stride || W % stride) {
    throw new InputError(
      `Cannot apply ${name} to a sample of shape ${showShape(sample.shape)}: ` +
        `[N, H, W, ${config.in_channels}] with H and W multiples of ${stride} is expected`,
    );
  }
  if (context.shape[2] !== config.cross_attention_dim) {
    throw new InputError(
      `Cannot apply ${name} to a context of shape ${showShape(context.shape)}: ` +
        `[N, T, ${config.cross_attention_dim}] is expected`,
    );
  }
}

/**
 * The encoder half and the mid block.
 *
 * @param hint Added to the output of conv_in, `[N, H, W, C0]`: the hint of a ControlNet.
 * @throws {InputError} If a shape does not fit the configuration.
 */
export function encode(scope: Scope, config: EncoderConfig, inputs: UNetInputs, hint?: Value): Encoded {
  check(config, inputs, hint ? "the ControlNet" : "the UNet");
  const { block_out_channels, down_block_types } = config;
  const last = block_out_channels.length - 1;
  const [narrow, wide] = [at(block_out_channels, 0), at(block_out_channels, last)];
  const time = embedTime(scope, inputs.timesteps, narrow);
  const blocks = { groups: config.norm_num_groups, eps: config.norm_eps, time };

  let h = convolve(scope, "conv_in", inputs.sample, narrow);
  if (hint) h = add(h, hint);
  const skips = [h];
  block_out_channels.forEach((channels, level) => {
    const block = scope.at(`down_blocks.${level}`);
    for (let k = 0; k < at(config.layers_per_block, level); k++) {
      h = resnet(block.at(`resnets.${k}`), h, channels, blocks);
      if (down_block_types[level] === "CrossAttnDownBlock2D") {
        const heads = at(config.attention_head_dim, level);
        h = transformer(block.at(`attentions.${k}`), h, heads, transformerOptions(config, inputs.context, level));
      }
      skips.push(h);
    }
    if (level < block_out_channels.length - 1) {
      h = convolve(block.at("downsamplers.0"), "conv", h, channels, { stride: 2 });
      skips.push(h);
    }
  });

  const mid = scope.at("mid_block");
  h = resnet(mid.at("resnets.0"), h, wide, blocks);
  const heads = at(config.attention_head_dim, last);
  h = transformer(mid.at("attentions.0"), h, heads, transformerOptions(config, inputs.context, last));
  h = resnet(mid.at("resnets.1"), h, wide, blocks);
  return { mid: h, skips, time };
}

/**
 * A UNet: noise, or another prediction that the schedule is for, in the shape of the sample.
 *
 * @param scope Where its parameters are named: `new Scope(graph, specs, "unet/")`.
 * @param config Diffusers' configuration.
 * @param inputs Noisy latents, time steps and prompt.
 * @param control What a ControlNet adds.
 * @returns `[N, H, W, out_channels]`.
 * @throws {InputError} If a shape does not fit the configuration.
 *
 * @example
 * ```ts
 * import { Graph } from "../../engine/graph.ts";
 * import { type ParameterSpec, Scope } from "../io/params.ts";
 * import { unet, unetFormat } from "./unet.ts";
 *
 * const graph = new Graph();
 * const config = unetFormat.schema.parse({
 *   block_out_channels: [32, 64],
 *   down_block_types: ["CrossAttnDownBlock2D", "DownBlock2D"],
 *   up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D"],
 *   cross_attention_dim: 64,
 * });
 * const noise = unet(new Scope(graph, new Map<string, ParameterSpec>(), "unet/"), config, {
 *   sample: graph.input("sample", [4, 16, 16, 4]),
 *   timesteps: graph.input("timesteps", [4]),
 *   context: graph.input("context", [4, 16, 64]),
 * });
 * ```
 */
export function unet(scope: Scope, config: UNetConfig, inputs: UNetInputs, control?: Residuals): Value {
  const { mid, skips, time } = encode(scope, config, inputs);
  return decode(scope, config, inputs, {
    mid: control ? add(mid, control.mid) : mid,
    skips: control
      ? skips.map((skip, k) => add(skip, itemAt(control.down, k, "the residuals of the ControlNet")))
      : skips,
    time,
  });
}

/** The decoder half of a UNet, from the outputs of {@linkcode encode}. */
export function decode(scope: Scope, config: UNetConfig, inputs: UNetInputs, encoded: Encoded): Value {
  const { block_out_channels, up_block_types } = config;
  const levels = block_out_channels.length;
  if (up_block_types.length !== levels) {
    throw new InputError(
      `Cannot build the UNet: the length of up_block_types is ${up_block_types.length}, not ${levels}`,
    );
  }
  const blocks = { groups: config.norm_num_groups, eps: config.norm_eps, time: encoded.time };
  const skips = [...encoded.skips];
  let h = encoded.mid;
  up_block_types.forEach((type, k) => {
    const level = levels - 1 - k;
    const block = scope.at(`up_blocks.${k}`);
    for (let j = 0; j <= at(config.layers_per_block, level); j++) {
      const skip = skips.pop();
      if (!skip) throw new InputError("Cannot build the UNet: its encoder has fewer layers than its decoder takes");
      h = resnet(block.at(`resnets.${j}`), concat([h, skip], 3), at(block_out_channels, level), blocks);
      if (type === "CrossAttnUpBlock2D") {
        const heads = at(config.attention_head_dim, level);
        h = transformer(block.at(`attentions.${j}`), h, heads, transformerOptions(config, inputs.context, level));
      }
    }
    if (level > 0) h = upsample(block.at("upsamplers.0"), h);
  });
  const normed = normalise(scope, "conv_norm_out", h, { groups: config.norm_num_groups, eps: config.norm_eps });
  return convolve(scope, "conv_out", silu(normed), config.out_channels);
}
