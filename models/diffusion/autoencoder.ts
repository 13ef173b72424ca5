/**
 * The autoencoders of latent diffusion, images to latents and back: KL-regularised (AutoencoderKL), or with a codebook
 * (VQModel).
 *
 *     image [N, H, W, 3] in [-1, 1]
 *        │ encoder.conv_in, down_blocks: resnet (, attention) x layers_per_block, stride 2 between
 *     [N, H/f, W/f, Cn]
 *        │ mid_block: resnet, attention (one head), resnet; conv_norm_out, SiLU, conv_out
 *        ├ KL: [N, H/f, W/f, 8] ─ quant_conv ─ mean | log of the variance, 4 channels each
 *        └ VQ: [N, H/f, W/f, 4] ─ quant_conv ─ latent
 *
 *     VQ: latent ─ the nearest row of quantize.embedding
 *     latent [N, H/f, W/f, 4] ─ post_quant_conv ─ decoder.conv_in ─ mid_block ─ up_blocks ─ conv_out ─ [N, H, W, 3]
 *
 * Easy to get wrong:
 * - all normalisations have eps 1e-6;
 * - a downsampler pads right and bottom only, by 1, and has stride 2;
 * - the attention has one head, biases everywhere and its own residual;
 * - the UNet sees latents times `scaling_factor`; the functions here do not apply it;
 * - with a codebook, diffusion works on the latents before they are quantised: the decoder does that.
 *
 * Source: Rombach et al. 2021, arXiv 2112.10752; van den Oord et al. 2017, arXiv 1711.00937; diffusers v0.20.2,
 * AutoencoderKL and VQModel.
 *
 * @module
 */

import { z } from "zod";
import { InputError } from "../../formats/input_error.ts";
import { add } from "../../ops/add.ts";
import { clamp } from "../../ops/clamp.ts";
import { embedding } from "../../ops/embedding.ts";
import { exp } from "../../ops/exp.ts";
import { mse } from "../../ops/mse.ts";
import { mul } from "../../ops/mul.ts";
import { nearestRow } from "../../ops/nearest_row.ts";
import { reshape } from "../../ops/reshape.ts";
import { affine } from "../../ops/affine.ts";
import { silu } from "../../ops/silu.ts";
import { slice } from "../../ops/slice.ts";
import { stopGradient } from "../../ops/stop_gradient.ts";
import { sub } from "../../ops/sub.ts";
import { sumTo } from "../../ops/sum.ts";
import { dims, elements, extent, showShape, type Value } from "../../engine/graph.ts";
import { itemAt } from "../../engine/lookup.ts";
import type { ConfigFormat } from "../io/config.ts";
import { attend, convolve, normalise, resnet, upsample } from "./layers.ts";
import type { Scope } from "../io/params.ts";

const size = z.int().min(1);

const common = {
  in_channels: size.default(3),
  out_channels: size.default(3),
  down_block_types: z.array(z.enum(["DownEncoderBlock2D", "AttnDownEncoderBlock2D"])).min(1),
  up_block_types: z.array(z.enum(["UpDecoderBlock2D", "AttnUpDecoderBlock2D"])).min(1),
  block_out_channels: z.array(size).min(1),
  layers_per_block: size.default(1),
  norm_num_groups: size.default(32),
  sample_size: size.default(32),
  scaling_factor: z.number().positive().default(0.18215),
  mid_block_add_attention: z.boolean().default(true),
};

const klSchema = z.object({ ...common, latent_channels: size.default(4) });

const vqSchema = z.object({
  ...common,
  latent_channels: size.default(3),
  num_vq_embeddings: size.default(256),
  vq_embed_dim: size.nullable().default(null),
});

/** Configuration of an autoencoder; diffusers' names and defaults. One with `num_vq_embeddings` has a codebook. */
export interface AutoencoderConfig {
  /** Channels of the images to encode. */
  in_channels: number;
  /** Channels of the decoded images. */
  out_channels: number;
  /** Blocks of the encoder; those with "Attn" have self-attention. */
  down_block_types: ("DownEncoderBlock2D" | "AttnDownEncoderBlock2D")[];
  /** Blocks of the decoder. */
  up_block_types: ("UpDecoderBlock2D" | "AttnUpDecoderBlock2D")[];
  /** Channels of each block. */
  block_out_channels: number[];
  /** Residual layers of each block. */
  layers_per_block: number;
  /** Groups of the normalisations. */
  norm_num_groups: number;
  /** Side of the images it was trained on. */
  sample_size: number;
  /** Factor of the latents that makes their variance about 1. */
  scaling_factor: number;
  /** True if the middle blocks have self-attention. */
  mid_block_add_attention: boolean;
  /** Channels of the latents. */
  latent_channels: number;
  /** Vectors of the codebook, if there is one. */
  num_vq_embeddings?: number;
  /** Length of a codebook vector; null for `latent_channels`. */
  vq_embed_dim?: number | null;
}

