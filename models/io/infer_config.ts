/**
 * Configurations of networks from the shapes of their tensors under the original names of latent diffusion, Stable
 * Diffusion and ControlNet, which publish none that diffusers reads.
 *
 * Options that shapes do not determine are taken from the original's own YAML file where it is given, else from what all
 * published ones have: eight attention heads (64 channels a head in networks with linear projections, as in Stable Diffusion 2),
 * text encoders with 64 channels a head, 32 groups of a normalisation.
 *
 * @module
 */

import { z } from "zod";
import { type AutoencoderConfig, autoencoderFormat, vqFormat } from "../diffusion/autoencoder.ts";
import { type BertConfig, bertFormat } from "../diffusion/bert_text.ts";
import type { ConfigFormat } from "./config.ts";
import { countIn, type Facts, failToInfer, type NamedShapes, sizeIn } from "./named_shapes.ts";
import { type ControlNetConfig, controlnetFormat } from "../diffusion/controlnet.ts";
import { betas, LATENT_SCHEDULE, type ScheduleConfig } from "../diffusion/schedule.ts";
import { type TextEncoderConfig, textEncoderFormat } from "../diffusion/clip_text.ts";
import { type UNetConfig, unetFormat } from "../diffusion/unet.ts";

const blockParams = z.object({ num_heads: z.number(), num_head_channels: z.number() })
  .partial();
const part = <T extends z.ZodType>(params: T) => z.object({ params }).optional();

/** The used part of the YAML files that the originals publish with their checkpoints. */
export const originalConfig = z.object({
  model: z.object({
    params: z.object({
      linear_start: z.number().optional(),
      linear_end: z.number().optional(),
      timesteps: z.int().min(1).optional(),
      scale_factor: z.number().positive().optional(),
      parameterization: z.enum(["eps", "x0", "v"]).optional(),
      unet_config: part(blockParams),
      control_stage_config: part(blockParams),
      first_stage_config: part(z.object({ ddconfig: z.object({ resolution: z.int().min(1) }).optional() })),
    }),
  }),
});

/** See {@linkcode originalConfig}. */
export type OriginalConfig = z.output<typeof originalConfig>["model"]["params"];

/** Applies the schema's defaults and checks; errors of a configuration name the checkpoint. */
function checked<T>(file: NamedShapes, format: ConfigFormat<T>, config: unknown): T {
  const result = format.schema.safeParse(config);
  if (result.success) return result.data;
  return failToInfer(
    file,
    format.name,
    result.error.issues.map(({ path, message }) => `${path.join(".")} ${message}`).join("; "),
  );
}

type Block = z.output<typeof blockParams>;

function inferEncoder(file: NamedShapes, what: string, given: Block = {}) {
  let level: { channels: number[]; depth: number[] } = { channels: [], depth: [] };
  const first = level;
  const levels = [first];
  let context = 0;
  let linear = false;
  for (let k = 1;; k++) {
    const at = `input_blocks.${k}`;
    const isDownsampler = file.has(`${at}.0.op.weight`);
    if (!isDownsampler && !file.has(`${at}.0.in_layers.0.weight`)) break;
    if (isDownsampler) {
      level = { channels: [], depth: [] };
      levels.push(level);
      continue;
    }
    const { channels, depth } = level;
    channels.push(sizeIn(file, what, `${at}.0.out_layers.3.weight`, 0));
    depth.push(countIn(file, (d) => `${at}.1.transformer_blocks.${d}.attn2.to_k.weight`));
    if (!depth.at(-1)) continue;
    context = sizeIn(file, what, `${at}.1.transformer_blocks.0.attn2.to_k.weight`, 1);
    linear = file.info(`${at}.1.proj_in.weight`).shape.length === 2;
  }
  if (!context) failToInfer(file, what, "it does not look at a prompt, and only networks that do are built here");
  const same = (values: readonly number[]) => new Set(values).size === 1;
  const layers = first.channels.length;
  const alike = levels.map(({ channels, depth }, k) => {
    const [width] = channels, [blocks] = depth;
    if (width === undefined || blocks === undefined || !same(channels) || !same(depth) || channels.length !== layers) {
      return failToInfer(file, what, `the blocks of level ${k} are not alike`);
    }
    return { width, blocks };
  });
  const widths = alike.map(({ width }) => width);
  const perHead = given.num_head_channels && given.num_head_channels > 0
    ? given.num_head_channels
    : linear && !given.num_heads
    ? 64
    : 0;
  const depths = alike.map(({ blocks }) => blocks);
  return {
    in_channels: sizeIn(file, what, "input_blocks.0.0.weight", 1),
    down_block_types: depths.map((depth) => depth ? "CrossAttnDownBlock2D" : "DownBlock2D"),
    block_out_channels: widths,
    layers_per_block: layers,
    cross_attention_dim: context,
    attention_head_dim: perHead ? widths.map((width) => width / perHead) : given.num_heads ?? 8,
    transformer_layers_per_block: same(depths.filter(Boolean)) ? Math.max(...depths) : depths.map((d) => d || 1),
    use_linear_projection: linear,
  };
}

