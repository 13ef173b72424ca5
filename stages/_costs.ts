/**
 * What stages of a latent diffusion model take, told from the configurations of its networks alone, for `plan`.
 *
 * @module
 */

import { openDataset } from "../faces/dataset.ts";
import { autoencoderFormat, decodeLatent, encodeLatent } from "../models/autoencoder.ts";
import { bertFormat } from "../models/bert_text_encoder.ts";
import { encodePrompt, type Model, type TextConfig } from "../models/checkpoint.ts";
import { type ControlNetConfig, controlnetConfigFor, controlnetFormat } from "../models/controlnet.ts";
import { loadNetworkConfig } from "../models/network_folder.ts";
import { countParameters, type ParameterSpec, Scope } from "../models/params.ts";
import { textEncoderFormat } from "../models/text_encoder.ts";
import { unet, unetFormat } from "../models/unet.ts";
import { Graph, texels, type Value } from "../runtime/graph.ts";
import { type Goals, plan } from "../runtime/plan.ts";
import type { Artifact } from "../runtime/stage.ts";

/** The networks of a model, known by their configurations. */
export interface Networks extends Pick<Model, "vae" | "text" | "unet" | "controlnet"> {
  /** Tokens of a prompt at most. */
  readonly tokens: number;
}

/**
 * Reads the configurations in a model's folder; weights and tokenizer need not be there.
 *
 * @throws {Deno.errors.NotFound} If the folder is not there.
 * @throws {TypeError} If a configuration is missing or wrong.
 */
export async function networksOf(dir: string): Promise<Networks> {
  const there = new Set<string>();
  for await (const { name } of Deno.readDir(dir)) there.add(name);
  const read = async <T>(folder: string, format: Parameters<typeof loadNetworkConfig<T>>[1]) =>
    await loadNetworkConfig(`${dir}/${folder}`, format);
  const text: TextConfig = there.has("bert")
    ? { kind: "bert", config: await read("bert", bertFormat) }
    : { kind: "clip", config: await read("text_encoder", textEncoderFormat) };
  return {
    vae: await read(there.has("vqvae") ? "vqvae" : "vae", autoencoderFormat),
    text,
    unet: await read("unet", unetFormat),
    controlnet: there.has("controlnet") ? await read("controlnet", controlnetFormat) : null,
    tokens: text.config.max_position_embeddings,
  };
}

/** Side of a dataset's images; of those that the model is for where there is no dataset yet. */
export async function sizeOf(data: readonly Artifact[], { unet, vae }: Networks): Promise<number> {
  try {
    return (await openDataset(data[0]!.dir)).size_px;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return (unet.sample_size ?? 64) * 2 ** (vae.block_out_channels.length - 1);
  }
}

/**
 * The ControlNet of a model, or one as it may have: with the hint channels wanted, if these bring images to the size of
 * the latents. A model that another stage is yet to train may have them from there.
 */
export function expectedControlnet({ vae, unet, controlnet }: Networks, wanted?: readonly number[]): ControlNetConfig {
  const levels = vae.block_out_channels.length;
  const usual = Array.from({ length: levels }, (_, k) => [16, 32, 96, 256][Math.min(k, 3)]!);
  const channels = wanted?.length === levels ? [...wanted] : usual;
  return controlnet ?? controlnetConfigFor(unet, { conditioning_embedding_out_channels: channels });
}

/** A number with all its digits, in groups of three. */
export function exact(n: number): string {
  return n.toLocaleString("en-US");
}

/** Parameters of a model's networks. */
export function countNetworks({ vae, text, unet: config }: Networks) {
  const graph = new Graph();
  const count = (describe: (scope: Scope) => Value) => {
    const specs = new Map<string, ParameterSpec>();
    describe(new Scope(graph, specs));
    return exact(countParameters(specs));
  };
  const image = graph.input("image", [1, 64, 64, vae.in_channels]);
  const sample = graph.input("sample", [1, 8, 8, config.in_channels]);
  const context = graph.input("context", [1, 4, config.cross_attention_dim]);
  const inputs = { sample, timesteps: graph.input("timesteps", [1]), context };
  return {
    unet_parameters: count((scope) => unet(scope, config, inputs)),
    autoencoder_parameters: count((scope) => decodeLatent(scope, vae, encodeLatent(scope, vae, image))),
    text_parameters: count((scope) => encodePrompt(scope, text, graph.input("ids", [1, 4]))),
  };
}

/** Buffers of a hardware adapter, and the limit of tensors in a dispatch that WebGPU itself asks of one for ten more. */
const TARGET = { storage: "buffer", bindings: 16, tiled: true } as const;

/**
 * GPU memory of computations that share parameters, and the arithmetic of those that are counted.
 *
 * @param step Computations of a step, counted as often as they are listed.
 * @param others Computations beside it, which take memory too.
 */
export function costsOf(step: readonly Goals[], others: readonly Goals[] = []) {
  const planned = new Map([...step, ...others].map((goals) => [goals, plan(goals, TARGET)]));
  const leaves = new Set<Value>();
  let gpu_bytes = 0;
  for (const { leaves: own, bytes } of planned.values()) {
    gpu_bytes += bytes.pool;
    for (const leaf of own) leaves.add(leaf);
  }
  for (const { shape } of leaves) gpu_bytes += 16 * texels(shape);
  return { step_flops: step.reduce((total, goals) => total + planned.get(goals)!.flops, 0), gpu_bytes };
}