/** `config.json` of an autoencoder with a codebook. */
export const vqFormat: ConfigFormat<AutoencoderConfig> = {
  name: "VQModel",
  schema: vqSchema,
  fixed: { act_fn: "silu", norm_type: "group", lookup_from_codebook: false },
  ignored: /^force_upcast$/,
};

/** `config.json` of an autoencoder of either kind. */
export const autoencoderFormat: ConfigFormat<AutoencoderConfig> = {
  name: "AutoencoderKL",
  schema: klSchema,
  fixed: { act_fn: "silu", use_quant_conv: true, use_post_quant_conv: true },
  // About f16, and this is f32.
  ignored: /^force_upcast$/,
  other: { format: vqFormat, is: hasCodebook },
};

/** True if latents are quantised. */
export function hasCodebook(config: AutoencoderConfig): boolean {
  return config.num_vq_embeddings !== undefined;
}

/** Channels of the latents that {@linkcode encodeLatent} gives and {@linkcode decodeLatent} takes. */
export function latentChannels({ latent_channels, vq_embed_dim }: AutoencoderConfig): number {
  return vq_embed_dim ?? latent_channels;
}

/** Side of the latents of square images: each level after the first halves it. */
export function latentSide(
  { block_out_channels }: Pick<AutoencoderConfig, "block_out_channels">,
  size_px: number,
): number {
  return size_px / 2 ** (block_out_channels.length - 1);
}

/** A normal distribution over latents, independent for each element. */
export interface Posterior {
  /** `[N, h, w, latent_channels]`. */
  readonly mean: Value;
  /** Logarithm of the variance, clamped to [-30, 20]. */
  readonly logvar: Value;
}

/** Attention of one head over all pixels, with its own residual. */
function attendPixels(scope: Scope, config: AutoencoderConfig, x: Value): Value {
  const { N, H, W, C } = dims(x, "N H W C");
  const norm = { groups: config.norm_num_groups, eps: 1e-6 };
  const tokens = reshape(normalise(scope, "group_norm", x, norm), [N, H * W, C]);
  return add(x, reshape(attend(scope, tokens, tokens, 1, true), [N, H, W, C]));
}

function mid(scope: Scope, config: AutoencoderConfig, x: Value): Value {
  const C = extent(x, 3);
  const norm = { groups: config.norm_num_groups, eps: 1e-6 };
  let h = resnet(scope.at("resnets.0"), x, C, norm);
  if (config.mid_block_add_attention) h = attendPixels(scope.at("attentions.0"), config, h);
  return resnet(scope.at("resnets.1"), h, C, norm);
}

/** Image to the output of `quant_conv`. */
function encode(scope: Scope, config: AutoencoderConfig, image: Value): Value {
  const { block_out_channels, latent_channels } = config;
  const factor = 2 ** (block_out_channels.length - 1);
  const { H, W, C } = dims(image, "N H W C");
  if (C !== config.in_channels || H % factor || W % factor) {
    throw new InputError(
      `Cannot encode an image of shape ${showShape(image.shape)}: ` +
        `[N, H, W, ${config.in_channels}] with H and W multiples of ${factor} is expected`,
    );
  }
  const norm = { groups: config.norm_num_groups, eps: 1e-6 };
  const at = scope.at("encoder");
  let h = convolve(at, "conv_in", image, itemAt(block_out_channels, 0, "block_out_channels"));
  block_out_channels.forEach((channels, level) => {
    const block = at.at(`down_blocks.${level}`);
    for (let k = 0; k < config.layers_per_block; k++) {
      h = resnet(block.at(`resnets.${k}`), h, channels, norm);
      if (config.down_block_types[level]?.startsWith("Attn")) h = attendPixels(block.at(`attentions.${k}`), config, h);
    }
    if (level < block_out_channels.length - 1) {
      h = convolve(block.at("downsamplers.0"), "conv", h, channels, { stride: 2, padding: [0, 0, 1, 1] });
    }
  });
  h = mid(at.at("mid_block"), config, h);
  const [out, quantised] = hasCodebook(config)
    ? [latent_channels, latentChannels(config)]
    : [2 * latent_channels, 2 * latent_channels];
  h = convolve(at, "conv_out", silu(normalise(at, "conv_norm_out", h, norm)), out);
  return convolve(scope, "quant_conv", h, quantised, { kernel: 1 });
}

/**
 * Encodes images to the distribution of a KL autoencoder.
 *
 * @param scope Where the parameters are named: `new Scope(graph, specs, "vae/")`.
 * @param config Diffusers' configuration.
 * @param image `[N, H, W, in_channels]`, in [-1, 1].
 * @throws {InputError} If the shape does not fit the configuration, or the autoencoder has a codebook.
 */
export function encodeImage(scope: Scope, config: AutoencoderConfig, image: Value): Posterior {
  if (hasCodebook(config)) {
    throw new TypeError("Cannot encode to a distribution: an autoencoder with a codebook has none");
  }
  const { latent_channels } = config;
  const moments = encode(scope, config, image);
  return {
    mean: slice(moments, 3, 0, latent_channels),
    logvar: clamp(slice(moments, 3, latent_channels, latent_channels), -30, 20),
  };
}

