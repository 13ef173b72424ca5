/**
 * Landmark detectors: a folder with `config.json` and `model.safetensors`, and what finds landmarks in images with it.
 *
 * @module
 */

import { augment } from "../faces/augment.ts";
import { resizeArea } from "../faces/image.ts";
import { type Landmarks, mirrorLandmarks } from "../faces/landmarks.ts";
import type { Device } from "../runtime/device.ts";
import { Graph, type Value } from "../runtime/graph.ts";
import { Executable, type Parameters } from "../runtime/run.ts";
import type { TensorData } from "../runtime/safetensors.ts";
import type { Tensor } from "../runtime/tensor.ts";
import type { ConfigFormat } from "./config.ts";
import { hourglass, type HourglassConfig, hourglassConfig, landmarksIn } from "./hourglass.ts";
import { loadNetwork, loadNetworkConfig, saveNetwork } from "./network_folder.ts";
import { createParameters, type HostTensors, type ParameterSpec, Scope, type Specs } from "./params.ts";

/** Landmarks that a detector finds. */
const P = 68;

/** Where the network's parameters are in a graph. */
export const DETECTOR = "detector/";

/** `config.json` of a detector. */
const format: ConfigFormat<HourglassConfig> = {
  name: "hourglass",
  schema: hourglassConfig,
  fixed: { model_type: "hourglass" },
};

/** Parameters of the network of a config. */
export function detectorSpecs(config: HourglassConfig): Specs {
  return build(config, 1).specs;
}

function build(config: HourglassConfig, batch: number): { specs: Specs; landmarks: Value } {
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const images = graph.input("images", [batch, config.size_px, config.size_px, 3]);
  const outputs = hourglass(new Scope(graph, specs, DETECTOR), images, config);
  return { specs, landmarks: landmarksIn(outputs, config) };
}

/**
 * Reads a detector's folder, `config.json` and `model.safetensors`, into memory.
 *
 * @returns The network and its parameters' values, in the layout of the graph.
 * @throws {TypeError} If a file is missing or is not what it should be.
 */
export async function readDetector(dir: string): Promise<{ config: HourglassConfig; tensors: HostTensors }> {
  const config = await loadNetworkConfig(dir, format);
  return { config, tensors: await loadNetwork(dir, detectorSpecs(config)) };
}

/**
 * Writes a detector's folder.
 *
 * @param parameters The network's, on the device or in memory.
 * @param options Element type of the weights; F32 when not given.
 */
export async function saveDetector(
  dir: string,
  config: HourglassConfig,
  parameters: ReadonlyMap<string, Tensor | TensorData>,
  options: { dtype?: "F32" | "F16" } = {},
): Promise<void> {
  await saveNetwork(dir, format, config, detectorSpecs(config), parameters, options);
}

/** Puts a detector on a device. */
export async function loadDetector(device: Device, dir: string, options: { batch?: number } = {}): Promise<Detector> {
  const { config, tensors } = await readDetector(dir);
  const parameters = createParameters(device, detectorSpecs(config), tensors);
  return new Detector(device, config, parameters, { ...options, own: true });
}

/** Finds landmarks. */
export class Detector {
  /** The network. */
  readonly config: HourglassConfig;
  readonly #batch: number;
  readonly #executable: Executable;
  readonly #own: Tensor[];

  /**
   * @param parameters The network's, by name below {@linkcode DETECTOR}.
   * @param options `batch` images go through the network at once; `own` parameters are freed with the detector.
   */
  constructor(
    device: Device,
    config: HourglassConfig,
    parameters: Parameters,
    { batch = 16, own = false }: { batch?: number; own?: boolean } = {},
  ) {
    this.config = config;
    this.#batch = batch;
    this.#own = own ? [...parameters.values()] : [];
    const { landmarks } = build(config, batch);
    this.#executable = new Executable(device, { outputs: { landmarks } }, parameters);
  }

