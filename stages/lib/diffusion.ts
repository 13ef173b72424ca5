/**
 * Common parts of the diffusion stages: a model folder's networks in one graph, latents of a dataset, prompts, noise.
 *
 * @module
 */

import type { LoadedDataset } from "../../faces/data/dataset.ts";
import { z } from "zod";
import { fileNames, folderNames, makeFolder, reading } from "../../formats/files.ts";
import { autoencoderFormat, encodeLatent } from "../../models/diffusion/autoencoder.ts";
import { loadNetworkConfig, readNetwork } from "../../models/io/network_folder.ts";
import { type ParameterSpec, Scope, uploadParameters } from "../../models/io/params.ts";
import type { Schedule } from "../../models/diffusion/schedule.ts";
import type { Tokenizer } from "../../models/diffusion/tokenizer.ts";
import { add } from "../../ops/add.ts";
import { mse } from "../../ops/mse.ts";
import { mul } from "../../ops/mul.ts";
import { affine } from "../../ops/affine.ts";
import { sub } from "../../ops/sub.ts";
import { mean } from "../../ops/sum.ts";
import { disposing } from "../../engine/tensor.ts";
import { dims, Graph, type Value } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import type { StageContext } from "../../runtime/stage.ts";
import { share } from "../../engine/worker_pool.ts";
import type { DiffusionBatches } from "./batches.ts";
import { imageOf, toNetwork } from "./faces.ts";

/** Copies folders of a model as they are, those that are there; of links, what they lead to. */
export async function copyParts(from: string, to: string, leave: readonly string[] = []): Promise<void> {
  for (const part of await folderNames(from)) {
    if (leave.includes(part)) continue;
    await makeFolder(`${to}/${part}`);
    for (const name of fileNames(`${from}/${part}`)) {
      await reading(`${from}/${part}/${name}`, () => Deno.copyFile(`${from}/${part}/${name}`, `${to}/${part}/${name}`));
    }
  }
}

/** Latents of a dataset. */
export interface Latents {
  /**
   * Means of the latent distributions, or latents before they are quantised, times the scaling factor,
   * `[n, side, side, channels]`; zeros for images that were left out.
   */
  readonly data: Float32Array;
  readonly side: number;
  readonly channels: number;
}

/**
 * Encodes images of a dataset.
 *
 * @param dir Folder of the autoencoder.
 * @param drawn The images to encode; a short training draws few of a large dataset.
 */
export async function encodeLatents(
  ctx: StageContext,
  dir: string,
  faces: LoadedDataset,
  drawn: ReadonlySet<number>,
): Promise<Latents> {
  const BATCH = 16;
  const device = await ctx.device();
  const config = await loadNetworkConfig(dir, autoencoderFormat);
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const x = graph.input("x", [BATCH, faces.size_px, faces.size_px, 3]);
  const latent = affine(encodeLatent(new Scope(graph, specs, "vae/"), config, x), config.scaling_factor);
  const { side, channels } = dims(latent, "N side W channels");
  const parameters = await uploadParameters(device, readNetwork(dir, specs, true));
  using _parameters = disposing(parameters.values());
  using encoder = new Executable(device, { outputs: { latent } }, parameters);
  const size = side * side * channels;
  const bytes = faces.size_px ** 2 * 3;
  const data = new Float32Array(faces.records.length * size);
  const images = [...drawn].sort((a, b) => a - b);
  for (let first = 0; first < images.length; first += BATCH) {
    ctx.signal.throwIfAborted();
    const now = images.slice(first, first + BATCH);
    const pixels = new Float32Array(BATCH * bytes);
    for (const [k, image] of now.entries()) toNetwork(imageOf(faces, image).data, pixels, k * bytes);
    encoder.run({ x: pixels });
    const latents = await encoder.read("latent");
    for (const [k, image] of now.entries()) data.set(latents.subarray(k * size, (k + 1) * size), image * size);
    ctx.progress(first + now.length, images.length, { doing: "encoding images" });
  }
  return { data, side, channels };
}

