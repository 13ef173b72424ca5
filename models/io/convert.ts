/**
 * Converts any readable checkpoint to a folder in the layout of diffusers.
 *
 *     complete checkpoint of CompVis    OUT/unet, vae, text_encoder or bert, scheduler, controlnet, model_index.json
 *     one network of it, or STAR's      OUT/config.json and its weights
 *     folder of diffusers               the same parts, weights as one safetensors file each
 *
 * Tensors are read, checked and written one at a time. A folder is written under a temporary name and renamed when whole.
 *
 * Easy to get wrong:
 * - complete checkpoints carry a moving average of the UNet under `model_ema.`, its names without dots;
 * - no checkpoint carries a tokenizer: it is taken from a folder that has one.
 *
 * @module
 */

import { parse as parseYaml } from "yaml";
import { ALL_KINDS, classIn, declared, isFor, kindOf, KINDS, type NetworkKind } from "./network_kinds.ts";
import {
  exists,
  folderNames,
  isFolder,
  isMissing,
  namesIn,
  parseJson,
  readText,
  writeFolderAtomic,
} from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";
import { type TensorSource, writeSafetensors } from "../../formats/safetensors.ts";
import { saveModelIndex } from "./pipeline_folder.ts";
import { readConfig } from "./config.ts";
import { DETECTOR_NETWORKS } from "../detectors/registry.ts";
import { inferSchedule, type OriginalConfig, originalConfig } from "./infer_config.ts";
import { FILE_METADATA, loadNetworkConfig, networkNames, saveConfig, weightsName } from "./network_folder.ts";
import type { NamedShapes } from "./named_shapes.ts";
import { loadUnder, type Renaming } from "./original_names.ts";
import { countParameters, type ParameterSpec } from "./params.ts";
import { fileName, fileShape, findParameters, type LoadOptions } from "./parameter_files.ts";
import { scheduleFormat } from "../diffusion/schedule.ts";
import { openNetworkTensors, type OpenTensors, openTensors } from "./tensor_files.ts";
import { loadTokenizer } from "../diffusion/tokenizer.ts";

/** Options of {@linkcode convertCheckpoint}. */
export interface ConvertOptions {
  /** Element type of the weights written; by default `"F32"`. */
  readonly dtype?: "F32" | "F16";
  /** The original's YAML file, or a network's `config.json`; the rest follows from the tensors. */
  readonly config?: string;
  /** Folder of a tokenizer to add to a complete model. */
  readonly tokenizer?: string;
  /** Takes the moving average of a training, where the checkpoint has one. */
  readonly ema?: boolean;
}

/** Result of a conversion. */
export interface Converted {
  readonly parts: readonly ConvertedPart[];
  /** Other contents of the checkpoint: folders, or first words of tensors' names. */
  readonly left_out: readonly string[];
}

/** A network that was written. */
export interface ConvertedPart {
  /** Folder below the output's; empty for a network alone. */
  readonly folder: string;
  /** Class of the network. */
  readonly network: string;
  readonly tensors: number;
  readonly parameters: number;
}

/** A network to write: its configuration, and where its tensors are. */
interface Part {
  readonly kind: NetworkKind<object>;
  readonly config: object;
  readonly file: OpenTensors;
  readonly load: LoadOptions;
}

/**
 * Converts a checkpoint.
 *
 * @param from A file of tensors under original names, a folder of diffusers, or the file of one of its networks.
 * @param to The folder to write; it must not be there yet, or be empty.
 * @throws {InputError} If the checkpoint cannot be read, or is of networks that are not built here; nothing is written then.
 * @throws {InputError} If a weight does not fit the element type.
 *
 * @example
 * ```ts ignore
 * import { convertCheckpoint } from "./convert.ts";
 *
 * await convertCheckpoint("v1-5-pruned.ckpt", "sd15", { dtype: "F16", tokenizer: "clip/tokenizer" });
 * ```
 */
export async function convertCheckpoint(
  from: string,
  to: string,
  options: ConvertOptions = {},
): Promise<Converted> {
  if (exists(to)) {
    if (!await isFolder(to)) throw new InputError(`Cannot write to ${to} as it is a file`);
    const [name] = await namesIn(to);
    if (name !== undefined) {
      throw new InputError(`Cannot write to ${to} as it is not empty: it has "${name}"`, { hint: "name a new folder" });
    }
  }
  const convert = await isFolder(from)
    ? (dir: string) => convertFolder(from.replace(/\/+$/, ""), dir, options)
    : (dir: string) => convertFile(from, dir, options);
  return await writeFolderAtomic(to.replace(/\/+$/, ""), convert);
}