  /**
   * Finds the landmarks of faces.
   *
   * @param images `[n, size_px, size_px, 3]`, 0 to 255; faces cropped as those that it was trained on.
   * @param size_px Side of the images; they are resampled to what the network takes.
   * @param options `flip`: the mean of what is found in an image and in its mirror image.
   * @returns `[n, 68, 2]`, pixels of the images given.
   */
  async predict(images: Uint8Array, size_px: number, { flip = false } = {}): Promise<Float32Array> {
    const bytes = size_px * size_px * 3;
    const count = images.length / bytes;
    if (!Number.isInteger(count)) {
      throw new RangeError(
        `Cannot find landmarks in ${images.length} bytes: [n, ${size_px}, ${size_px}, 3] is expected`,
      );
    }
    const side = this.config.size_px;
    const small = shrink(images, size_px, side);
    const found = new Float32Array(count * P * 2);
    const stride = side * side * 3;
    for (let first = 0; first < count; first += this.#batch) {
      const here = Math.min(this.#batch, count - first);
      const input = new Float32Array(this.#batch * stride);
      for (let k = 0; k < here; k++) {
        resample(small, first + k, side, input.subarray(k * stride, (k + 1) * stride));
      }
      const once = await this.#run(input);
      const twice = flip ? await this.#run(mirrored(input, side)) : null;
      for (let k = 0; k < here; k++) {
        const at = [k * P * 2, (k + 1) * P * 2] as const;
        const face = once.subarray(...at);
        const other = twice && mirrorLandmarks(twice.subarray(...at), side);
        const to = found.subarray((first + k) * P * 2);
        for (let i = 0; i < P * 2; i++) {
          const px = other ? (face[i]! + other[i]!) / 2 : face[i]!;
          to[i] = (px + 0.5) * size_px / side - 0.5;
        }
      }
    }
    return found;
  }

  #run(images: Float32Array): Promise<Float32Array> {
    this.#executable.run({ images });
    return this.#executable.read("landmarks");
  }

  /** Frees the plan, and the parameters if they are its own. */
  destroy(): void {
    this.#executable.destroy();
    for (const tensor of this.#own) tensor.destroy();
  }
}

/** Square images of one size, `[n, size_px, size_px, 3]`. */
export interface Squares {
  /** 0 to 255. */
  readonly images: Uint8Array;
  /** Side of each, pixels. */
  readonly size_px: number;
}

/**
 * Makes images smaller by a whole factor, by area averages, while they are at least twice as large as wanted: sampling
 * them between pixels would skip most of theirs.
 *
 * @param images `[n, from_px, from_px, 3]`.
 * @returns The images themselves when they are small enough.
 */
export function shrink(images: Uint8Array, from_px: number, to_px: number): Squares {
  const factor = Math.floor(from_px / to_px);
  if (factor < 2) return { images, size_px: from_px };
  const size_px = Math.round(from_px / factor);
  const bytes = from_px * from_px * 3;
  const count = images.length / bytes;
  const out = new Uint8Array(count * size_px * size_px * 3);
  for (let k = 0; k < count; k++) {
    const data = images.subarray(k * bytes, (k + 1) * bytes);
    out.set(resizeArea({ width: from_px, height: from_px, data }, size_px, size_px).data, k * size_px * size_px * 3);
  }
  return { images: out, size_px };
}

const NO_RANDOM = { uniform: () => 0, normal: () => 0 };
const NO_LANDMARKS: Landmarks = new Float32Array(0);

/** Writes an image as the network takes it. */
function resample({ images, size_px }: Squares, index: number, side: number, out: Float32Array): void {
  const bytes = size_px * size_px * 3;
  augment(images.subarray(index * bytes, (index + 1) * bytes), size_px, NO_LANDMARKS, NO_RANDOM, null, side, out);
}

/** Mirrors `[n, side, side, 3]`. */
function mirrored(images: Float32Array, side: number): Float32Array {
  const out = new Float32Array(images.length);
  for (let row = 0; row < images.length; row += side * 3) {
    for (let x = 0; x < side; x++) {
      for (let c = 0; c < 3; c++) out[row + x * 3 + c] = images[row + (side - 1 - x) * 3 + c]!;
    }
  }
  return out;
}