/** Token ids of prompts, padded to one length and kept, as there are few prompts. */
export class Prompts {
  readonly #tokenizer: Tokenizer;
  readonly #known = new Map<string, Float32Array>();

  /** Uses a model's tokenizer. */
  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  /** Tokens in a prompt, T. */
  get length(): number {
    return this.#tokenizer.length;
  }

  /** Ids of a prompt, `[T]`. */
  ids(prompt: string): Float32Array {
    let ids = this.#known.get(prompt);
    if (!ids) this.#known.set(prompt, ids = Float32Array.from(this.#tokenizer.encode(prompt)));
    return ids;
  }
}

/** A prompt template with the style's name filled in; the record's own prompt when there is no template. */
export function promptOf(record: { style: string; prompt?: string }, template: string | null): string {
  const style = record.style.replaceAll("_", " ");
  return template === null
    ? record.prompt ?? `a portrait of ${style} style`
    : template.replaceAll("{style}", () => style);
}

/** Options of every training of a diffusion model. */
export const denoisingOptions = {
  prompt_dropout: z.number().min(0).max(1).default(0.1).describe(
    "Fraction of the images with the empty prompt, for guidance",
  ),
  min_snr: z.number().positive().optional().describe(
    "Largest weight of a time step, as a signal-to-noise ratio (Hang et al. 2023 take 5); by default all weigh the same",
  ),
};

/**
 * The loss of denoising, and the inputs that it reads: `z`, `noise`, `timesteps`, `signal`, `sigma`, `target_signal`,
 * `target_noise` and, if images are weighted, `weight`.
 *
 * `mean((network(signal z + sigma noise, t) - target)^2)`, the target being the noise for an epsilon schedule (Ho et al.
 * 2020, eq. 14).
 *
 * @param shape Shape of the latents, `[N, h, w, C]`.
 * @param network Predicts from noisy latents and time steps.
 * @param weighted True to multiply the squares of each image by its weight, input `weight`.
 */
export function denoisingLoss(
  graph: Graph,
  shape: readonly [number, number, number, number],
  network: (sample: Value, timesteps: Value) => Value,
  weighted = false,
): Value {
  const [z, noise] = [graph.input("z", shape), graph.input("noise", shape)];
  const each = (name: string) => graph.input(name, [shape[0], 1, 1, 1]);
  const mix = (signal: Value, sigma: Value) => add(mul(z, signal), mul(noise, sigma));
  const output = network(mix(each("signal"), each("sigma")), graph.input("timesteps", [shape[0]]));
  const target = mix(each("target_signal"), each("target_noise"));
  if (!weighted) return mse(output, target);
  const difference = sub(output, target);
  return mean(mul(mul(difference, difference), each("weight")));
}

/**
 * Specifies the batches of a diffusion training.
 *
 * @param drawings True to add landmark drawings, input `cond`.
 */
export function diffusionBatches(
  { seed, faces, latents, schedule, tokenizer }: {
    readonly seed: number;
    readonly faces: LoadedDataset;
    readonly latents: Latents;
    readonly schedule: Schedule;
    readonly tokenizer: Tokenizer;
  },
  { batch_size, prompt, prompt_dropout, min_snr }: {
    readonly batch_size: number;
    readonly prompt: string | null;
    readonly prompt_dropout: number;
    readonly min_snr?: number | undefined;
  },
  drawings: boolean,
): DiffusionBatches {
  const known = new Map([["", 0]]);
  const prompt_of = Uint32Array.from(faces.records, (record) => {
    const text = promptOf(record, prompt);
    const number = known.get(text) ?? known.size;
    known.set(text, number);
    return number;
  });
  const prompts = new Prompts(tokenizer);
  return {
    kind: "diffusion",
    seed,
    batch_size,
    landmarks: faces.landmarks,
    schema: faces.schema,
    latents: share(latents.data),
    schedule,
    prompts: [...known.keys()].map((text) => prompts.ids(text)),
    prompt_of,
    prompt_dropout,
    min_snr,
    drawing_px: drawings ? faces.size_px : null,
  };
}
