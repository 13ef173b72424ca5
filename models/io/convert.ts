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
 * - complete checkpoints carry a moving average of the UNet under `model_ema.`, its names without dots, and some nothing else;
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
  readJson,
  readText,
  writeFolderAtomic,
} from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";
import { type TensorSource, writeSafetensors } from "../../formats/safetensors.ts";
import { MOST_LEVELS, tooDeepAt } from "../../formats/yaml_depth.ts";
import { refuseCache, saveModelIndex } from "./pipeline_folder.ts";
import { readConfig } from "./config.ts";
import {
  inferSchedule,
  type OriginalConfig,
  originalConfig,
  PUBLISHED_SCALES,
  restored,
  roundingOf,
} from "./infer_config.ts";
import { FILE_METADATA, loadNetworkConfig, networkNames, saveConfig, weightsName } from "./network_folder.ts";
import type { Facts } from "./named_shapes.ts";
import { loadUnder, type Renaming } from "./original_names.ts";
import { countParameters, type ParameterSpec } from "./params.ts";
import { fileName, fileShape, findParameters, type LoadOptions } from "./parameter_files.ts";
import {
  below,
  findPlace,
  flat,
  flatName,
  hasFlat,
  isAverage,
  type Place,
  type Section,
  unwrapped,
} from "./sections.ts";
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
  /** Other contents of the checkpoint: folders, first words of tensors' names, or objects with their classes. */
  readonly left_out: readonly string[];
  /** Keys of the checkpoint that the weights lie below, such as `state_dict.`; empty for none. */
  readonly below: string;
}

/** A network that was written. */
export interface ConvertedPart {
  /** Folder below the output's; empty for a network alone. */
  readonly folder: string;
  /** Class of the network. */
  readonly network: string;
  readonly tensors: number;
  readonly parameters: number;
  /** A fact that users must know, such as the size of a detector's images. */
  readonly note?: string | undefined;
}