async function convertFile(from: string, to: string, options: ConvertOptions): Promise<Converted> {
  const given = options.config ? await readGiven(options.config) : undefined;
  using whole = await openTensors(from);
  const file = section(whole, from, options.ema ?? false);
  const parts: Part[] = [];
  const scale = file.has("scale_factor") ? (await file.read("scale_factor")).data[0] : undefined;
  for (const kind of ALL_KINDS) {
    if (!kind.original) continue;
    const { prefixes, mark, infer, names, unused } = kind.original;
    const prefix = prefixes.find((prefix) => file.has(prefix + mark));
    if (prefix === undefined) continue;
    const config = given?.network && isFor(kind, given.network)
      ? readConfig(kind.format, given.network, given.path)
      : infer(below(file, prefix), given?.original, scale);
    const load = kind === KINDS.unet && options.ema && prefix !== ""
      ? averageNames(file, names(config))
      : loadUnder(names(config), prefix, unused);
    parts.push({ kind, config, file, load });
  }
  if (!parts.length) parts.push(await diffusersPart(file, from, given?.network, options.config));
  if (file.names.some((name) => name.startsWith("cond_stage_model.model."))) {
    throw new InputError(`Cannot convert ${from}: its text encoder is OpenCLIP's, which is not built here`);
  }
  // A network alone is its own folder; tensors without a prefix may come from a part of a complete checkpoint.
  const [only, ...others] = parts;
  if (only && !others.length) {
    if (options.tokenizer) throw new InputError(`Cannot put a tokenizer beside ${from}: it has one network only`);
    return { parts: [await writePart(only, to, "", options)], left_out: leftOut(file, parts) };
  }
  const schedule = await inferSchedule(file, given?.original);
  const written = [];
  const isLdm = parts.some(({ kind }) => kind === KINDS.bert);
  for (const part of parts) {
    // The text-to-image LDM of diffusers calls its autoencoder so, though it has no codebook.
    const folder = isLdm && part.kind === KINDS.autoencoder ? "vqvae" : part.kind.folder(part.config);
    written.push(await writePart(part, to, folder, options));
  }
  await saveConfig(`${to}/scheduler`, scheduleFormat, schedule);
  if (options.tokenizer) await (await loadTokenizer(options.tokenizer)).save(`${to}/tokenizer`);
  await saveModelIndex(to);
  return { parts: written, left_out: leftOut(file, parts) };
}

/** First words of the names that no network took; numbers of the noise schedule are not reported. */
function leftOut(file: Section, parts: readonly Part[]): string[] {
  const used = new Set(parts.flatMap(({ kind, config, load }) => {
    const specs = [...declared(kind, config).values()];
    return specs.map(load.nameOf ?? ((spec) => fileName(spec.name)));
  }));
  const words = file.names
    .filter((name) => !used.has(name) && !DETECTOR_NETWORKS.some(({ original }) => original?.unused?.test(name)))
    .filter((name) => file.info(name).shape.length > 1)
    .map((name) => name.replace(/\..*/s, ""));
  return [...new Set(words)];
}

