/**
 * ControlNet: a trainable copy of a UNet's encoder that reads an image and adds to the UNet's skips.
 *
 *     cond [N, 8 H, 8 W, 3], in [0, 1]
 *        │ controlnet_cond_embedding: conv_in, (conv, conv stride 2) x 3, SiLU between, zero conv_out
 *     [N, H, W, C0] ─ + conv_in(sample) ─ down_blocks ─ mid_block          as in models/diffusion/unet.ts
 *                     │                   │             │
 *             controlnet_down_blocks.0   .1 ...   controlnet_mid_block      zero convolutions, 1 by 1
 *                     │                   │             │
 *                    to the UNet's skips, in order      to its mid output
 *
 * Easy to get wrong:
 * - there is a zero convolution for conv_in, for each residual block (with its attention) and for each downsampler;
 * - at first everything but the residual zero convolutions has no gradient, not even the zero conv of the hint;
 * - the hint is RGB in [0, 1], not in [-1, 1];
 * - guess mode scales residual k of n by `10 ^ (k / (n - 1) - 1)`, the mid one last.
 *
 * Source: Zhang et al. 2023, arXiv 2302.05543; diffusers v0.20.2, ControlNetModel.
 *
 * @module
 */

import { z } from "zod";
import { affine } from "../../ops/affine.ts";
import { silu } from "../../ops/silu.ts";
import { extent, type Value } from "../../engine/graph.ts";
import { itemAt } from "../../engine/lookup.ts";
import type { ConfigFormat } from "../io/config.ts";
import { convolve } from "./layers.ts";
import { type HostTensors, type Scope, type Specs, ZEROS } from "../io/params.ts";
import { fileName } from "../io/parameter_files.ts";
import { encode, type EncoderConfig, encoderFormat, type Residuals, type UNetConfig, type UNetInputs } from "./unet.ts";

const controlnetSchema = z.object({
  ...encoderFormat.schema,
  conditioning_channels: z.int().min(1).default(3),
  conditioning_embedding_out_channels: z.array(z.int().min(1)).min(1).default([16, 32, 96, 256]),
});

/** Configuration of a ControlNet; diffusers' names and defaults. */
export interface ControlNetConfig extends EncoderConfig {
  /** Channels of the hint. */
  conditioning_channels: number;
  /** Channels of the layers that embed the hint, each of half the size of the one before. */
  conditioning_embedding_out_channels: number[];
}

/** `config.json` of a ControlNet. */
export const controlnetFormat: ConfigFormat<ControlNetConfig> = {
  name: "ControlNetModel",
  schema: controlnetSchema,
  fixed: {
    ...encoderFormat.fixed,
    controlnet_conditioning_channel_order: "rgb",
    global_pool_conditions: false,
    mid_block_type: "UNetMidBlock2DCrossAttn",
    num_attention_heads: null,
  },
  ignored: encoderFormat.ignored,
};

/** Strength of a ControlNet. */
export interface ControlOptions {
  /** Factor of all residuals; by default 1. */
  readonly scale?: number;
  /** Weak at high resolutions, for use without a prompt. */
  readonly guess_mode?: boolean;
}

/**
 * Encodes an image to the size of the latents: `[N, s H, s W, channels]` to `[N, H, W, C0]`, where s is 2 to the
 * number of steps of `conditioning_embedding_out_channels`.
 */
export function embedHint(scope: Scope, config: ControlNetConfig, cond: Value): Value {
  const at = scope.at("controlnet_cond_embedding");
  const sizes = config.conditioning_embedding_out_channels;
  let h = silu(convolve(at, "conv_in", cond, itemAt(sizes, 0, "conditioning_embedding_out_channels")));
  for (const [k, channels] of sizes.slice(1).entries()) {
    h = silu(convolve(at.at("blocks"), `${2 * k}`, h, extent(h, 3)));
    h = silu(convolve(at.at("blocks"), `${2 * k + 1}`, h, channels, { stride: 2 }));
  }
  return convolve(at, "conv_out", h, itemAt(config.block_out_channels, 0, "block_out_channels"), { init: ZEROS });
}

/**
 * Residuals that a ControlNet adds to a UNet with the same inputs.
 *
 * @param scope Where its parameters are named: `new Scope(graph, specs, "controlnet/")`.
 * @param config Diffusers' configuration.
 * @param inputs Those of the UNet.
 * @param cond The image, `[N, s H, s W, conditioning_channels]` in [0, 1].
 * @throws {TypeError} If a shape does not fit the configuration.
 */
export function controlnet(
  scope: Scope,
  config: ControlNetConfig,
  inputs: UNetInputs,
  cond: Value,
  options: ControlOptions = {},
): Residuals {
  return controlFromHint(scope, config, inputs, embedHint(scope, config, cond), options);
}

/** As {@linkcode controlnet}, for an image that {@linkcode embedHint} encoded before: once for all steps of a sampler. */
export function controlFromHint(
  scope: Scope,
  config: ControlNetConfig,
  inputs: UNetInputs,
  hint: Value,
  options: ControlOptions = {},
): Residuals {
  const { mid, skips } = encode(scope, config, inputs, hint);
  const zero = (name: string, x: Value) => convolve(scope, name, x, extent(x, 3), { kernel: 1, init: ZEROS });
  const scaled = (residual: Value, k: number) => {
    const factor = (options.scale ?? 1) * (options.guess_mode ? 10 ** (k / skips.length - 1) : 1);
    return factor === 1 ? residual : affine(residual, factor);
  };
  const down = skips.map((skip, k) => zero(`controlnet_down_blocks.${k}`, skip));
  const middle = zero("controlnet_mid_block", mid);
  return { down: down.map(scaled), mid: scaled(middle, skips.length) };
}

/** The configuration of the ControlNet that belongs to a UNet. */
export function controlnetConfigFor(
  unet: UNetConfig,
  hint: Partial<Pick<ControlNetConfig, "conditioning_channels" | "conditioning_embedding_out_channels">> = {},
): ControlNetConfig {
  const { sample_size: _, out_channels: __, up_block_types: ___, ...encoder } = unet;
  const { conditioning_channels = 3, conditioning_embedding_out_channels = [16, 32, 96, 256] } = hint;
  return { ...(encoder satisfies EncoderConfig), conditioning_channels, conditioning_embedding_out_channels };
}

/**
 * Copies a UNet's encoder into a ControlNet's first values, in place; the hint network and the zero convolutions stay.
 *
 * @param tensors First values of the ControlNet.
 * @param unet Values of a UNet and of nothing else, under names with any prefix.
 * @param specs Parameters of the ControlNet.
 */
export function copyEncoder(tensors: HostTensors, unet: HostTensors, specs: Specs): void {
  const sources = new Map([...unet].map(([name, tensor]) => [fileName(name), tensor]));
  for (const name of specs.keys()) {
    const source = sources.get(fileName(name));
    if (source) tensors.set(name, { shape: [...source.shape], data: source.data.slice() });
  }
}
