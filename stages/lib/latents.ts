/**
 * Latents of a dataset, and the batches of trainings on them.
 *
 * @module
 */

import type { LoadedDataset } from "../../faces/data/dataset.ts";
import { autoencoderFormat, encodeLatent } from "../../models/diffusion/autoencoder.ts";
import type { Schedule } from "../../models/diffusion/schedule.ts";
import type { Tokenizer } from "../../models/diffusion/tokenizer.ts";
import { loadNetworkConfig, readNetwork } from "../../models/io/network_folder.ts";
import { type ParameterSpec, Scope, uploadParameters } from "../../models/io/params.ts";
import { affine } from "../../ops/affine.ts";
import { Executable } from "../../engine/executable.ts";
import { dims, Graph } from "../../engine/graph.ts";
import { disposing } from "../../engine/tensor.ts";
import { share } from "../../engine/worker_pool.ts";
import type { StageContext } from "../../runtime/stage.ts";
import { type DiffusionBatches, drawnImages } from "./batches.ts";
import { promptOf, Prompts } from "./diffusion.ts";
import { imageOf, toNetwork } from "./faces.ts";

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
async function encodeLatents(
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

/** Parts of a model that the batches of its training are made with. */
export interface LatentSource {
  /** Folder of the autoencoder. */
  readonly autoencoder: string;
  readonly schedule: Schedule;
  readonly tokenizer: Tokenizer;
  /** True to add landmark drawings, input `cond`. */
  readonly drawings: boolean;
}

/**
 * Encodes the images that some batches draw, and specifies these batches.
 *
 * @param count Number of the batches.
 */
export async function latentBatches(
  ctx: StageContext,
  { autoencoder, schedule, tokenizer, drawings }: LatentSource,
  { seed, faces }: { readonly seed: number; readonly faces: LoadedDataset },
  { batch_size, prompt, prompt_dropout, min_snr }: {
    readonly batch_size: number;
    readonly prompt: string | null;
    readonly prompt_dropout: number;
    readonly min_snr?: number | undefined;
  },
  count: number,
): Promise<{ readonly latents: Latents; readonly batches: DiffusionBatches }> {
  const drawn = drawnImages({ seed, schedule, batch_size, count: faces.records.length }, count);
  const latents = await encodeLatents(ctx, autoencoder, faces, drawn);
  const { texts, prompt_of } = numbered(faces, prompt);
  const prompts = new Prompts(tokenizer);
  return {
    latents,
    batches: {
      kind: "diffusion",
      seed,
      batch_size,
      landmarks: faces.landmarks,
      schema: faces.schema,
      latents: share(latents.data),
      schedule,
      prompts: texts.map((text) => prompts.ids(text)),
      prompt_of,
      prompt_dropout,
      min_snr,
      drawing_px: drawings ? faces.size_px : null,
    },
  };
}

/** The prompts that occur, the first of them empty, and the number of each image's prompt. */
function numbered(faces: LoadedDataset, template: string | null): { texts: string[]; prompt_of: Uint32Array } {
  const known = new Map([["", 0]]);
  const prompt_of = Uint32Array.from(faces.records, (record) => {
    const text = promptOf(record, template);
    const number = known.get(text) ?? known.size;
    known.set(text, number);
    return number;
  });
  return { texts: [...known.keys()], prompt_of };
}
