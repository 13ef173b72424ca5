/**
 * A model's folder in the layout of a diffusers pipeline: its networks, that they fit together, and their weights.
 *
 *     model_index.json                        which class each part is of
 *     unet/ controlnet/                       config.json, diffusion_pytorch_model.safetensors
 *     vae/ or vqvae/                          the same; `vqvae` is what the text-to-image LDM calls it
 *     text_encoder/ or bert/                  config.json, model.safetensors
 *     tokenizer/ scheduler/                   see models/diffusion/tokenizer.ts and models/diffusion/schedule.ts
 *
 * A folder may lack a ControlNet, which a UNet's first training adds.
 *
 * @module
 */

import { exists, folderNames, isFolder, readJson, writeFile } from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";
import type { Value } from "../../engine/graph.ts";
import type { TensorData } from "../../formats/safetensors.ts";
import { type AutoencoderConfig, autoencoderFormat, latentChannels } from "../diffusion/autoencoder.ts";
import { type BertConfig, bertFormat, encodeBert } from "../diffusion/bert_text.ts";
import type { ConfigFormat } from "./config.ts";
import { type ControlNetConfig, controlnetFormat } from "../diffusion/controlnet.ts";
import { loadNetworkConfig, readNetwork, saveNetwork } from "./network_folder.ts";
import { declared, KINDS } from "./network_kinds.ts";
import { type HostTensors, type Scope, type Specs, specsUnder } from "./params.ts";
import { makeSchedule, type Schedule, scheduleFormat } from "../diffusion/schedule.ts";
import { encodeText, type TextEncoderConfig, textEncoderFormat } from "../diffusion/clip_text.ts";
import { loadTokenizer, type Tokenizer } from "../diffusion/tokenizer.ts";
import { type UNetConfig, unetFormat } from "../diffusion/unet.ts";

/** The text encoder of a model: CLIP's, or that of LDM. */
export type TextConfig =
  | { readonly kind: "clip"; readonly config: TextEncoderConfig }
  | { readonly kind: "bert"; readonly config: BertConfig };

/** A model's folder without its weights. */
export interface Model {
  /** The folder. */
  readonly dir: string;
  readonly vae: AutoencoderConfig;
  readonly text: TextConfig;
  readonly unet: UNetConfig;
  /** Null where there is none yet. */
  readonly controlnet: ControlNetConfig | null;
  readonly schedule: Schedule;
  readonly tokenizer: Tokenizer;
  /** Folder of each network by its prefix in a graph. */
  readonly folders: Readonly<Record<"vae" | "text_encoder" | "unet" | "controlnet", string>>;
}

/** Class and library of each part, as `model_index.json` names them. */
const CLASSES: Readonly<Record<string, readonly [string, string]>> = {
  bert: ["latent_diffusion", "LDMBertModel"],
  controlnet: ["diffusers", "ControlNetModel"],
  scheduler: ["diffusers", "DDIMScheduler"],
  text_encoder: ["transformers", "CLIPTextModel"],
  tokenizer: ["transformers", "CLIPTokenizer"],
  unet: ["diffusers", "UNet2DConditionModel"],
  vae: ["diffusers", "AutoencoderKL"],
  vqvae: ["diffusers", "AutoencoderKL"],
};

/**
 * Opens a model's folder: reads every configuration and checks that the networks fit together.
 *
 * @throws {InputError} If a part is missing, is not built here, or does not fit another; all problems are named.
 */
