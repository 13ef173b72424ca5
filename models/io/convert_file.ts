/**
 * Converts files of tensors under original names, and files of one network.
 *
 * @module
 */

import { isMissing, readJson } from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";
import { scheduleFormat } from "../diffusion/schedule.ts";
import { loadTokenizer } from "../diffusion/tokenizer.ts";
import { readConfig } from "./config.ts";
import { type Given, readGiven } from "./convert_config.ts";
import { type Converted, type ConvertOptions, networkName, type Part, writePart } from "./convert_part.ts";
import { inferSchedule, PUBLISHED_SCALES, restored, roundingOf } from "./infer_config.ts";
import type { Facts } from "./named_shapes.ts";
import { networkNames, saveConfig } from "./network_folder.ts";
import { ALL_KINDS, declared, isFor, kindOf, KINDS } from "./network_kinds.ts";
import { loadUnder, type Renaming } from "./original_names.ts";
import { fileName, type LoadOptions } from "./parameter_files.ts";
import type { ParameterSpec } from "./params.ts";
import { saveModelIndex } from "./pipeline_folder.ts";
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
import { openTensors } from "./tensor_files.ts";

/** Converts a file of tensors under original names, or of one network under diffusers'. */
export async function convertFile(from: string, to: string, options: ConvertOptions): Promise<Converted> {
  const given = options.config ? await readGiven(options.config) : undefined;
  using opened = await openTensors(from);
  const whole = unwrapped(opened);
  refuseOthers(whole);
  const marks = ALL_KINDS.flatMap(({ original }) => original ?? []);
  let place = findPlace(whole, marks, options.ema ?? false);
  const facts = await readFacts(whole, place.section);
  const parts = originalParts(from, place.section, facts, given, options.ema ?? false);
  if (!parts.length) ({ part: parts[0], place } = await diffusersPart(whole, from, given, options));
  const file = place.section;
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

/** Networks of a file of tensors under original names. */
function originalParts(
  from: string,
  file: Section,
  facts: Facts,
  given: Given | undefined,
  ema: boolean,
): Part[] {
  const parts: Part[] = [];
  for (const kind of ALL_KINDS) {
    if (!kind.original) continue;
    const { prefixes, mark, infer, names, unused } = kind.original;
    const plain = prefixes.find((prefix) => file.has(prefix + mark));
    const averaged = prefixes.find((prefix) => file.has(flatName(prefix + mark)));
    const prefix = ema ? averaged ?? plain : plain;
    if (prefix === undefined) {
      if (averaged === undefined) continue;
      throw new InputError(`Cannot convert ${from}: its ${kind.format.name} is there as a moving average only`, {
        hint: "add --ema",
      });
    }
    const isAveraged = ema && averaged !== undefined;
    const shapes = isAveraged ? flat(file, prefix) : below(file, prefix);
    const config = given?.network && isFor(kind, given.network)
      ? readConfig(kind.format, given.network, given.path)
      : infer(shapes, given?.original, facts);
    const load = isAveraged ? averageNames(prefix, names(config)) : loadUnder(names(config), prefix, unused);
    const known: Facts = given?.network ? { ...facts, ...config } : facts;
    parts.push({ kind, config, file, load, isAveraged, note: kind.original.note?.(config, known) });
  }
  return parts;
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
    // Tensors that only the training of an autoencoder needs, such as a discriminator's, are reported.
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

/** Names of the moving average of a network, which has trained parameters only. */
function averageNames(prefix: string, names: Renaming): LoadOptions {
  const nameOf = (spec: ParameterSpec) => flatName(prefix + names(fileName(spec.name)));
  const first = flatName(prefix);
  const isOther = (name: string) => !name.startsWith(first) || name.startsWith(flatName("loss.")) || NUMBERS.test(name);
  return { nameOf, ignore: { test: isOther } };
}