/** A network to write: its configuration, and where its tensors are. */
interface Part {
  readonly kind: NetworkKind<object>;
  readonly config: object;
  readonly file: OpenTensors;
  readonly load: LoadOptions;
  /** True if the weights are LitEma's moving average. */
  readonly isAveraged?: boolean | undefined;
  /** A fact that users must know. */
  readonly note?: string | undefined;
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
  using opened = await openTensors(from);
  const whole = unwrapped(opened);
  refuseOthers(whole);
  const marks = ALL_KINDS.flatMap(({ original }) => original ?? []);
  let place = findPlace(whole, marks, options.ema ?? false);
  let { section: file } = place;
  const parts: Part[] = [];
  const facts = await readFacts(whole, file);
  for (const kind of ALL_KINDS) {
    if (!kind.original) continue;
    const { prefixes, mark, infer, names, unused } = kind.original;
    const plain = prefixes.find((prefix) => file.has(prefix + mark));
    const averaged = prefixes.find((prefix) => file.has(flatName(prefix + mark)));
    const prefix = options.ema ? averaged ?? plain : plain;
    if (prefix === undefined) {
      if (averaged === undefined) continue;
      throw new InputError(`Cannot convert ${from}: its ${kind.format.name} is there as a moving average only`, {
        hint: "add --ema",
      });
    }
    const isAveraged = options.ema && averaged !== undefined;
    const shapes = isAveraged ? flat(file, prefix) : below(file, prefix);
    const config = given?.network && isFor(kind, given.network)
      ? readConfig(kind.format, given.network, given.path)
      : infer(shapes, given?.original, facts);
    const load = isAveraged ? averageNames(prefix, names(config)) : loadUnder(names(config), prefix, unused);
    const known: Facts = given?.network ? { ...facts, ...config } : facts;
    parts.push({ kind, config, file, load, isAveraged, note: kind.original.note?.(config, known) });
  }
  if (!parts.length) ({ part: parts[0], place } = await diffusersPart(whole, from, given, options));
  file = place.section;
  if (options.ema && !isAverage(place) && !parts.some(({ isAveraged }) => isAveraged)) {
    const average = hasFlat(file) ? "moving average is of another network than" : "file has no moving average of";
    const networks = parts.map((part) => networkName(part)).join(", ");
    throw new InputError(`Cannot use --ema with ${from}: the ${average} its ${networks}`);
  }
  if (file.names.some((name) => name.startsWith("cond_stage_model.model."))) {
    throw new InputError(`Cannot convert ${from}: its text encoder is OpenCLIP's, which is not built here`);
  }
  const found = { left_out: leftOut(whole, place, parts), below: place.prefix };
  // A network alone is its own folder; tensors without a prefix may come from a part of a complete checkpoint.
  const [only, ...others] = parts;
  if (only && !others.length) {
    if (options.tokenizer) throw new InputError(`Cannot put a tokenizer beside ${from}: it has one network only`);
    return { parts: [await writePart(only, to, "", options)], ...found };
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
  return { parts: written, ...found };
}

/** Files of tensors that are no weights, by names that they have: a network of them would compute nonsense. */
const OTHERS: readonly (readonly [name: RegExp, what: string, hint: string])[] = [
  [
    /(^|\.)difference$/,
    "differences from the weights of a Stable Diffusion UNet",
    "add that UNet's weights to them, or take the ControlNet that is not a difference",
  ],
  [
    /(^|\.)lora_controlnet$|[._]lora[._]?(up|down|A|B|mid)\.|(^|\.)lora_(unet|te)|\.hada_w1_a$|\.lokr_w1$/,
    "a low-rank change (LoRA) of another network's weights",
    "merge it into that network's weights and convert those",
  ],
  [/^(emb_params|string_to_param\.|clip_[lg]$)/, "an embedding of words and no network", "convert the model it is for"],
];

/** @throws {InputError} If the tensors are no network's weights. */
function refuseOthers({ names, path }: Section): void {
  for (const [pattern, what, hint] of OTHERS) {
    const name = names.find((name) => pattern.test(name));
    if (name !== undefined) throw new InputError(`Cannot convert ${path}: by its "${name}" it holds ${what}`, { hint });
  }
}

/** Numbers beside the weights; the factor of latents is rounded where the weights are. */
async function readFacts(whole: Section, file: Section): Promise<Facts> {
  const read = async (from: Section, name: string) => from.has(name) ? (await from.read(name)).data : undefined;
  const scales = await read(file, "scale_factor");
  const scale = scales?.[0];
  return {
    scale: scales && scale !== undefined ? restored(scale, roundingOf(scales), PUBLISHED_SCALES) : undefined,
    size_px: (await read(whole, "size_px"))?.[0],
  };
}

/** Tensors beside the weights that are neither written nor missed: the schedule's numbers, and counters. */
const NUMBERS =
  /^((sqrt_|log_)?(one_minus_|recip_|recipm1_)?alphas_cumprod(_prev)?|betas|logvar|lvlb_weights|posterior_\w+|scale_factor|size_px|model_ema\.(decay|num_updates))$/;

/** First words of the names that no network took, and other objects with their classes. */
function leftOut(whole: Section, place: Place, parts: readonly Part[]): string[] {
  const { prefix, section: { names } } = place;
  const used = new Set(
    parts.flatMap(({ kind, config, load: { nameOf = (spec) => fileName(spec.name) } }) =>
      [...declared(kind, config).values()].map(nameOf)
    ),
  );
  const known = (name: string) =>
    used.has(name) || NUMBERS.test(name) ||
    // What an autoencoder's training leaves is no part of it, but is something.
    parts.filter(({ kind }) => kind !== KINDS.autoencoder).some(({ kind: { original } }) =>
      original?.prefixes.some((prefix) => name.startsWith(prefix) && original.unused?.test(name.slice(prefix.length)))
    );
  const words = [
    ...names.filter((name) => !known(name)),
    ...prefix === "" ? [] : whole.names.filter((name) => !name.startsWith(prefix) && !NUMBERS.test(name)),
  ].map((name) => name.replace(/\..*/s, ""));
  const objects = [...whole.objects ?? []].map(([name, label]) => `${name || "an object"} (${label})`);
  return [...new Set([...words, ...objects])];
}

async function convertFolder(from: string, to: string, options: ConvertOptions): Promise<Converted> {
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
  const { note } = part;
  return { folder, network: networkName(part), tensors: specs.size, parameters: countParameters(specs), note };
}

/** Class of a network. */
function networkName({ kind, config }: Part): string {
  const { other } = kind.format;
  return other?.is(config) ? other.format.name : kind.format.name;
}

/** The file of one network under diffusers' names, whose configuration is given or lies in the same folder. */
async function diffusersPart(
  whole: Section,
  from: string,
  given: Given | undefined,
  { config: path, ema = false }: ConvertOptions,
): Promise<{ part: Part; place: Place }> {
  const beside = `${from.slice(0, from.lastIndexOf("/") + 1)}config.json`;
  const where = path ?? beside;
  const json = given?.network ?? await readJson(beside).catch((error) => {
    if (!isMissing(error)) throw error;
    const names = whole.names.slice(0, 3).map((name) => `"${name}"`).join(", ");
    throw new InputError(`Cannot tell the network in ${from}: its tensors ${names}, ... are of none that is known`, {
      hint: "give its config.json with --config",
    });
  });
  const kind = kindOf(json, where);
  const config = readConfig(kind.format, json, where);
  const marks = [...declared(kind, config).values()].slice(0, 1).map(({ name }) => ({
    mark: fileName(name),
    prefixes: [""],
  }));
  const place = findPlace(whole, marks, ema);
  return { part: { kind, config, file: place.section, load: networkNames(place.section) }, place };
}

/** Content of `--config`. */
interface Given {
  readonly path: string;
  readonly original?: OriginalConfig;
  readonly network?: object;
}

/** The file of `--config`: an original's YAML file or a network's `config.json`. */
async function readGiven(path: string): Promise<Given> {
  const text = await readText(path);
  if (tooDeepAt(text) !== undefined) {
    throw new InputError(`Cannot read ${path} as more than ${MOST_LEVELS} lists and maps are nested`);
  }
  let given;
  try {
    given = parseYaml(text);
  } catch (error) {
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

/** Names of the moving average of a network, which lacks what no gradient moves. */
function averageNames(prefix: string, names: Renaming): LoadOptions {
  const nameOf = (spec: ParameterSpec) => flatName(prefix + names(fileName(spec.name)));
  const first = flatName(prefix);
  const isOther = (name: string) => !name.startsWith(first) || name.startsWith(flatName("loss.")) || NUMBERS.test(name);
  return { nameOf, ignore: { test: isOther } };
}