export async function openModel(dir: string): Promise<Model> {
  const there = await partsOf(dir);
  const problems: string[] = [];
  const either = (name: string, other: string) => there.has(name) || !there.has(other) ? name : other;
  const folders = {
    vae: either("vae", "vqvae"),
    text_encoder: either("text_encoder", "bert"),
    unet: "unet",
    controlnet: "controlnet",
  } as const;
  async function part<T>(folder: string, read: (path: string) => Promise<T>): Promise<T | null> {
    if (!there.has(folder)) {
      problems.push(`\n  ${folder}/ is missing`);
      return null;
    }
    try {
      return await read(`${dir}/${folder}`);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      problems.push(`\n  ${error.message}`);
      return null;
    }
  }
  const network = <T>(folder: string, format: ConfigFormat<T>) =>
    part(folder, (path) => loadNetworkConfig(path, format));
  const unet = await network("unet", unetFormat);
  const vae = await network(folders.vae, autoencoderFormat);
  const schedule = await network("scheduler", scheduleFormat);
  const tokenizer = await part("tokenizer", loadTokenizer);
  const controlnet = there.has("controlnet") ? await network("controlnet", controlnetFormat) : null;
  const text: TextConfig | null = folders.text_encoder === "bert"
    ? tagged("bert", await network("bert", bertFormat))
    : tagged("clip", await network("text_encoder", textEncoderFormat));

  problems.push(...misfits({ vae, text, unet, controlnet, tokenizer }, folders.vae));
  if (problems.length || !vae || !text || !unet || !schedule || !tokenizer) {
    throw new InputError(`Cannot open ${dir} as a latent diffusion model:${problems.join("")}`);
  }
  return {
    dir,
    vae,
    text,
    unet,
    controlnet,
    schedule: makeSchedule(schedule),
    tokenizer,
    folders,
  };
}

/** Parts of a model that do not fit together; those that are null are passed over. */
function misfits(
  { vae, text, unet, controlnet, tokenizer }: {
    readonly [Part in "vae" | "text" | "unet" | "controlnet" | "tokenizer"]: Model[Part] | null;
  },
  vaeFolder: string,
): string[] {
  const problems: string[] = [];
  const agree = (a: string, x: unknown, b: string, y: unknown) => {
    const [given, other] = [x, y].map((value) => JSON.stringify(value));
    if (given !== other) problems.push(`\n  ${a} is ${given} and ${b} is ${other}: they must agree`);
  };
  if (unet && vae) {
    agree("in_channels of unet", unet.in_channels, `latent_channels of ${vaeFolder}`, latentChannels(vae));
  }
  if (unet && text) {
    const [width, name] = text.kind === "clip"
      ? [text.config.hidden_size, "hidden_size of text_encoder"]
      : [text.config.d_model, "d_model of bert"];
    agree("cross_attention_dim of unet", unet.cross_attention_dim, name, width);
  }
  if (unet && controlnet) {
    for (const key of ["block_out_channels", "down_block_types", "cross_attention_dim", "in_channels"] as const) {
      agree(`${key} of unet`, unet[key], `${key} of controlnet`, controlnet[key]);
    }
  }
  if (tokenizer && text && tokenizer.size > text.config.vocab_size) {
    problems.push(`\n  tokenizer/ has ${tokenizer.size} tokens and the text encoder ${text.config.vocab_size}`);
  }
  return problems;
}

/**
 * Checks the weights of all networks of a model: names, shapes, and that each is a number; every tensor is read.
 *
 * @param leave Folders that are not checked.
 * @throws {InputError} If one cannot be used; every network's problem is named, with the file.
 */
export async function checkWeights(model: Model, leave: readonly string[] = []): Promise<void> {
  const { dir, folders, vae, text, unet, controlnet } = model;
  const kinds: readonly (readonly [folder: string, specs: Specs])[] = [
    [folders.vae, declared(KINDS.autoencoder, vae)],
    [
      folders.text_encoder,
      text.kind === "clip" ? declared(KINDS.clip, text.config) : declared(KINDS.bert, text.config),
    ],
    [folders.unet, declared(KINDS.unet, unet)],
    ...controlnet ? [[folders.controlnet, declared(KINDS.controlnet, controlnet)] as const] : [],
  ];
  const problems: string[] = [];
  for (const [folder, specs] of kinds) {
    if (leave.includes(folder)) continue;
    try {
      for await (const _ of readNetwork(`${dir}/${folder}`, specs)) { /* reading is the check */ }
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      problems.push(`\n  ${error.message.replaceAll("\n", "\n  ")}`);
    }
  }
  if (problems.length) throw new InputError(`Cannot use the weights of ${dir}:${problems.join("")}`);
}

function tagged(kind: "clip", config: TextEncoderConfig | null): TextConfig | null;
function tagged(kind: "bert", config: BertConfig | null): TextConfig | null;
function tagged(kind: string, config: unknown): TextConfig | null {
  return config ? { kind, config } as TextConfig : null;
}

