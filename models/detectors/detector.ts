/**
 * Landmark detectors: a folder with `config.json` and `model.safetensors`, and what finds landmarks in images with it.
 *
 * @module
 */

import { exists, readText } from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";
import { resample } from "../../faces/data/resample.ts";
import { mirrorImages, moveImages, shrink } from "../../faces/data/image.ts";
import { mirrorLandmarks, rescale } from "../../faces/landmarks.ts";
import type { LandmarkSchema } from "../../faces/schema.ts";
import { concat } from "../../ops/concat.ts";
import { reshape } from "../../ops/reshape.ts";
import type { Device } from "../../engine/device.ts";
import { extent, Graph } from "../../engine/graph.ts";
import { pointAt } from "../../faces/geometry.ts";
import type { Fetches } from "../../engine/plan/records.ts";
import { Executable } from "../../engine/executable.ts";
import type { Parameters } from "../../engine/prepare.ts";
import type { TensorData } from "../../formats/safetensors.ts";
import { AllocationError, disposing, type Tensor } from "../../engine/tensor.ts";
import type { ConfigFormat } from "../io/config.ts";
import { schemaOf } from "./network.ts";
import { type DetectorConfig, detectorNetwork, DETECTORS, networkOf } from "./registry.ts";
import { loadNetwork, loadNetworkConfig, saveNetwork } from "../io/network_folder.ts";
import { fingerprint } from "../io/fingerprint.ts";
import { createParameters, type HostTensors, type Specs } from "../io/params.ts";

/** Parameters of the network of a config. */
export function detectorSpecs(config: DetectorConfig): Specs {
  return detectorNetwork(new Graph(), config, 1).specs;
}

/**
 * Reads a detector's folder, `config.json` and `model.safetensors`, into memory.
 *
 * @returns The network and its parameters' values, in the layout of the graph.
 * @throws {InputError} If a file is missing or is not what it should be.
 */
export async function readDetector(dir: string): Promise<{ config: DetectorConfig; tensors: HostTensors }> {
  const config = await readDetectorConfig(dir);
  return { config, tensors: await loadNetwork(dir, detectorSpecs(config)) };
}

/** Reads the `config.json` of a detector's folder; throws as {@linkcode readDetector}. */
export async function readDetectorConfig(dir: string): Promise<DetectorConfig> {
  return await loadNetworkConfig<DetectorConfig>(dir, await formatIn(dir));
}

async function formatIn(dir: string): Promise<ConfigFormat<DetectorConfig>> {
  const path = `${dir}/config.json`;
  if (!exists(dir)) throw new InputError(`Cannot read ${dir} as a detector: there is no such folder`);
  if (!exists(path)) throw new InputError(`Cannot read ${dir} as a detector: config.json is missing`);
  let model_type: unknown;
  try {
    ({ model_type } = JSON.parse(await readText(path)) ?? {});
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new InputError(`Cannot read ${path} as a detector: ${error.message}`);
  }
  if (isKind(model_type)) return networkOf({ model_type }).format;
  const names = Object.keys(DETECTORS).map((name) => `"${name}"`).join(" or ");
  throw new InputError(
    `Cannot read ${path} as a detector: "model_type" is ${JSON.stringify(model_type)}, not ${names}`,
  );
}

function isKind(name: unknown): name is DetectorConfig["model_type"] {
  return typeof name === "string" && Object.hasOwn(DETECTORS, name);
}

/**
 * Writes a detector's folder.
 *
 * @param parameters The network's, on the device or in memory.
 * @param options Element type of the weights; by default F32.
 */
export async function saveDetector(
  dir: string,
  config: DetectorConfig,
  parameters: ReadonlyMap<string, Tensor | TensorData>,
  options: { dtype?: "F32" | "F16" } = {},
): Promise<void> {
  await saveNetwork(dir, networkOf(config).format, config, detectorSpecs(config), parameters, options);
}

/** Images that go through a detector's network at once. */
export interface BatchOptions {
  /** Images at once; by default 16. A batch takes the same time however few of its places are used. */
  readonly batch?: number;
  /**
   * True if fewer images than a batch go through plans for 4 and for 1, which are made when they are first needed. By default
   * false: all go through one plan, whose results are the same to the bit however many images there are.
   */
  readonly partial?: boolean;
}

/** Loads a detector onto a device. */
export async function loadDetector(device: Device, dir: string, options: BatchOptions = {}): Promise<Detector> {
  const { config, tensors } = await readDetector(dir);
  const parameters = createParameters(device, detectorSpecs(config), tensors);
  return new Detector(device, config, parameters, { ...options, own: true, fingerprint: fingerprint(tensors) });
}

