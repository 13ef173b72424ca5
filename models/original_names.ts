/**
 * Names of parameters in the original checkpoints of latent diffusion, Stable Diffusion and ControlNet.
 *
 * The networks here have diffusers' names. Each table below is a list of rules from a diffusers name to the original; the
 * first that fits the start of a name replaces it. Blocks are numbered through in the originals, so a rule may count.
 *
 * Easy to get wrong:
 * - original blocks count residual blocks and resamplers together: a level takes `layers + 1` numbers;
 * - an upsampler is behind the attention where there is one: `output_blocks.5.2`, otherwise `output_blocks.2.1`;
 * - the original decoder counts its levels from the highest resolution, diffusers from the lowest;
 * - old diffusers files of an autoencoder have their own names for the attention.
 *
 * Sources: CompVis/latent-diffusion a506df5, CompVis/stable-diffusion 21f890f, lllyasviel/ControlNet ed85cd1; diffusers
 * v0.20.2, convert_from_ckpt.
 *
 * @module
 */

import { fileName, type LoadOptions, type ParameterSpec } from "./params.ts";
import type { UNetConfig } from "./unet.ts";

/** A start of a diffusers name, and what the original has in its place; numbers come in the order of the groups. */
type Rule = readonly [RegExp, string | ((...numbers: number[]) => string)];

/** In front of each network's names in a complete checkpoint. */
export const ORIGINAL_PREFIX = {
  bert: "cond_stage_model.",
  clip: "cond_stage_model.transformer.",
  controlnet: "control_model.",
  unet: "model.diffusion_model.",
  vae: "first_stage_model.",
} as const;

/** What the original calls the layers of a residual block; attention has the same names in both. */
const RESNET: readonly Rule[] = [
  [/\.norm1\./, ".in_layers.0."],
  [/\.conv1\./, ".in_layers.2."],
  [/\.time_emb_proj\./, ".emb_layers.1."],
  [/\.norm2\./, ".out_layers.0."],
  [/\.conv2\./, ".out_layers.3."],
  [/\.conv_shortcut\./, ".skip_connection."],
];

const ENCODER = (layers: number): readonly Rule[] => [
  [/^conv_in\./, "input_blocks.0.0."],
  [/^time_embedding\.linear_1\./, "time_embed.0."],
  [/^time_embedding\.linear_2\./, "time_embed.2."],
  [/^down_blocks\.(\d+)\.resnets\.(\d+)\./, (b, k) => `input_blocks.${b! * (layers + 1) + k! + 1}.0.`],
  [/^down_blocks\.(\d+)\.attentions\.(\d+)\./, (b, k) => `input_blocks.${b! * (layers + 1) + k! + 1}.1.`],
  [/^down_blocks\.(\d+)\.downsamplers\.0\.conv\./, (b) => `input_blocks.${(b! + 1) * (layers + 1)}.0.op.`],
  [/^mid_block\.resnets\.(\d)\./, (k) => `middle_block.${2 * k!}.`],
  [/^mid_block\.attentions\.0\./, "middle_block.1."],
];

const DECODER = (layers: number, attention: readonly boolean[]): readonly Rule[] => [
  [/^up_blocks\.(\d+)\.resnets\.(\d+)\./, (b, k) => `output_blocks.${b! * (layers + 1) + k!}.0.`],
  [/^up_blocks\.(\d+)\.attentions\.(\d+)\./, (b, k) => `output_blocks.${b! * (layers + 1) + k!}.1.`],
  [
    /^up_blocks\.(\d+)\.upsamplers\.0\./,
    (b) => `output_blocks.${b! * (layers + 1) + layers}.${attention[b!] ? 2 : 1}.`,
  ],
  [/^conv_norm_out\./, "out.0."],
  [/^conv_out\./, "out.2."],
];

const HINT = (steps: number): readonly Rule[] => [
  [/^controlnet_cond_embedding\.conv_in\./, "input_hint_block.0."],
  [/^controlnet_cond_embedding\.blocks\.(\d+)\./, (k) => `input_hint_block.${2 * (k! + 1)}.`],
  [/^controlnet_cond_embedding\.conv_out\./, `input_hint_block.${2 * (2 * steps + 1)}.`],
  [/^controlnet_down_blocks\.(\d+)\./, (k) => `zero_convs.${k}.0.`],
  [/^controlnet_mid_block\./, "middle_block_out.0."],
];

const AUTOENCODER = (levels: number): readonly Rule[] => [
  [/^(encoder|decoder)\.mid_block\.resnets\.0\./, "$1.mid.block_1."],
  [/^(encoder|decoder)\.mid_block\.resnets\.1\./, "$1.mid.block_2."],
  [/^(encoder|decoder)\.mid_block\.attentions\.0\./, "$1.mid.attn_1."],
  [/^(encoder|decoder)\.conv_norm_out\./, "$1.norm_out."],
  [/^encoder\.down_blocks\.(\d+)\.resnets\.(\d+)\./, (b, k) => `encoder.down.${b}.block.${k}.`],
  [/^encoder\.down_blocks\.(\d+)\.attentions\.(\d+)\./, (b, k) => `encoder.down.${b}.attn.${k}.`],
  [/^encoder\.down_blocks\.(\d+)\.downsamplers\.0\./, (b) => `encoder.down.${b}.downsample.`],
  [/^decoder\.up_blocks\.(\d+)\.resnets\.(\d+)\./, (b, k) => `decoder.up.${levels - 1 - b!}.block.${k}.`],
  [/^decoder\.up_blocks\.(\d+)\.attentions\.(\d+)\./, (b, k) => `decoder.up.${levels - 1 - b!}.attn.${k}.`],
  [/^decoder\.up_blocks\.(\d+)\.upsamplers\.0\./, (b) => `decoder.up.${levels - 1 - b!}.upsample.`],
];

