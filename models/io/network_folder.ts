/**
 * A network's folder in the layout of diffusers: `config.json` and the weights, written as one safetensors file.
 *
 * @module
 */

import { exists, readJson, writeFile } from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";
import { BERT_UNUSED } from "../diffusion/bert_text.ts";
import { type ConfigFormat, readConfig, writeConfig } from "./config.ts";
import { bareTextNames, loadUnder, oldAutoencoderNames } from "./original_names.ts";
import type { HostTensors, Specs } from "./params.ts";
import { type LoadOptions, readParameters, saveSafetensors } from "./parameter_files.ts";
import type { TensorData } from "../../formats/safetensors.ts";
import type { Tensor } from "../../engine/tensor.ts";
import { openNetworkTensors } from "./tensor_files.ts";

/** Reads `config.json` (`scheduler_config.json` of a schedule) of a network's folder. */
export async function loadNetworkConfig<T>(dir: string, format: ConfigFormat<T>): Promise<T> {
  const path = `${dir}/${configName(format)}`;
  if (!exists(dir)) throw new InputError(`Cannot read ${dir} as a ${format.name}: there is no such folder`);
  if (!exists(path)) throw new InputError(`Cannot read ${dir} as a ${format.name}: ${configName(format)} is missing`);
  return readConfig(format, await readJson(path), path);
}

/**
 * Reads the weights of a network's folder, in the layout of the graph; an autoencoder may have
 * diffusers' old names, a text encoder transformers' new ones.
 *
 * @param part True if specs are of a part of the network only, such as an autoencoder's encoder; other names are passed over.
 * @throws {InputError} If there are none, or names or shapes differ.
 */
export async function loadNetwork(dir: string, specs: Specs, part = false): Promise<HostTensors> {
  return new Map(await Array.fromAsync(readNetwork(dir, specs, part)));
}

/** As {@linkcode loadNetwork}, one tensor after the other. */
export async function* readNetwork(dir: string, specs: Specs, part = false): AsyncGenerator<[string, TensorData]> {
  using file = await openNetworkTensors(dir);
  yield* readParameters(file, specs, networkNames(file, part));
}

/** Mapping between names in the file of a network's folder and those of the network; `part` as in {@linkcode loadNetwork}. */
export function networkNames(file: { readonly names: readonly string[] }, part = false): LoadOptions {
  const ignore = part ? /./ : BERT_UNUSED;
  if (file.names.some((name) => name.endsWith("attentions.0.proj_attn.weight"))) {
    return loadUnder(oldAutoencoderNames, "", ignore);
  }
  if (file.names.includes("embeddings.token_embedding.weight")) return loadUnder(bareTextNames, "", ignore);
  return { ignore };
}

/** Writes a network's folder. */
export async function saveNetwork<T extends object>(
  dir: string,
  format: ConfigFormat<T>,
  config: T,
  specs: Specs,
  parameters: ReadonlyMap<string, Tensor | TensorData>,
  options: { dtype?: "F32" | "F16" } = {},
): Promise<void> {
  await saveConfig(dir, format, config);
  await saveSafetensors(`${dir}/${weightsName(format)}`, specs, parameters, { ...options, metadata: FILE_METADATA });
}

/** Without it many versions of transformers refuse a file. */
export const FILE_METADATA = { format: "pt" };

/** Name of the weights' file: diffusers' own, and transformers' for a network of theirs. */
export function weightsName<T>(format: ConfigFormat<T>): string {
  // Transformers' formats are named by a model type in lower case.
  return /^[a-z_]+$/.test(format.name) ? "model.safetensors" : "diffusion_pytorch_model.safetensors";
}

/** Writes the configuration only, which is all that a schedule has. */
export async function saveConfig<T extends object>(dir: string, format: ConfigFormat<T>, config: T): Promise<void> {
  await writeFile(`${dir}/${configName(format)}`, JSON.stringify(writeConfig(format, config), null, 2) + "\n");
}

function configName<T>(format: ConfigFormat<T>): string {
  return format.name.endsWith("Scheduler") ? "scheduler_config.json" : "config.json";
}
