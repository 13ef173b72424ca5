/**
 * Batches of trainings, made ahead in other threads so that the GPU does not wait for them.
 *
 * @module
 */

import { augment, type Augmentation } from "../../faces/data/augment.ts";
import type { Faces } from "../../faces/data/dataset.ts";
import { drawCondition } from "../../faces/draw.ts";
import { composeScene } from "../../faces/scenes/scene.ts";
import type { LandmarkSchema } from "../../faces/schema.ts";
import { schemaOf } from "../../models/detectors/network.ts";
import { type DetectorConfig, detectorTargets } from "../../models/detectors/registry.ts";
import { finderTargets } from "../../models/finder/targets.ts";
import { minSnrWeight, noiseLevel, type Schedule, targetFactors } from "../../models/diffusion/schedule.ts";
import { Random } from "../../engine/rng.ts";
import { packInto } from "../../engine/tensor.ts";
import { share, workerCount, WorkerPool } from "../../engine/worker_pool.ts";
import { imageOf, landmarksOf, toNetwork } from "./faces.ts";

/** Faces alone of a dataset, in memory that threads share. */
export function shared({ images, landmarks, schema, size_px }: Faces): Faces {
  return { images: share(images), landmarks: share(landmarks), schema, size_px };
}

/** Batches of `detector/train`. */
export interface DetectorBatches {
  readonly kind: "detector";
  readonly seed: number;
  readonly batch_size: number;
  /** Their landmarks are of the schema of `config`. */
  readonly datasets: readonly Faces[];
  /** Weight of each dataset in a batch, in any unit. */
  readonly data_weights: readonly number[];
  readonly config: DetectorConfig;
  readonly augment: Augmentation | null;
}

/** Batches of `autoencoder/train`. */
export interface AutoencoderBatches {
  readonly kind: "autoencoder";
  readonly seed: number;
  readonly batch_size: number;
  readonly pictures: Faces;
  /** Elements of an image's latent. */
  readonly noise: number;
}

/** Batches of the trainings of a diffusion model. */
export interface DiffusionBatches {
  readonly kind: "diffusion";
  readonly seed: number;
  readonly batch_size: number;
  /** `[n, P, 2]`, pixels. */
  readonly landmarks: Float32Array;
  /** Schema of the landmarks. */
  readonly schema: LandmarkSchema;
  /** `[n, size]`; only those of {@linkcode drawnImages} are used. */
  readonly latents: Float32Array;
  readonly schedule: Schedule;
  /** Token ids of each prompt that occurs; the first is the empty one. */
  readonly prompts: readonly Float32Array[];
  /** Number of each image's prompt. */
  readonly prompt_of: Uint32Array;
  /** Share of the images that get the empty prompt, for guidance. */
  readonly prompt_dropout: number;
  readonly min_snr?: number | undefined;
  /** Side of the landmark drawings, input `cond`; null for none. */
  readonly drawing_px: number | null;
}

/** Batches of `finder/train`. */
export interface FinderBatches {
  readonly kind: "finder";
  readonly seed: number;
  readonly batch_size: number;
  /** Faces that scenes are composed of, with 68 landmarks. */
  readonly datasets: readonly Faces[];
  /** Weight of each dataset in scenes, in any unit. */
  readonly data_weights: readonly number[];
  /** Side of the scenes, pixels. */
  readonly side: number;
}

/** Specification of a training's batches: plain data, as it goes to other threads. */
export type BatchSpec = DetectorBatches | FinderBatches | AutoencoderBatches | DiffusionBatches;

/** The inputs of a network by name. */
export type Batch = Record<string, Float32Array>;

/** Creates the maker of a training's batches, each a function of the seed and its number alone. */
export function batchMaker(spec: BatchSpec): (index: number) => Batch {
  switch (spec.kind) {
    case "detector":
      return detectorBatches(spec);
    case "finder":
      return finderBatches(spec);
    case "autoencoder":
      return autoencoderBatches(spec);
    case "diffusion":
      return diffusionBatches(spec);
  }
}

/** Images, changed at random, their landmarks in pixels, and the targets of the loss. */
function detectorBatches({ datasets, data_weights, config, batch_size, augment: how, seed }: DetectorBatches) {
  const random = new Random(seed, "detector/train");
  const total = data_weights.reduce((a, b) => a + b, 0);
  const { size_px: side } = config;
  const schema = schemaOf(config), stride = 2 * schema.count;
  const out = new Float32Array(side * side * 3);
  return (index: number): Batch => {
    const draw = random.at(index);
    // The thread of the training has no time to spare: as texels, images go to the GPU as they are.
    const images = new Float32Array(batch_size * side * side * 4);
    const landmarks = new Float32Array(batch_size * stride);
    for (let k = 0; k < batch_size; k++) {
      let place = draw.uniform() * total;
      const from = Math.max(0, data_weights.findIndex((share) => (place -= share) < 0));
      const faces = datasets[from]!;
      const picked = draw.int(faces.landmarks.length / stride);
      const [{ data: image }, face] = [imageOf(faces, picked), landmarksOf(faces, picked)];
      landmarks.set(augment(image, faces.size_px, face, schema, draw, how, side, out), k * stride);
      packInto(images.subarray(k * side * side * 4, (k + 1) * side * side * 4), 3, out);
    }
    return { images, landmarks, ...detectorTargets(config, landmarks) };
  };
}

