/**
 * Names of parameters in the original checkpoints of latent diffusion, Stable Diffusion and ControlNet.
 *
 * The networks here have diffusers' names. `original_names.json` has tables of `[ours, theirs]`: the first entry whose
 * left side is in a name is put in its place there. What starts with a dot may be anywhere in a name, the rest at its start.
 * `{k}` stands for a number; blocks are numbered through in the originals, so the right side may count: `{b*stride+k+1}`.
 *
 * Easy to get wrong:
 * - original blocks count residual blocks and resamplers together: a level takes `layers + 1` numbers;
 * - an upsampler is behind the attention where there is one: `output_blocks.5.2`, otherwise `output_blocks.2.1`;
 * - the original decoder counts its levels from the highest resolution, diffusers from the lowest;
 * - old diffusers files of an autoencoder have their own names for the attention;
 * - a STAR detector has the same names here and there.
 *
 * Sources: CompVis/latent-diffusion a506df5, CompVis/stable-diffusion 21f890f, lllyasviel/ControlNet ed85cd1; diffusers
 * v0.20.2, convert_from_ckpt.
 *
 * @module
 */

import { InputError } from "../../formats/input_error.ts";
import tables from "./original_names.json" with { type: "json" };
import type { ParameterSpec } from "./params.ts";
import { fileName, type LoadOptions } from "./parameter_files.ts";
import type { UNetConfig } from "../diffusion/unet.ts";

/** In front of each network's names in a complete checkpoint. */
export const ORIGINAL_PREFIX = {
  bert: "cond_stage_model.",
  clip: "cond_stage_model.transformer.",
  controlnet: "control_model.",
  unet: "model.diffusion_model.",
  vae: "first_stage_model.",
} as const;

/** A function from diffusers' names to others. */
export type Renaming = (name: string) => string;

/** Numbers that a table's right sides may name, or lists of them by block. */
type Numbers = Readonly<Record<string, number | readonly number[]>>;

/** Applies tables one after the other; the tables of one step act as one. */
function renaming(steps: readonly (readonly (keyof typeof tables)[])[], numbers: Numbers = {}): Renaming {
  const compiled = steps.map((names) =>
    names.flatMap((name) => tables[name]).map((rule) => {
      const [ours, theirs] = rule as [string, string];
      const pattern = ours.replaceAll(".", "\\.").replace(/\{(\w+)\}/g, "(?<$1>\\d+)");
      return { pattern: new RegExp(ours.startsWith(".") ? pattern : `^${pattern}`), theirs };
    })
  );
  return (name) => {
    for (const rules of compiled) {
      for (const { pattern, theirs } of rules) {
        const found = pattern.exec(name);
        if (!found) continue;
        const known = { ...numbers };
        for (const [key, value] of Object.entries(found.groups ?? {})) known[key] = Number(value);
        const to = theirs.replace(/\{([^}]+)\}/g, (_, sum: string) => String(evaluate(sum, known)));
        name = name.slice(0, found.index) + to + name.slice(found.index + found[0].length);
        break;
      }
    }
    return name;
  };
}

/** A sum of products of integers, names and `name[name]`. */
function evaluate(sum: string, numbers: Numbers): number {
  const factor = (text: string): number => {
    if (/^\d+$/.test(text)) return Number(text);
    const [, name = "", index = ""] = /^(\w+)(?:\[(\w+)\])?$/.exec(text) ?? [];
    const value = numbers[name], k = numbers[index];
    const found = Array.isArray(value) && typeof k === "number" ? value[k] : value;
    if (typeof found !== "number") throw new TypeError(`Cannot read "${text}" in a rule of original_names.json`);
    return found;
  };
  return sum.split(/(?=[+-])/).reduce((total, term) => {
    const product = term.replace(/^[+-]/, "").split("*").map(factor).reduce((a, b) => a * b);
    return term.startsWith("-") ? total - product : total + product;
  }, 0);
}

/** Sizes that the numbering of blocks depends on. */
type Layers = Pick<UNetConfig, "layers_per_block">;

function strideOf({ layers_per_block }: Layers): { layers: number; stride: number } {
  if (typeof layers_per_block === "number") return { layers: layers_per_block, stride: layers_per_block + 1 };
  throw new InputError("Cannot name the blocks of the original as layers_per_block differs from level to level");
}

/** CompVis' names of a UNet. */
export function unetNames(config: Layers & Pick<UNetConfig, "up_block_types">): Renaming {
  const upsampler = config.up_block_types.map((type) => type === "CrossAttnUpBlock2D" ? 2 : 1);
  return renaming([["resnet"], ["encoder", "decoder"]], { ...strideOf(config), upsampler });
}

/** The original names of a ControlNet. */
export function controlnetNames(
  config: Layers & { readonly conditioning_embedding_out_channels: readonly number[] },
): Renaming {
  const steps = config.conditioning_embedding_out_channels.length - 1;
  return renaming([["resnet"], ["hint", "encoder"]], { ...strideOf(config), steps });
}

/** CompVis' names of an autoencoder, KL or VQ. */
export function autoencoderNames(config: { readonly block_out_channels: readonly number[] }): Renaming {
  return renaming([["autoencoder"], ["autoencoder_layers"]], { last: config.block_out_channels.length - 1 });
}

/** The names of an autoencoder in old diffusers files. */
export const oldAutoencoderNames: Renaming = renaming([["old_autoencoder"]]);

/** The names of a CLIP text encoder in files of transformers 5 and later. */
export const bareTextNames: Renaming = renaming([["bare_text"]]);

/** CompVis' names of LDM's text encoder. */
export const bertNames: Renaming = renaming([["bert"]]);

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