/**
 * Encodes token ids, `[N, T]`, with whichever text encoder a model has, to the UNet's context, `[N, T, D]`.
 *
 * @param scope Where the parameters are named: `new Scope(graph, specs, "text_encoder/")`.
 */
export function encodePrompt(scope: Scope, text: TextConfig, ids: Value): Value {
  return text.kind === "clip" ? encodeText(scope, text.config, ids).context : encodeBert(scope, text.config, ids);
}

/**
 * Reads the weights of all networks that specs name, under the prefixes `vae/`, `text_encoder/`, `unet/`, `controlnet/`.
 * An autoencoder may be named in part, as sampling needs its decoder only.
 *
 * @throws {InputError} If names or shapes differ, or a network has no weights that can be read.
 */
export async function loadModel(model: Model, specs: Specs): Promise<HostTensors> {
  return new Map(await Array.fromAsync(readModel(model, specs)));
}

/** As {@linkcode loadModel}, one tensor after the other. */
export async function* readModel({ dir, folders }: Model, specs: Specs): AsyncGenerator<[string, TensorData]> {
  for (const [prefix, folder] of Object.entries(folders)) {
    const own = specsUnder(specs, `${prefix}/`);
    if (own.size) yield* readNetwork(`${dir}/${folder}`, own, prefix === "vae");
  }
}

/** Writes the folder of a text encoder, under the name that its kind has. */
export async function saveText(
  dir: string,
  text: TextConfig,
  specs: Specs,
  parameters: Parameters<typeof saveNetwork>[4],
): Promise<void> {
  if (text.kind === "clip") await saveNetwork(`${dir}/text_encoder`, textEncoderFormat, text.config, specs, parameters);
  else await saveNetwork(`${dir}/bert`, bertFormat, text.config, specs, parameters);
}

/** Writes `model_index.json` for the parts that are there, so that diffusers opens the folder as a pipeline. */
export async function saveModelIndex(dir: string): Promise<void> {
  const there = await partsOf(dir);
  const parts: [string, readonly [string, string]][] = [];
  for (const [part, entry] of Object.entries(CLASSES)) {
    if (there.has(part)) parts.push([part, [entry[0], await classOf(`${dir}/${part}`) ?? entry[1]]]);
  }
  const pipeline = there.has("bert")
    ? "LDMTextToImagePipeline"
    : there.has("controlnet")
    ? "StableDiffusionControlNetPipeline"
    : "StableDiffusionPipeline";
  const none = pipeline.startsWith("Stable")
    ? { feature_extractor: [null, null], safety_checker: [null, null], requires_safety_checker: false }
    : {};
  const index = { _class_name: pipeline, _diffusers_version: "0.20.2", ...Object.fromEntries(parts), ...none };
  await writeFile(`${dir}/model_index.json`, JSON.stringify(index, null, 2) + "\n");
}

/** The class in the `config.json` of a part, as an autoencoder may be of two. */
async function classOf(dir: string): Promise<string | undefined> {
  const path = `${dir}/config.json`;
  return exists(path) ? (await readJson(path))?._class_name : undefined;
}

async function partsOf(dir: string): Promise<Set<string>> {
  if (!await isFolder(dir)) {
    throw new InputError(`Cannot open ${dir} as a model's folder: it is a file`, {
      hint: `deno task convert ${dir} OUT`,
    });
  }
  const parts = new Set(await folderNames(dir));
  await refuseCache(dir, parts);
  return parts;
}

/**
 * Refuses the folder that Hugging Face's cache keeps for all versions of a model.
 *
 * @param names Names of the folders in it.
 * @throws {InputError} If it is one; the hint has the path of a version.
 */
export async function refuseCache(dir: string, names: ReadonlySet<string>): Promise<void> {
  if (!names.has("snapshots") || !names.has("blobs")) return;
  const [version = "VERSION"] = await folderNames(`${dir}/snapshots`);
  throw new InputError(`Cannot open ${dir} as a model's folder: it is the cache of Hugging Face for all its versions`, {
    hint: `name ${dir}/snapshots/${version}`,
  });
}
