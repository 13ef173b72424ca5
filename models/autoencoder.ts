/**
 * The autoencoder of latent diffusion, KL-regularised: images to latents and back.
 *
 *     image [N, H, W, 3] in [-1, 1]
 *        │ encoder.conv_in, down_blocks: resnet x layers_per_block, stride 2 between
 *     [N, H/f, W/f, Cn]
 *        │ mid_block: resnet, attention (one head), resnet; conv_norm_out, SiLU, conv_out
 *     [N, H/f, W/f, 8] ─ quant_conv ─ mean | log of the variance, 4 channels each
 *
 *     latent [N, H/f, W/f, 4] ─ post_quant_conv ─ decoder.conv_in ─ mid_block ─ up_blocks ─ conv_out ─ [N, H, W, 3]
 *
 * Easy to get wrong:
 * - all normalisations have eps 1e-6;
 * - a downsampler pads right and bottom only, by 1, and has stride 2;
 * - the attention has one head, biases everywhere and its own residual;
 * - the UNet sees latents times `scaling_factor`; the functions here do not apply it.
 *
 * Source: Rombach et al. 2021, arXiv 2112.10752; diffusers v0.20.2, AutoencoderKL.
 *
 * @module
 */

import { z } from "zod";
import { add } from "../ops/add.ts";
import { clamp } from "../ops/clamp.ts";
import { exp } from "../ops/exp.ts";
import { mul } from "../ops/mul.ts";
import { reshape } from "../ops/reshape.ts";
import { scale } from "../ops/scale.ts";
import { silu } from "../ops/silu.ts";
import { slice } from "../ops/slice.ts";
import { sub } from "../ops/sub.ts";
import { sumTo } from "../ops/sum.ts";
import { elements, showShape, type Value } from "../runtime/graph.ts";
import type { ConfigFormat } from "./config.ts";
import { attend, convolve, normalise, resnet, upsample } from "./layers.ts";
import type { Scope } from "./params.ts";

const size = z.int().min(1);

const autoencoderSchema = z.object({
  in_channels: size.default(3),
  out_channels: size.default(3),
  down_block_types: z.array(z.literal("DownEncoderBlock2D")).min(1),
  up_block_types: z.array(z.literal("UpDecoderBlock2D")).min(1),
  block_out_channels: z.array(size).min(1),
  layers_per_block: size.default(1),
  latent_channels: size.default(4),
  norm_num_groups: size.default(32),
  sample_size: size.default(32),
  scaling_factor: z.number().positive().default(0.18215),
  mid_block_add_attention: z.boolean().default(true),
});

/** Configuration of an autoencoder; diffusers' names and defaults. */
export type AutoencoderConfig = z.output<typeof autoencoderSchema>;

/** `config.json` of an autoencoder. */
export const autoencoderFormat: ConfigFormat<AutoencoderConfig> = {
  name: "AutoencoderKL",
  schema: autoencoderSchema as z.ZodType<AutoencoderConfig>,
  fixed: { act_fn: "silu", use_quant_conv: true, use_post_quant_conv: true },
  // About f16, and this is f32.
  ignored: /^force_upcast$/,
};

/** A normal distribution over latents, independent for each element. */
export interface Posterior {
  /** `[N, h, w, latent_channels]`. */
  readonly mean: Value;
  /** Logarithm of the variance, clamped to [-30, 20]. */
  readonly logvar: Value;
}

function mid(scope: Scope, config: AutoencoderConfig, x: Value): Value {
  const [N, H, W, C] = x.shape as [number, number, number, number];
  const norm = { groups: config.norm_num_groups, eps: 1e-6 };
  let h = resnet(scope.at("resnets.0"), x, C, norm);
  if (config.mid_block_add_attention) {
    const at = scope.at("attentions.0");
    const tokens = reshape(normalise(at, "group_norm", h, norm), [N, H * W, C]);
    h = add(h, reshape(attend(at, tokens, tokens, 1, true), [N, H, W, C]));
  }
  return resnet(scope.at("resnets.1"), h, C, norm);
}