/** Infers the configuration of a UNet under CompVis' names. */
export function inferUNet(file: NamedShapes, original?: OriginalConfig): UNetConfig {
  const encoder = inferEncoder(file, "UNet", original?.unet_config?.params);
  return checked(file, unetFormat, {
    ...encoder,
    // For images of 512 pixels; the originals' own image_size is not used there, and often wrong.
    sample_size: 64,
    out_channels: sizeIn(file, "UNet", "out.2.weight", 0),
    up_block_types: encoder.down_block_types.toReversed()
      .map((type) => type === "DownBlock2D" ? "UpBlock2D" : "CrossAttnUpBlock2D"),
  });
}

/** Infers the configuration of a ControlNet under its original names. */
export function inferControlNet(file: NamedShapes, original?: OriginalConfig): ControlNetConfig {
  const what = "ControlNet";
  // Convolutions have even numbers, SiLU the odd ones; from every second one to the next the channels change.
  const convolutions = countIn(file, (k) => `input_hint_block.${2 * k}.weight`);
  const channels = [];
  for (let k = 0; k < convolutions - 1; k += 2) {
    channels.push(sizeIn(file, what, `input_hint_block.${2 * k}.weight`, 0));
  }
  return checked(file, controlnetFormat, {
    ...inferEncoder(file, what, original?.control_stage_config?.params),
    conditioning_channels: sizeIn(file, what, "input_hint_block.0.weight", 1),
    conditioning_embedding_out_channels: channels,
  });
}

/**
 * Infers the configuration of an autoencoder under CompVis' names, with a codebook or without.
 *
 * @param facts Factor of the latents for the UNet, where the checkpoint has it.
 */
export function inferAutoencoder(
  file: NamedShapes,
  original?: OriginalConfig,
  { scale }: Facts = {},
): AutoencoderConfig {
  const what = "autoencoder";
  const levels = countIn(file, (k) => `encoder.down.${k}.block.0.conv1.weight`);
  const attention = Array.from({ length: levels }, (_, k) => file.has(`encoder.down.${k}.attn.0.q.weight`));
  const codebook = file.has("quantize.embedding.weight");
  const latent = sizeIn(file, what, "post_quant_conv.weight", 0);
  const embedded = sizeIn(file, what, "post_quant_conv.weight", 1);
  if (!codebook && embedded !== latent) {
    failToInfer(
      file,
      what,
      `its latents have ${embedded} channels and its decoder takes ${latent}, which is not built here`,
    );
  }
  return checked(file, codebook ? vqFormat : autoencoderFormat, {
    in_channels: sizeIn(file, what, "encoder.conv_in.weight", 1),
    out_channels: sizeIn(file, what, "decoder.conv_out.weight", 0),
    down_block_types: attention.map((yes) => yes ? "AttnDownEncoderBlock2D" : "DownEncoderBlock2D"),
    up_block_types: attention.toReversed().map((yes) => yes ? "AttnUpDecoderBlock2D" : "UpDecoderBlock2D"),
    block_out_channels: attention.map((_, k) => sizeIn(file, what, `encoder.down.${k}.block.0.conv1.weight`, 0)),
    layers_per_block: countIn(file, (k) => `encoder.down.0.block.${k}.conv1.weight`),
    latent_channels: latent,
    ...codebook && {
      num_vq_embeddings: sizeIn(file, what, "quantize.embedding.weight", 0),
      vq_embed_dim: embedded,
    },
    sample_size: original?.first_stage_config?.params.ddconfig?.resolution ?? 512,
    scaling_factor: scale ?? original?.scale_factor ?? (codebook ? 1 : 0.18215),
    mid_block_add_attention: file.has("encoder.mid.attn_1.q.weight"),
  });
}

