/**
 * A text encoder and a UNet from scratch: their options and configurations.
 *
 * @module
 */
import { z } from "zod";
import { textEncoderFormat } from "../../models/diffusion/clip_text.ts";
import { type UNetConfig, unetFormat } from "../../models/diffusion/unet.ts";
import type { TextConfig } from "../../models/io/pipeline_folder.ts";

/** Options of new networks. */
export const newNetworkOptions = {
  channels: z.array(z.int().min(4)).min(1).default([64, 128]).describe("Channels of each level of the UNet"),
  layers: z.int().min(1).default(1).describe("Residual blocks of a level"),
  attention_levels: z.array(z.boolean()).optional().describe(
    "Levels with attention; by default all but the first",
  ),
  heads: z.int().min(1).default(4).describe("Attention heads"),
  groups: z.int().min(1).default(16).describe("Groups of the normalisations"),
  text_width: z.int().min(4).default(64).describe("Width of the text encoder"),
  text_layers: z.int().min(1).default(2).describe("Layers of the text encoder"),
  text_length: z.int().min(4).max(77).default(12).describe("Tokens of a prompt"),
};

/** Names of these options. */
export const NEW_NETWORKS: readonly string[] = Object.keys(newNetworkOptions);

/** The options above as a stage gets them. */
export type NewNetworkOptions = z.output<z.ZodObject<typeof newNetworkOptions>>;

/** Attention heads of the text encoder. */
export const TEXT_HEADS = 4;

/** Configuration of a new text encoder. */
export function newText({ text_width, text_layers, text_length }: NewNetworkOptions, vocab_size: number): TextConfig {
  const config = textEncoderFormat.schema.parse({
    vocab_size,
    hidden_size: text_width,
    intermediate_size: 4 * text_width,
    num_hidden_layers: text_layers,
    num_attention_heads: TEXT_HEADS,
    max_position_embeddings: text_length,
  });
  return { kind: "clip", config };
}

/** Configuration of a new UNet. */
export function newUnet(options: NewNetworkOptions, side: number, latent_channels: number): UNetConfig {
  const { channels, attention_levels = channels.map((_, level) => level > 0) } = options;
  return unetFormat.schema.parse({
    sample_size: side,
    in_channels: latent_channels,
    out_channels: latent_channels,
    block_out_channels: channels,
    layers_per_block: options.layers,
    down_block_types: attention_levels.map((yes) => yes ? "CrossAttnDownBlock2D" : "DownBlock2D"),
    up_block_types: attention_levels.toReversed().map((yes) => yes ? "CrossAttnUpBlock2D" : "UpBlock2D"),
    cross_attention_dim: options.text_width,
    attention_head_dim: options.heads,
    norm_num_groups: options.groups,
  });
}