/**
 * Encodes images.
 *
 * @param scope Where the parameters are named: `new Scope(graph, specs, "vae/")`.
 * @param config Diffusers' configuration.
 * @param image `[N, H, W, in_channels]`, in [-1, 1].
 * @throws {TypeError} If the shape does not fit the configuration.
 */
export function encodeImage(scope: Scope, config: AutoencoderConfig, image: Value): Posterior {
  const { block_out_channels, latent_channels } = config;
  const factor = 2 ** (block_out_channels.length - 1);
  if (image.shape[3] !== config.in_channels || image.shape[1]! % factor || image.shape[2]! % factor) {
    throw new TypeError(
      `Cannot encode an image of shape ${showShape(image.shape)}: ` +
        `[N, H, W, ${config.in_channels}] with H and W multiples of ${factor} is expected`,
    );
  }
  const norm = { groups: config.norm_num_groups, eps: 1e-6 };
  const at = scope.at("encoder");
  let h = convolve(at, "conv_in", image, block_out_channels[0]!);
  block_out_channels.forEach((channels, level) => {
    const block = at.at(`down_blocks.${level}`);
    for (let k = 0; k < config.layers_per_block; k++) h = resnet(block.at(`resnets.${k}`), h, channels, norm);
    if (level < block_out_channels.length - 1) {
      h = convolve(block.at("downsamplers.0"), "conv", h, channels, { stride: 2, padding: [0, 0, 1, 1] });
    }
  });
  h = mid(at.at("mid_block"), config, h);
  h = convolve(at, "conv_out", silu(normalise(at, "conv_norm_out", h, norm)), 2 * latent_channels);
  const moments = convolve(scope, "quant_conv", h, 2 * latent_channels, { kernel: 1 });
  return {
    mean: slice(moments, 3, 0, latent_channels),
    logvar: clamp(slice(moments, 3, latent_channels, latent_channels), -30, 20),
  };
}

/**
 * Draws from a posterior: `mean + exp(logvar / 2) noise`.
 *
 * @param noise Standard normal, in the shape of the mean.
 */
export function sampleLatent({ mean, logvar }: Posterior, noise: Value): Value {
  return add(mean, mul(exp(scale(logvar, 0.5)), noise));
}

/**
 * Divergence of a posterior from the standard normal: the sum over all its elements of
 * `(mean^2 + exp(logvar) - 1 - logvar) / 2`.
 *
 * @returns One number for each image, `[N]`.
 */
export function divergence({ mean, logvar }: Posterior): Value {
  const elementwise = scale(sub(add(mul(mean, mean), exp(logvar)), logvar), 0.5, -0.5);
  const N = mean.shape[0]!;
  return reshape(sumTo(reshape(elementwise, [N, elements(mean.shape) / N]), [N, 1]), [N]);
}

/**
 * Decodes latents (without the scaling factor).
 *
 * @param scope The same as for {@linkcode encodeImage}.
 * @param config Diffusers' configuration.
 * @param latent `[N, h, w, latent_channels]`.
 * @returns `[N, H, W, out_channels]`, about in [-1, 1].
 */
export function decodeLatent(scope: Scope, config: AutoencoderConfig, latent: Value): Value {
  const levels = config.block_out_channels.length;
  const norm = { groups: config.norm_num_groups, eps: 1e-6 };
  const at = scope.at("decoder");
  let h = convolve(scope, "post_quant_conv", latent, config.latent_channels, { kernel: 1 });
  h = mid(at.at("mid_block"), config, convolve(at, "conv_in", h, config.block_out_channels[levels - 1]!));
  for (let k = 0; k < levels; k++) {
    const block = at.at(`up_blocks.${k}`);
    const channels = config.block_out_channels[levels - 1 - k]!;
    for (let j = 0; j <= config.layers_per_block; j++) h = resnet(block.at(`resnets.${j}`), h, channels, norm);
    if (k < levels - 1) h = upsample(block.at("upsamplers.0"), h);
  }
  return convolve(at, "conv_out", silu(normalise(at, "conv_norm_out", h, norm)), config.out_channels);
}