/** Infers the configuration of a CLIP text encoder, which has transformers' names everywhere. */
export function inferTextEncoder(file: NamedShapes): TextEncoderConfig {
  const what = "text encoder";
  const token = "text_model.embeddings.token_embedding.weight";
  const width = sizeIn(file, what, token, 1);
  return checked(file, textEncoderFormat, {
    vocab_size: sizeIn(file, what, token, 0),
    hidden_size: width,
    intermediate_size: sizeIn(file, what, "text_model.encoder.layers.0.mlp.fc1.weight", 0),
    num_hidden_layers: countIn(file, (k) => `text_model.encoder.layers.${k}.mlp.fc1.weight`),
    num_attention_heads: width / 64,
    max_position_embeddings: sizeIn(file, what, "text_model.embeddings.position_embedding.weight", 0),
  });
}

/** Infers the configuration of LDM's text encoder under CompVis' names. */
export function inferBert(file: NamedShapes): BertConfig {
  const what = "text encoder";
  const layer = (k: number) => `transformer.attn_layers.layers.${k}`;
  return checked(file, bertFormat, {
    vocab_size: sizeIn(file, what, "transformer.token_emb.weight", 0),
    d_model: sizeIn(file, what, "transformer.token_emb.weight", 1),
    max_position_embeddings: sizeIn(file, what, "transformer.pos_emb.emb.weight", 0),
    encoder_layers: countIn(file, (k) => `${layer(2 * k)}.1.to_q.weight`),
    encoder_ffn_dim: sizeIn(file, what, `${layer(1)}.1.net.0.0.weight`, 0),
    encoder_attention_heads: sizeIn(file, what, `${layer(0)}.1.to_q.weight`, 0) / 64,
    head_dim: 64,
  });
}

/**
 * Infers the noise schedule of a complete checkpoint from its `betas`.
 *
 * @throws {InputError} If they are of no schedule that is known.
 */
export async function inferSchedule(file: NamedShapes, original?: OriginalConfig): Promise<ScheduleConfig> {
  const types = { eps: "epsilon", x0: "sample", v: "v_prediction" } as const;
  const config: ScheduleConfig = {
    ...LATENT_SCHEDULE,
    prediction_type: types[original?.parameterization ?? "eps"],
    beta_start: original?.linear_start ?? LATENT_SCHEDULE.beta_start,
    beta_end: original?.linear_end ?? LATENT_SCHEDULE.beta_end,
    num_train_timesteps: original?.timesteps ?? LATENT_SCHEDULE.num_train_timesteps,
  };
  if (!file.has("betas")) return config;
  const { data } = await file.read("betas");
  const rounding = roundingOf(data);
  const ends = [data.at(0), data.at(-1)].map((beta) => restored(beta ?? 0, rounding));
  const found = { ...config, num_train_timesteps: data.length };
  const [beta_start = 0, beta_end = 0] = ends;
  const candidates: ScheduleConfig[] = [
    ...original?.linear_start ? [{ ...found, beta_schedule: "scaled_linear" } as const] : [],
    { ...found, beta_schedule: "scaled_linear", beta_start, beta_end },
    { ...found, beta_schedule: "linear", beta_start, beta_end },
    { ...found, beta_schedule: "squaredcos_cap_v2" },
  ];
  const tolerance = 1e-4 + 2 * rounding;
  const fits = (candidate: ScheduleConfig) =>
    candidate.beta_start > 0 &&
    betas(candidate).every((beta, k) => Math.abs((data[k] ?? NaN) - beta) <= tolerance * beta);
  return candidates.find(fits) ?? failToInfer(
    file,
    "noise schedule",
    "its betas are neither linear, in themselves or in their roots, nor of a cosine",
  );
}

/** Largest relative error of rounding to F16 and BF16. */
const ROUNDING = { f16: 2 ** -11, bf16: 2 ** -8 } as const;

/** Relative error of numbers that were rounded to F16 or BF16, whatever type they have now; 0 for others. */
export function roundingOf(data: Float32Array): number {
  // BF16 first: most of its numbers are numbers of F16 too.
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  if (bits.every((word) => (word & 0xffff) === 0)) return ROUNDING.bf16;
  return data.every((value) => Math.f16round(value) === value) ? ROUNDING.f16 : 0;
}

/** Factors of latents in published models: Stable Diffusion 1 and 2, and XL. */
export const PUBLISHED_SCALES = [0.18215, 0.13025];

/**
 * The number that was rounded: one of those that are known, or the one with the fewest digits.
 *
 * @param rounding Relative error, see {@linkcode roundingOf}.
 */
export function restored(value: number, rounding: number, known: readonly number[] = []): number {
  const digits = Array.from({ length: 5 }, (_, k) => Number(value.toPrecision(k + 1)));
  const near = rounding === 0
    ? undefined
    : [...known, ...digits].find((number) => Math.abs(number - value) <= rounding * value);
  return near ?? Number(value.toPrecision(6));
}
