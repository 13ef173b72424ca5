/**
 * Converts folders of diffusers.
 *
 * @module
 */

import { folderNames, namesIn, readJson } from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";
import { scheduleFormat } from "../diffusion/schedule.ts";
import { loadTokenizer } from "../diffusion/tokenizer.ts";
import { type Converted, type ConvertedPart, type ConvertOptions, writePart } from "./convert_part.ts";
import { loadNetworkConfig, networkNames, saveConfig } from "./network_folder.ts";
import { ALL_KINDS, kindOf, KINDS, type NetworkKind } from "./network_kinds.ts";
import { refuseCache, saveModelIndex } from "./pipeline_folder.ts";
import { openNetworkTensors } from "./tensor_files.ts";

/** Converts a folder of diffusers, of a whole model or of one network. */
export async function convertFolder(from: string, to: string, options: ConvertOptions): Promise<Converted> {
  if (options.config) throw new InputError(`Cannot use --config with ${from}: a folder has its own configurations`);
  if (options.ema) throw new InputError(`Cannot use --ema with ${from}: diffusers' folders hold one set of weights`);
  const there = new Set(await namesIn(from));
  await refuseCache(from, there);
  if (there.has("config.json")) {
    const json = await readJson(`${from}/config.json`);
    const kind = kindOf(json, `${from}/config.json`);
    return { parts: [await writeFolder(from, to, "", kind, options)], left_out: [], below: "" };
  }
  const written = [];
  for (const kind of ALL_KINDS.filter((kind) => kind.folder({}) !== "detector")) {
    for (const folder of kind === KINDS.autoencoder ? ["vae", "vqvae"] : [kind.folder({})]) {
      if (there.has(folder)) written.push(await writeFolder(`${from}/${folder}`, to, folder, kind, options));
    }
  }
  if (there.has("detector")) {
    const path = `${from}/detector/config.json`;
    const kind = kindOf(await readJson(path), path);
    written.push(await writeFolder(`${from}/detector`, to, "detector", kind, options));
  }
  if (!written.length) {
    throw new InputError(`Cannot convert ${from}: it has neither a config.json nor one of the folders of a pipeline`);
  }
  if (there.has("scheduler")) {
    const schedule = await loadNetworkConfig(`${from}/scheduler`, scheduleFormat);
    await saveConfig(`${to}/scheduler`, scheduleFormat, schedule);
  }
  const tokenizer = options.tokenizer ?? (there.has("tokenizer") ? `${from}/tokenizer` : undefined);
  if (tokenizer) await (await loadTokenizer(tokenizer)).save(`${to}/tokenizer`);
  await saveModelIndex(to);
  const known = new Set([...written.map(({ folder }) => folder), "scheduler", "tokenizer"]);
  return { parts: written, left_out: (await folderNames(from)).filter((name) => !known.has(name)), below: "" };
}

async function writeFolder(
  from: string,
  to: string,
  folder: string,
  kind: NetworkKind<object>,
  options: ConvertOptions,
): Promise<ConvertedPart> {
  const config = await loadNetworkConfig(from, kind.format);
  using file = await openNetworkTensors(from);
  return await writePart({ kind, config, file, load: networkNames(file) }, to, folder, options);
}