/** Results of a detector for n images. */
export interface Prediction {
  /** `[n, P, 2]`, pixels of the images. */
  readonly landmarks: Float32Array;
  /** Covariance of each landmark's heatmap, xx, yy and xy: `[n, P, 3]`, squared pixels of the images. */
  readonly covariance: Float32Array;
  /**
   * Of each image the root mean squared distance between the landmarks found in two of its views, `[n]`, pixels of the
   * images; only with `flip`.
   */
  readonly disagreement?: Float32Array;
  /** Pooled features of each image, `[n, D]`, not below 0; of the image itself with `flip` too, and not of every network. */
  readonly features?: Float32Array;
}

/**
 * Uncertainty of each landmark, `[n, P]`, pixels of the images.
 *
 * The root of the heatmap's variance, `s`, ranks the landmarks of a face but hardly distinguishes wrong faces from right ones;
 * the disagreement of the views, `d`, does. With `flip` it is the geometric mean of the two, `sqrt(s d)`.
 */
export function uncertainty({ landmarks, covariance, disagreement }: Prediction): Float32Array {
  const points = landmarks.length / 2;
  return Float32Array.from({ length: points }, (_, i) => {
    const [xx, yy] = covarianceAt(covariance, i);
    const spread = Math.sqrt(Math.max(0, xx + yy));
    const distance = disagreement?.[Math.floor(i * disagreement.length / points)];
    return distance === undefined ? spread : Math.sqrt(spread * distance);
  });
}

/** Covariance xx, yy and xy of a landmark's heatmap, from `[n, P, 3]`. */
function covarianceAt(covariance: Float32Array, point: number): [xx: number, yy: number, xy: number] {
  const [xx, yy, xy] = covariance.subarray(3 * point, 3 * point + 3);
  if (xx === undefined || yy === undefined || xy === undefined) {
    throw new RangeError(`Cannot take the covariance of landmark ${point} of ${covariance.length / 3}`);
  }
  return [xx, yy, xy];
}

/** Default of {@linkcode Detector.batch}, and the sizes of partial batches. */
const BATCH = 16, PARTIAL = [1, 4];

/** Values of a landmark in the output: its place and the covariance. */
const PLACE_VALUES = 5;

/** Fetches of a detector for a number of images, for planning. */
export function detectorFetches(config: DetectorConfig, batch: number = BATCH): Fetches {
  const { landmarks, covariance, features } = detectorNetwork(new Graph(), config, batch);
  // One output, as every read is a wait: x, y and the covariance xx, yy, xy of each landmark, and the features.
  const found = reshape(concat([landmarks, covariance]), [batch, extent(landmarks, 1) * PLACE_VALUES]);
  return { outputs: { found: features ? concat([found, features]) : found } };
}

/** Finds landmarks. */
export class Detector implements Disposable {
  /** The network. */
  readonly config: DetectorConfig;
  /** Schema of the landmarks that it finds. */
  readonly schema: LandmarkSchema;
  /** Fingerprint of its parameters, see `fingerprint()`; undefined where they may change. */
  readonly fingerprint: string | undefined;
  #batch: number;
  readonly #plan: (batch: number) => Executable;
  /** Plans by the number of images, from the smallest; those of partial batches are made when they are needed. */
  readonly #executables: Map<number, Executable | undefined>;
  /** The plans, and the parameters if they are its own. */
  #owned: DisposableStack;

  /**
   * Plans the network.
   *
   * @param parameters The network's, by name below `detector/`.
   * @param options See {@linkcode BatchOptions}; `own` parameters are freed with the detector, and their `fingerprint`
   * tells a finder whether its scores were calibrated with this detector.
   */
  constructor(
    device: Device,
    config: DetectorConfig,
    parameters: Parameters,
    { batch = BATCH, partial = false, own = false, fingerprint }: BatchOptions & {
      own?: boolean;
      fingerprint?: string;
    } = {},
  ) {
    this.config = config;
    this.schema = schemaOf(config);
    this.fingerprint = fingerprint;
    this.#batch = batch;
    using owned = disposing(own ? parameters.values() : []);
    const smaller = partial ? PARTIAL.filter((count) => count < batch) : [];
    this.#executables = new Map([...smaller, batch].map((count) => [count, undefined]));
    this.#plan = (count) => new Executable(device, detectorFetches(config, count), parameters);
    this.#owned = owned;
    if (!partial) this.#planFor(batch);
    this.#owned = owned.move();
  }

  /** Images that go through the network at once; fewer than asked for where the adapter's limits allow no more. */
  get batch(): number {
    return this.#batch;
  }

