/**
 * Turns any checkpoint that can be read into a folder in the layout of diffusers.
 *
 *     complete checkpoint of CompVis    OUT/unet, vae, text_encoder or bert, scheduler, controlnet, model_index.json
 *     one network of it, or STAR's      OUT/config.json and its weights
 *     folder of diffusers               the same parts, weights as one safetensors file each
 *
 * Tensors are read, checked and written one at a time. A folder is written beside and renamed when whole.
 *
 * Easy to get wrong:
 * - complete checkpoints carry a moving average of the UNet under `model_ema.`, its names without dots;
 * - no checkpoint carries a tokenizer: it is taken from a folder that has one.
 *
 * @module
 */

import { parse as parseYaml } from "yaml";
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
import { Graph } from "../../engine/graph.ts";
import { type TensorSource, writeSafetensors } from "../../formats/safetensors.ts";
import {
  type AutoencoderConfig,
  autoencoderFormat,
  decodeLatent,
  encodeLatent,
  hasCodebook,
} from "../diffusion/autoencoder.ts";
import { BERT_UNUSED, type BertConfig, bertFormat, encodeBert } from "../diffusion/bert_text.ts";
import { saveModelIndex } from "./pipeline_folder.ts";
import { type ConfigFormat, readConfig } from "./config.ts";
import type { DetectorNetwork } from "../detectors/network.ts";
import { DETECTOR_NETWORKS, type DetectorConfig } from "../detectors/registry.ts";
import { controlnet, type ControlNetConfig, controlnetFormat } from "../diffusion/controlnet.ts";
import {
  inferAutoencoder,
  inferBert,
  inferControlNet,
  inferSchedule,
  inferTextEncoder,
  inferUNet,
  type OriginalConfig,
  originalConfig,
} from "./infer_config.ts";
import { FILE_METADATA, loadNetworkConfig, networkNames, saveConfig, weightsName } from "./network_folder.ts";
import type { NamedShapes, OriginalNetwork } from "./named_shapes.ts";
import {
  autoencoderNames,
  bertNames,
  controlnetNames,
  loadUnder,
  ORIGINAL_PREFIX,
  type Renaming,
  unetNames,
} from "./original_names.ts";
import {
  countParameters,
  fileName,
  fileShape,
  findParameters,
  type LoadOptions,
  type ParameterSpec,
  Scope,
  type Specs,
} from "./params.ts";
import { scheduleFormat } from "../diffusion/schedule.ts";
import { openNetworkTensors, type OpenTensors, openTensors } from "./tensor_files.ts";
import { encodeText, type TextEncoderConfig, textEncoderFormat } from "../diffusion/clip_text.ts";
import { loadTokenizer } from "../diffusion/tokenizer.ts";
import { unet, type UNetConfig, unetFormat } from "../diffusion/unet.ts";

/** How {@linkcode convertCheckpoint} converts. */
export interface ConvertOptions {
  /** Element type of the weights written; `"F32"` when not given. */
  readonly dtype?: "F32" | "F16";
  /** The original's YAML file, or a network's `config.json`; what neither tells follows from the tensors. */
  readonly config?: string;
  /** Folder of a tokenizer to put beside a complete model. */
  readonly tokenizer?: string;
  /** Takes the moving average of a training, where the checkpoint has one. */
  readonly ema?: boolean;
}