/** Scenes, and the targets of the loss. */
function finderBatches({ datasets, data_weights, batch_size, side, seed }: FinderBatches) {
  const random = new Random(seed, "finder/train");
  return (index: number): Batch => {
    const draw = random.at(index);
    const images = new Float32Array(batch_size * side * side * 4);
    const faces = Array.from({ length: batch_size }, (_, k) => {
      const scene = composeScene(datasets, data_weights, draw, { side });
      packInto(images.subarray(k * side * side * 4, (k + 1) * side * side * 4), 3, scene.pixels);
      return scene.faces;
    });
    return { images, targets: finderTargets(faces, side) };
  };
}

function autoencoderBatches({ pictures, batch_size, noise, seed }: AutoencoderBatches) {
  const random = new Random(seed, "autoencoder/train");
  const bytes = pictures.size_px ** 2 * 3;
  return (index: number): Batch => {
    const draw = random.at(index);
    const x = new Float32Array(batch_size * bytes);
    for (let k = 0; k < batch_size; k++) {
      toNetwork(imageOf(pictures, draw.int(pictures.images.length / bytes)).data, x, k * bytes);
    }
    return { x, noise: draw.fillNormal(new Float32Array(batch_size * noise)) };
  };
}

/** An image of `count`, a time step of T and a number from 0 to 1. */
function drawImage(draw: Random, count: number, T: number) {
  return { image: draw.int(count), t: draw.int(T), chance: draw.uniform() };
}

/** The images that are in the first `batches` of the {@linkcode DiffusionBatches} with a seed, of `count`. */
export function drawnImages(
  { seed, schedule, batch_size, count }: Pick<DiffusionBatches, "seed" | "schedule" | "batch_size"> & {
    readonly count: number;
  },
  batches: number,
): Set<number> {
  const random = new Random(seed, "diffusion/batches");
  const drawn = new Set<number>();
  for (let index = 0; index < batches && drawn.size < count; index++) {
    const draw = random.at(index);
    for (let k = 0; k < batch_size; k++) drawn.add(drawImage(draw, count, schedule.config.num_train_timesteps).image);
  }
  return drawn;
}

/** Latents, noise, time steps and prompts at random. */
function diffusionBatches(spec: DiffusionBatches) {
  const { landmarks, schema, latents, schedule, prompts, prompt_of, batch_size, min_snr, drawing_px } = spec;
  const size = latents.length / prompt_of.length;
  const T = schedule.config.num_train_timesteps;
  const tokens = prompts[0]!.length;
  const random = new Random(spec.seed, "diffusion/batches");
  return (index: number): Batch => {
    const draw = random.at(index);
    const floats = (n: number) => new Float32Array(batch_size * n);
    const inputs = {
      z: floats(size),
      timesteps: floats(1),
      signal: floats(1),
      sigma: floats(1),
      target_signal: floats(1),
      target_noise: floats(1),
      ...(min_snr === undefined ? {} : { weight: floats(1) }),
      ids: floats(tokens),
      ...(drawing_px === null ? {} : { cond: floats(drawing_px ** 2 * 3) }),
    };
    for (let k = 0; k < batch_size; k++) {
      const { image, t, chance } = drawImage(draw, prompt_of.length, T);
      const prompt = chance < spec.prompt_dropout ? 0 : prompt_of[image]!;
      inputs.z.set(latents.subarray(image * size, (image + 1) * size), k * size);
      inputs.timesteps[k] = t;
      ({ signal: inputs.signal[k], noise: inputs.sigma[k] } = noiseLevel(schedule, t));
      ({ signal: inputs.target_signal[k], noise: inputs.target_noise[k] } = targetFactors(schedule, t));
      if (inputs.weight && min_snr !== undefined) inputs.weight[k] = minSnrWeight(schedule, t, min_snr);
      inputs.ids.set(prompts[prompt]!, k * tokens);
      if (inputs.cond && drawing_px !== null) {
        const own = inputs.cond.subarray(k * drawing_px ** 2 * 3, (k + 1) * drawing_px ** 2 * 3);
        drawCondition(landmarksOf({ landmarks, schema }, image), schema, drawing_px, drawing_px, own);
      }
    }
    return { ...inputs, noise: draw.fillNormal(floats(size)) };
  };
}

/** The batches of a training in order, some of them prefetched. */
export class Batches implements Disposable {
  readonly #pool: WorkerPool<number, Batch>;
  readonly #ahead: number;
  readonly #made = new Map<number, Promise<Batch>>();

  /**
   * Starts to make batches.
   *
   * @param workers Threads; as many batches are ahead.
   */
  constructor(spec: BatchSpec, workers: number = workerCount()) {
    this.#pool = new WorkerPool(new URL("./batch_worker.ts", import.meta.url), spec, workers);
    this.#ahead = workers;
  }

  /** Returns a batch, which is not kept, and has the next ones made. */
  get(index: number): Promise<Batch> {
    const batch = this.#made.get(index) ?? this.#make(index);
    this.#made.delete(index);
    for (let k = index + 1; k <= index + this.#ahead; k++) {
      if (!this.#made.has(k)) this.#made.set(k, this.#make(k));
    }
    return batch;
  }

  #make(index: number): Promise<Batch> {
    const batch = this.#pool.call(index);
    batch.catch(() => {}); // a failure reaches the caller that takes the batch
    return batch;
  }

  /** Ends the threads. */
  [Symbol.dispose](): void {
    this.#pool[Symbol.dispose]();
  }
}