/**
 * Encodes images to the latents of a diffusion model, before the scaling factor: the mean of the distribution, or the
 * latents before they are quantised.
 *
 * @param scope As for {@linkcode encodeImage}.
 * @param image `[N, H, W, in_channels]`, in [-1, 1].
 * @returns `[N, h, w, latent channels]`.
 * @throws {InputError} If the shape does not fit the configuration.
 */
export function encodeLatent(scope: Scope, config: AutoencoderConfig, image: Value): Value {
  return hasCodebook(config) ? encode(scope, config, image) : encodeImage(scope, config, image).mean;
}

/** Latents of an autoencoder with a codebook, quantised. */
export interface Quantised {
  /** The nearest code of each latent, `[N, h, w, C]`; gradients go to the codebook. */
  readonly code: Value;
  /** Equal to `code`, with gradients that go straight to the latents. */
  readonly latent: Value;
  /** Row of each code in the codebook, `[N, h, w]`. */
  readonly ids: Value;
}

/**
 * Replaces latents by the nearest rows of the codebook `quantize.embedding`.
 *
 * @param scope As for {@linkcode encodeImage}.
 * @param latent `[N, h, w, C]`.
 */
export function quantise(scope: Scope, config: AutoencoderConfig, latent: Value): Quantised {
  const count = config.num_vq_embeddings;
  if (count === undefined) throw new TypeError("Cannot quantise latents: the autoencoder has no codebook");
  const table = scope.parameter("quantize.embedding.weight", [count, latentChannels(config)], "plain", {
    kind: "uniform",
    bound: 1 / count,
  });
  const ids = nearestRow(table, latent);
  const code = embedding(table, ids);
  return { code, latent: add(latent, stopGradient(sub(code, latent))), ids };
}

/**
 * The two losses of a codebook: `codebook mean((code - sg(latent))^2) + commitment mean((sg(code) - latent)^2)`.
 * The first moves codes to latents and the second latents to codes.
 *
 * LDM's own weights are 0.25 and 1, the other way round than in van den Oord et al. 2017, eq. 3.
 *
 * @returns A scalar.
 */
export function codebookLoss(
  latent: Value,
  code: Value,
  { codebook = 0.25, commitment = 1 }: { readonly codebook?: number; readonly commitment?: number } = {},
): Value {
  return add(
    affine(mse(code, stopGradient(latent)), codebook),
    affine(mse(latent, stopGradient(code)), commitment),
  );
}

/**
 * Draws from a posterior: `mean + exp(logvar / 2) noise`.
 *
 * @param noise Standard normal, in the shape of the mean.
 */
export function sampleLatent({ mean, logvar }: Posterior, noise: Value): Value {
  return add(mean, mul(exp(affine(logvar, 0.5)), noise));
}

/**
 * Divergence of a posterior from the standard normal: the sum over all its elements of
 * `(mean^2 + exp(logvar) - 1 - logvar) / 2`.
 *
 * @returns One number for each image, `[N]`.
 */
export function divergence({ mean, logvar }: Posterior): Value {
  const elementwise = affine(sub(add(mul(mean, mean), exp(logvar)), logvar), 0.5, -0.5);
  const N = extent(mean, 0);
  return reshape(sumTo(reshape(elementwise, [N, elements(mean.shape) / N]), [N, 1]), [N]);
}

/**
 * Decodes latents (without the scaling factor), quantised first where there is a codebook.
 *
 * @param scope The same as for {@linkcode encodeImage}.
 * @param config Diffusers' configuration.
 * @param latent `[N, h, w, latent channels]`.
 * @param options `quantised`: the latents are quantised already, or are to be decoded as they are.
 * @returns `[N, H, W, out_channels]`, about in [-1, 1].
 */
export function decodeLatent(
  scope: Scope,
  config: AutoencoderConfig,
  latent: Value,
  { quantised = false }: { readonly quantised?: boolean } = {},
): Value {
  const channels = config.block_out_channels.toReversed();
  const norm = { groups: config.norm_num_groups, eps: 1e-6 };
  const at = scope.at("decoder");
  const z = hasCodebook(config) && !quantised ? quantise(scope, config, latent).latent : latent;
  let h = convolve(scope, "post_quant_conv", z, config.latent_channels, { kernel: 1 });
  h = mid(at.at("mid_block"), config, convolve(at, "conv_in", h, itemAt(channels, 0, "block_out_channels")));
  for (const [k, C] of channels.entries()) {
    const block = at.at(`up_blocks.${k}`);
    for (let j = 0; j <= config.layers_per_block; j++) {
      h = resnet(block.at(`resnets.${j}`), h, C, norm);
      if (config.up_block_types[k]?.startsWith("Attn")) h = attendPixels(block.at(`attentions.${j}`), config, h);
    }
    if (k < channels.length - 1) h = upsample(block.at("upsamplers.0"), h);
  }
  return convolve(at, "conv_out", silu(normalise(at, "conv_norm_out", h, norm)), config.out_channels);
}