async function convertFolder(from: string, to: string, options: ConvertOptions): Promise<Converted> {
  if (options.config) throw new InputError(`Cannot use --config with ${from}: a folder has its own configurations`);
  if (options.ema) throw new InputError(`Cannot use --ema with ${from}: diffusers' folders hold one set of weights`);
  const there = new Set(await namesIn(from));
  if (there.has("config.json")) {
    const json = await readJson(`${from}/config.json`);
    const kind = kindOf(json, `${from}/config.json`);
    return { parts: [await writeFolder(from, to, "", kind, options)], left_out: [] };
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
  return { parts: written, left_out: (await folderNames(from)).filter((name) => !known.has(name)) };
}

async function writeFolder(
  from: string,
  to: string,
  folder: string,
  kind: NetworkKind<object>,
  options: ConvertOptions,
) {
  const config = await loadNetworkConfig(from, kind.format);
  using file = await openNetworkTensors(from);
  return await writePart({ kind, config, file, load: networkNames(file) }, to, folder, options);
}

/** Writes one network's folder. */
async function writePart(part: Part, to: string, folder: string, { dtype = "F32" }: ConvertOptions) {
  const { kind, config, file, load } = part;
  const specs = declared(kind, config);
  const found = findParameters(file, specs, load);
  const sources = new Map<string, TensorSource>(
    [...found.values()].map(({ spec, read }) => [fileName(spec.name), { shape: fileShape(spec), read }]),
  );
  const dir = folder ? `${to}/${folder}` : to;
  await saveConfig(dir, kind.format, config);
  await writeSafetensors(`${dir}/${weightsName(kind.format)}`, sources, { dtype, metadata: FILE_METADATA });
  const { other } = kind.format;
  const network = other?.is(config) ? other.format.name : kind.format.name;
  return { folder, network, tensors: specs.size, parameters: countParameters(specs) };
}

/** The file of one network under diffusers' names, whose configuration is given or lies in the same folder. */
async function diffusersPart(file: Section, from: string, given: unknown, path: string | undefined): Promise<Part> {
  const beside = `${from.slice(0, from.lastIndexOf("/") + 1)}config.json`;
  const where = path ?? beside;
  const json = given ?? await readJson(beside).catch((error) => {
    if (!isMissing(error)) throw error;
    const names = file.names.slice(0, 3).map((name) => `"${name}"`).join(", ");
    throw new InputError(
      `Cannot tell what ${from} is of: its tensors ${names}, ... are of no checkpoint that is known, ` +
        "hint: give the network's config.json with --config",
    );
  });
  const kind = kindOf(json, where);
  return { kind, config: readConfig(kind.format, json, where), file, load: networkNames(file) };
}

async function readJson(path: string): Promise<unknown> {
  return parseJson(await readText(path), path);
}

/** The file of `--config`: an original's YAML file or a network's `config.json`. */
async function readGiven(path: string): Promise<{ path: string; original?: OriginalConfig; network?: object }> {
  let given;
  try {
    given = parseYaml(await readText(path));
  } catch (error) {
    if (isMissing(error)) throw error;
    throw new InputError(`Cannot read ${path} as YAML or JSON: ${(error as Error).message}`);
  }
  if (classIn(given)) return { path, network: given };
  const result = originalConfig.safeParse(given);
  if (result.success) return { path, original: result.data.model.params };
  const problems = result.error.issues.map(({ path, message }) => `\n  "${path.join(".")}": ${message}`);
  throw new InputError(
    `Cannot read ${path} as the configuration of a checkpoint: it has no _class_name or model_type as a config.json ` +
      `has, and is no YAML file of the originals:${problems.join("")}`,
  );
}

type Section = OpenTensors & NamedShapes;

/** The weights of a checkpoint, without the rest that trainers save. */
function section(file: OpenTensors, path: string, ema: boolean): Section {
  const starts = (prefix: string) => file.names.some((name) => name.startsWith(prefix));
  const trainer = ALL_KINDS.map(({ original }) => original)
    .find((original) => original?.trainer && starts(original.trainer.weights + original.mark))?.trainer;
  const prefix = starts("state_dict.") ? "state_dict." : trainer ? ema ? trainer.average : trainer.weights : "";
  const found = below(file, prefix);
  const has = trainer ? found.names.length : found.names.some((name) => name.startsWith("model_ema."));
  if (ema && !has) throw new InputError(`Cannot use --ema with ${path}: it has no moving average`);
  return found;
}

/** The tensors whose names start with a prefix, without it. */
function below(file: OpenTensors, prefix: string): Section {
  const names = file.names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  const there = new Set(names);
  return {
    path: file.path,
    names,
    has: (name) => there.has(name),
    info: (name) => file.info(prefix + name),
    read: (name) => file.read(prefix + name),
    [Symbol.dispose]: () => file[Symbol.dispose](),
  };
}

/** Names of the moving average of a UNet: below another prefix, and without dots. */
function averageNames(file: Section, names: Renaming): LoadOptions {
  const prefix = "model_ema.";
  const nameOf = (spec: ParameterSpec) => prefix + `diffusion_model.${names(fileName(spec.name))}`.replaceAll(".", "");
  const used = new Set(file.names.filter((name) => name.startsWith(`${prefix}diffusion_model`)));
  return { nameOf, ignore: { test: (name) => !used.has(name) } };
}