/** What became of a checkpoint. */
export interface Converted {
  readonly parts: readonly ConvertedPart[];
  /** What the checkpoint has beside them: folders, or first words of tensors' names. */
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

/** A kind of network. */
interface Kind<T extends object> {
  /** Folder in a pipeline. */
  folder(config: T): string;
  readonly format: ConfigFormat<T>;
  /** How it is recognised and read under its original names; none for a network of this project's own. */
  readonly original?: OriginalNetwork<T>;
  /** Declares its parameters. */
  declare(scope: Scope, config: T): void;
}

const same: Renaming = (name) => name;

const KINDS = {
  unet: {
    folder: () => "unet",
    format: unetFormat,
    original: {
      prefixes: [ORIGINAL_PREFIX.unet, ""],
      mark: "output_blocks.0.0.in_layers.0.weight",
      infer: inferUNet,
      names: unetNames,
    },
    declare: (scope, config) => unet(scope, config, latentInputs(scope.graph, config)),
  } satisfies Kind<UNetConfig>,
  controlnet: {
    folder: () => "controlnet",
    format: controlnetFormat,
    original: {
      prefixes: [ORIGINAL_PREFIX.controlnet, ""],
      mark: "input_hint_block.0.weight",
      infer: inferControlNet,
      names: controlnetNames,
    },
    declare(scope, config) {
      const inputs = latentInputs(scope.graph, config);
      const side = inputs.sample.shape[1]! * 2 ** (config.conditioning_embedding_out_channels.length - 1);
      controlnet(scope, config, inputs, scope.graph.input("cond", [1, side, side, config.conditioning_channels]));
    },
  } satisfies Kind<ControlNetConfig>,
  autoencoder: {
    folder: (config) => hasCodebook(config) ? "vqvae" : "vae",
    format: autoencoderFormat,
    original: {
      prefixes: [ORIGINAL_PREFIX.vae, ""],
      mark: "encoder.down.0.block.0.norm1.weight",
      infer: inferAutoencoder,
      names: autoencoderNames,
      // What trained it, and its moving average.
      unused: /^(loss|model_ema)\./,
    },
    declare(scope, config) {
      const side = 2 ** (config.block_out_channels.length - 1);
      const image = scope.graph.input("image", [1, side, side, config.in_channels]);
      decodeLatent(scope, config, encodeLatent(scope, config, image));
    },
  } satisfies Kind<AutoencoderConfig>,
  clip: {
    folder: () => "text_encoder",
    format: textEncoderFormat,
    original: {
      prefixes: [ORIGINAL_PREFIX.clip, ""],
      mark: "text_model.embeddings.token_embedding.weight",
      infer: inferTextEncoder,
      names: () => same,
      unused: /position_ids$/,
    },
    declare: (scope, config) => encodeText(scope, config, scope.graph.input("ids", [1, 1])),
  } satisfies Kind<TextEncoderConfig>,
  bert: {
    folder: () => "bert",
    format: bertFormat,
    original: {
      prefixes: [ORIGINAL_PREFIX.bert, ""],
      mark: "transformer.token_emb.weight",
      infer: inferBert,
      names: () => bertNames,
      unused: BERT_UNUSED,
    },
    declare: (scope, config) => encodeBert(scope, config, scope.graph.input("ids", [1, 1])),
  } satisfies Kind<BertConfig>,
};

const detectorKind = ({ format, original, build }: DetectorNetwork<DetectorConfig>): Kind<DetectorConfig> => ({
  folder: () => "detector",
  format,
  ...original && { original },
  declare: (scope, config) => build(scope, scope.graph.input("images", [1, config.size_px, config.size_px, 3]), config),
});

// deno-lint-ignore no-explicit-any
const ALL: readonly Kind<any>[] = [...Object.values(KINDS), ...DETECTOR_NETWORKS.map(detectorKind)];

function latentInputs(
  graph: Graph,
  config: Pick<UNetConfig, "in_channels" | "cross_attention_dim"> & { readonly block_out_channels: readonly number[] },
) {
  const side = 2 ** (config.block_out_channels.length - 1);
  return {
    sample: graph.input("sample", [1, side, side, config.in_channels]),
    timesteps: graph.input("timesteps", [1]),
    context: graph.input("context", [1, 1, config.cross_attention_dim]),
  };
}

/** A network to write: its configuration, and where its tensors are. */
interface Part {
  // deno-lint-ignore no-explicit-any
  readonly kind: Kind<any>;
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
  for (const kind of ALL) {
    if (!kind.original) continue;
    const { prefixes, mark, infer, names, unused } = kind.original;
    const prefix = prefixes.find((prefix) => file.has(prefix + mark));
    if (prefix === undefined) continue;
    const config = given?.network && isFor(kind, given.network)
      ? readConfig(kind.format, given.network, options.config!)
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
  // A network alone is its own folder; what came without a prefix may have been cut out of a complete checkpoint.
  if (parts.length === 1) {
    if (options.tokenizer) throw new InputError(`Cannot put a tokenizer beside ${from}: it has one network only`);
    return { parts: [await writePart(parts[0]!, to, "", options)], left_out: leftOut(file, parts) };
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

/** First words of the names that no network took; numbers of the noise schedule are not worth telling. */
function leftOut(file: Section, parts: readonly Part[]): string[] {
  const used = new Set(parts.flatMap(({ kind, config, load }) => {
    const specs = [...declared(kind, config).values()];
    return specs.map(load.nameOf ?? ((spec) => fileName(spec.name)));
  }));
  const words = file.names
    .filter((name) => !used.has(name) && !DETECTOR_NETWORKS.some(({ original }) => original?.unused?.test(name)))
    .filter((name) => file.info(name).shape.length > 1)
    .map((name) => name.split(".")[0]!);
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
  for (const kind of ALL.filter((kind) => kind.folder({}) !== "detector")) {
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

// deno-lint-ignore no-explicit-any
async function writeFolder(from: string, to: string, folder: string, kind: Kind<any>, options: ConvertOptions) {
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
    [...specs.values()].map((spec) => [
      fileName(spec.name),
      { shape: fileShape(spec), read: found.get(spec.name)!.read },
    ]),
  );
  const dir = folder ? `${to}/${folder}` : to;
  await saveConfig(dir, kind.format, config);
  await writeSafetensors(`${dir}/${weightsName(kind.format)}`, sources, { dtype, metadata: FILE_METADATA });
  const network = hasOther(kind.format, config) ? kind.format.other!.format.name : kind.format.name;
  return { folder, network, tensors: specs.size, parameters: countParameters(specs) };
}

const hasOther = <T>(format: ConfigFormat<T>, config: T) => format.other?.is(config) ?? false;

/** Names and shapes of a network's parameters. */
function declared<T extends object>(kind: Kind<T>, config: T): Specs {
  const specs = new Map<string, ParameterSpec>();
  kind.declare(new Scope(new Graph(), specs), config);
  return specs;
}

/** The file of one network under diffusers' names, whose configuration is given or lies beside it. */
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

// deno-lint-ignore no-explicit-any
function kindOf(json: any, where: string): Kind<any> {
  const kind = ALL.find((kind) => isFor(kind, json));
  if (kind) return kind;
  const names = ALL.flatMap(({ format }) => [format.name, format.other?.format.name ?? []].flat());
  const given = JSON.stringify(json?._class_name ?? json?.model_type ?? null);
  throw new InputError(`Cannot read ${where} as the configuration of ${given}: it must be one of ${names.join(", ")}`);
}

// deno-lint-ignore no-explicit-any
function isFor({ format }: Kind<any>, json: any): boolean {
  const name = json?._class_name ?? json?.model_type;
  return [format.name, format.other?.format.name].includes(name);
}

async function readJson(path: string): Promise<unknown> {
  return parseJson(await readText(path), path);
}

/** The file of `--config`: an original's YAML file or a network's `config.json`. */
async function readGiven(path: string): Promise<{ original?: OriginalConfig; network?: object }> {
  let given;
  try {
    given = parseYaml(await readText(path));
  } catch (error) {
    if (isMissing(error)) throw error;
    throw new InputError(`Cannot read ${path} as YAML or JSON: ${(error as Error).message}`);
  }
  if (given?._class_name ?? given?.model_type) return { network: given };
  const result = originalConfig.safeParse(given);
  if (result.success) return { original: result.data.model.params };
  const problems = result.error.issues.map(({ path, message }) => `\n  "${path.join(".")}": ${message}`);
  throw new InputError(
    `Cannot read ${path} as the configuration of a checkpoint: it has no _class_name or model_type as a config.json ` +
      `has, and is no YAML file of the originals:${problems.join("")}`,
  );
}

type Section = OpenTensors & NamedShapes;

/** The weights of a checkpoint, of which trainers save more than that. */
function section(file: OpenTensors, path: string, ema: boolean): Section {
  const starts = (prefix: string) => file.names.some((name) => name.startsWith(prefix));
  const trainer = ALL.map(({ original }) => original)
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

/** Where the moving average of a UNet is: below another prefix, and without dots. */
function averageNames(file: Section, names: Renaming): LoadOptions {
  const prefix = "model_ema.";
  const nameOf = (spec: ParameterSpec) => prefix + `diffusion_model.${names(fileName(spec.name))}`.replaceAll(".", "");
  const used = new Set(file.names.filter((name) => name.startsWith(`${prefix}diffusion_model`)));
  return { nameOf, ignore: { test: (name) => !used.has(name) } };
}