/** What the original calls the layers of an autoencoder's blocks. */
const AUTOENCODER_LAYERS: readonly Rule[] = [
  [/\.conv_shortcut\./, ".nin_shortcut."],
  [/\.group_norm\./, ".norm."],
  [/\.to_([qkv])\./, ".$1."],
  [/\.to_out\.0\./, ".proj_out."],
];

/** Attention of an autoencoder in files that diffusers wrote before v0.15. */
const OLD_ATTENTION: readonly Rule[] = [
  [/\.attentions\.0\.to_q\./, ".attentions.0.query."],
  [/\.attentions\.0\.to_k\./, ".attentions.0.key."],
  [/\.attentions\.0\.to_v\./, ".attentions.0.value."],
  [/\.attentions\.0\.to_out\.0\./, ".attentions.0.proj_attn."],
];

const BERT: readonly Rule[] = [
  [/^model\.embed_tokens\./, "transformer.token_emb."],
  [/^model\.embed_positions\./, "transformer.pos_emb.emb."],
  [/^model\.layer_norm\./, "transformer.norm."],
  [/^model\.layers\.(\d+)\.self_attn_layer_norm\./, (k) => `transformer.attn_layers.layers.${2 * k!}.0.`],
  [/^model\.layers\.(\d+)\.self_attn\.q_proj\./, (k) => `transformer.attn_layers.layers.${2 * k!}.1.to_q.`],
  [/^model\.layers\.(\d+)\.self_attn\.k_proj\./, (k) => `transformer.attn_layers.layers.${2 * k!}.1.to_k.`],
  [/^model\.layers\.(\d+)\.self_attn\.v_proj\./, (k) => `transformer.attn_layers.layers.${2 * k!}.1.to_v.`],
  [/^model\.layers\.(\d+)\.self_attn\.out_proj\./, (k) => `transformer.attn_layers.layers.${2 * k!}.1.to_out.`],
  [/^model\.layers\.(\d+)\.final_layer_norm\./, (k) => `transformer.attn_layers.layers.${2 * k! + 1}.0.`],
  [/^model\.layers\.(\d+)\.fc1\./, (k) => `transformer.attn_layers.layers.${2 * k! + 1}.1.net.0.0.`],
  [/^model\.layers\.(\d+)\.fc2\./, (k) => `transformer.attn_layers.layers.${2 * k! + 1}.1.net.2.`],
];

function rewrite(rules: readonly Rule[], name: string): string {
  for (const [pattern, to] of rules) {
    if (!pattern.test(name)) continue;
    return typeof to === "string"
      ? name.replace(pattern, to)
      : name.replace(pattern, (...groups) => to(...groups.slice(1, -2).map(Number)));
  }
  return name;
}

/** A function from diffusers' names to others. */
export type Renaming = (name: string) => string;

/** What the numbering of blocks depends on. */
type Layers = Pick<UNetConfig, "layers_per_block">;

function layersOf({ layers_per_block }: Layers): number {
  if (typeof layers_per_block === "number") return layers_per_block;
  throw new TypeError("Cannot name the blocks of the original as layers_per_block differs from level to level");
}

/** CompVis' names of a UNet. */
export function unetNames(config: Layers & Pick<UNetConfig, "up_block_types">): Renaming {
  const layers = layersOf(config);
  const blocks = [...ENCODER(layers), ...DECODER(layers, config.up_block_types.map((t) => t === "CrossAttnUpBlock2D"))];
  return (name) => /\.resnets\./.test(name) ? rewrite(RESNET, rewrite(blocks, name)) : rewrite(blocks, name);
}

/** The original names of a ControlNet. */
export function controlnetNames(
  config: Layers & { readonly conditioning_embedding_out_channels: readonly number[] },
): Renaming {
  const blocks = [...HINT(config.conditioning_embedding_out_channels.length - 1), ...ENCODER(layersOf(config))];
  return (name) => /\.resnets\./.test(name) ? rewrite(RESNET, rewrite(blocks, name)) : rewrite(blocks, name);
}

/** CompVis' names of an autoencoder, KL or VQ. */
export function autoencoderNames(config: { readonly block_out_channels: readonly number[] }): Renaming {
  const rules = AUTOENCODER(config.block_out_channels.length);
  return (name) => rewrite(AUTOENCODER_LAYERS, rewrite(rules, name));
}

/** The names of an autoencoder in old diffusers files. */
export const oldAutoencoderNames: Renaming = (name) => rewrite(OLD_ATTENTION, name);

/** The names of a CLIP text encoder in files of transformers 5 and later. */
export const bareTextNames: Renaming = (name) => name.replace(/^text_model\./, "");

/** CompVis' names of LDM's text encoder. */
export const bertNames: Renaming = (name) => rewrite(BERT, name);

/**
 * Options to load a network from a checkpoint under other names.
 *
 * @param names From diffusers' names to the checkpoint's.
 * @param prefix In front of them: {@linkcode ORIGINAL_PREFIX} in a complete checkpoint; what lacks it is passed over.
 * @param unused Names below the prefix that are passed over too.
 */
export function loadUnder(names: Renaming, prefix = "", unused?: RegExp): LoadOptions {
  const ignore = {
    test: (name: string) => !name.startsWith(prefix) || (unused?.test(name.slice(prefix.length)) ?? false),
  };
  return { nameOf: (spec: ParameterSpec) => prefix + names(fileName(spec.name)), ignore };
}