  /** The smallest plan that takes so many images, or as many of them as a batch has. */
  #planFor(images: number): { readonly count: number; readonly executable: Executable } {
    for (;;) {
      const count = [...this.#executables.keys()].find((count) => count >= images) ?? this.#batch;
      try {
        const executable = this.#executables.get(count) ?? this.#owned.use(this.#plan(count));
        this.#executables.set(count, executable);
        return { count, executable };
      } catch (error) {
        if (!(error instanceof AllocationError) || count === 1) throw error;
        this.#shrink(count, error.share);
      }
    }
  }

  /** Replaces a batch that the adapter cannot hold by the largest power of two that may fit. */
  #shrink(count: number, share: number): void {
    this.#batch = 2 ** Math.floor(Math.log2(Math.min(count / 2, Math.max(1, count * share))));
    for (const larger of [...this.#executables.keys()].filter((count) => count > this.#batch)) {
      this.#executables.delete(larger);
    }
    if (!this.#executables.has(this.#batch)) this.#executables.set(this.#batch, undefined);
  }

  /**
   * Finds the landmarks of faces.
   *
   * @param images `[n, size_px, size_px, 3]`, 0 to 255; faces cropped as those that it was trained on.
   * @param size_px Side of the images; they are resampled to what the network takes.
   * @param options `flip`: the mean of what is found in an image and in its mirror image, both also moved by
   * {@linkcode MOVE_PX}; where these views differ, the covariance is the larger for it.
   */
  async predict(images: Uint8Array, size_px: number, { flip = false } = {}): Promise<Prediction> {
    const bytes = size_px * size_px * 3;
    const count = images.length / bytes;
    if (!Number.isInteger(count)) {
      throw new InputError(
        `Cannot find landmarks in ${images.length} bytes: [n, ${size_px}, ${size_px}, 3] is expected`,
      );
    }
    const side = this.config.size_px, P = this.schema.count;
    const small = shrink(images, size_px, side);
    const landmarks = new Float32Array(count * P * 2), covariance = new Float32Array(count * P * 3);
    const disagreement = new Float32Array(count), features: number[] = [];
    const stride = side * side * 3, ratio = size_px / side;
    for (let first = 0, here; first < count; first += here) {
      const { count: places, executable } = this.#planFor(Math.min(this.#batch, count - first));
      here = Math.min(places, count - first);
      const input = new Float32Array(places * stride);
      for (let k = 0; k < here; k++) {
        const image = small.images.subarray(
          (first + k) * small.size_px ** 2 * 3,
          (first + k + 1) * small.size_px ** 2 * 3,
        );
        resample(image, small.size_px, side, input.subarray(k * stride, (k + 1) * stride));
      }
      const look = (images: Float32Array) => run(executable, images, places, P);
      const found = flip ? average(await views(look, input, this.schema, side), P) : await look(input);
      const scaled = (values: Float32Array, width: number, scale: (value: number) => number) =>
        values.subarray(0, here * width).map(scale);
      landmarks.set(scaled(found.landmarks, P * 2, (px) => rescale(px, ratio)), first * P * 2);
      covariance.set(scaled(found.covariance, P * 3, (value) => value * ratio * ratio), first * P * 3);
      if (found.disagreement) disagreement.set(scaled(found.disagreement, 1, (px) => px * ratio), first);
      if (found.features) features.push(...found.features.subarray(0, here * found.features.length / places));
    }
    const pooled = features.length > 0 && { features: Float32Array.from(features) };
    return { landmarks, covariance, ...(flip && { disagreement }), ...pooled };
  }

  /**
   * Finds landmarks in images that come one after the other, so that any number of them takes the memory of a batch.
   *
   * @param items Never read more than a batch ahead of what is taken from the result.
   * @param imageOf The image of an item, `[size_px, size_px, 3]`; null for one that is only passed on.
   * @param options As of {@linkcode Detector.predict}.
   * @returns The items in their order, each with what is found in its image.
   */
  async *each<T>(
    items: AsyncIterable<T> | Iterable<T>,
    imageOf: (item: T) => Uint8Array | null,
    size_px: number,
    options: { flip?: boolean } = {},
  ): AsyncGenerator<readonly [item: T, found: Prediction | null]> {
    const bytes = size_px * size_px * 3;
    const predict = this.predict.bind(this), P = this.schema.count;
    async function* finish(batch: readonly T[]): AsyncGenerator<readonly [T, Prediction | null]> {
      const seen = batch.map((item) => ({ item, image: imageOf(item) }));
      const images = seen.map(({ image }) => image).filter((image) => image !== null);
      const all = new Uint8Array(images.length * bytes);
      images.forEach((image, k) => all.set(image, k * bytes));
      const { landmarks, covariance, disagreement } = await predict(all, size_px, options);
      let k = 0;
      for (const { item, image } of seen) {
        if (image === null) yield [item, null];
        else {
          const of = (values: Float32Array, width: number) => values.slice(k * P * width, (k + 1) * P * width);
          const parts = { landmarks: of(landmarks, 2), covariance: of(covariance, 3) };
          yield [item, { ...parts, ...(disagreement && { disagreement: disagreement.slice(k, k + 1) }) }];
          k++;
        }
      }
    }
    let batch: T[] = [];
    for await (const item of items) {
      batch.push(item);
      if (batch.length < this.batch) continue;
      yield* finish(batch);
      batch = [];
    }
    yield* finish(batch);
  }

  /** Frees the plans, and the parameters if they are its own. */
  destroy(): void {
    this.#owned.dispose();
  }

  /** As {@linkcode Detector.destroy}: for `using`. */
  [Symbol.dispose](): void {
    this.destroy();
  }
}

/** Results for a batch of images, `[batch, size_px, size_px, 3]`, -1 to 1. */
async function run(executable: Executable, images: Float32Array, batch: number, P: number): Promise<Prediction> {
  executable.run({ images });
  const found = await executable.read("found");
  const width = found.length / batch, places = P * PLACE_VALUES;
  const part = (is: (column: number) => boolean) => found.filter((_, k) => is(k % width));
  return {
    landmarks: part((column) => column < places && column % PLACE_VALUES < 2),
    covariance: part((column) => column < places && column % PLACE_VALUES >= 2),
    ...(width > places && { features: part((column) => column >= places) }),
  };
}

/** Results for mirrored images, mirrored back. */
function unmirrored({ landmarks, covariance }: Prediction, schema: LandmarkSchema, side: number): Prediction {
  const { count: P, mirror } = schema;
  const faces = landmarks.length / (2 * P);
  const [points, spreads] = [new Float32Array(landmarks.length), new Float32Array(covariance.length)];
  for (let k = 0; k < faces; k++) {
    points.set(mirrorLandmarks(landmarks.subarray(k * P * 2, (k + 1) * P * 2), schema, side), k * P * 2);
    for (const [i, from] of mirror.entries()) {
      const [xx, yy, xy] = covarianceAt(covariance, k * P + from);
      spreads.set([xx, yy, -xy], (k * P + i) * 3);
    }
  }
  return { landmarks: points, covariance: spreads };
}

/**
 * Pixels, right and down, between two views of an image: half a pixel of the heatmaps where these are a quarter of its
 * side. A network that samples its features at every fourth pixel errs by where the face lies between these; the mean of
 * both views has half of that error.
 */
const MOVE_PX = 2;

/** Results for images, for mirrored ones, and for both moved by {@linkcode MOVE_PX}, all in the images' own pixels. */
async function views(
  look: (images: Float32Array) => Promise<Prediction>,
  images: Float32Array,
  schema: LandmarkSchema,
  side: number,
): Promise<Prediction[]> {
  const found: Prediction[] = [];
  for (const px of [0, MOVE_PX]) {
    const seen = async (images: Float32Array): Promise<Prediction> => {
      const { landmarks, ...rest } = await look(moveImages(images, side, px));
      return { landmarks: landmarks.map((at) => at - px), ...rest };
    };
    found.push(await seen(images), unmirrored(await seen(mirrorImages(images, side)), schema, side));
  }
  return found;
}

/**
 * Mean and covariance of an equal mixture, what is between the views counts as spread; how far two of them are apart; and the
 * features of the first one.
 */
function average(views: readonly Prediction[], P: number): Prediction {
  const mean = (values: (view: Prediction) => Float32Array) =>
    views.map(values).reduce((sum, some) => sum.map((value, i) => value + some[i]!)).map((sum) => sum / views.length);
  const landmarks = mean((view) => view.landmarks), covariance = mean((view) => view.covariance);
  const disagreement = new Float32Array(landmarks.length / (2 * P));
  for (const view of views) {
    for (let point = 0; point < landmarks.length / 2; point++) {
      const [x, y] = pointAt(landmarks, point), [u, v] = pointAt(view.landmarks, point);
      const dx = u - x, dy = v - y;
      [dx * dx, dy * dy, dx * dy].forEach((part, i) => covariance[3 * point + i]! += part / views.length);
      disagreement[Math.floor(point / P)]! += 2 * (dx * dx + dy * dy) / ((views.length - 1) * P);
    }
  }
  const features = views[0]?.features;
  return { landmarks, covariance, disagreement: disagreement.map(Math.sqrt), ...(features && { features }) };
}
