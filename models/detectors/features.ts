/**
 * Features of images in a detector's layers, for perceptual distances of two images and for distances of two sets of images.
 *
 * @module
 */

import { InputError } from "../../formats/input_error.ts";
import { add } from "../../ops/add.ts";
import { affine } from "../../ops/affine.ts";
import { avgPool } from "../../ops/avg_pool.ts";
import { mul } from "../../ops/mul.ts";
import { rsqrt } from "../../ops/rsqrt.ts";
import { sub } from "../../ops/sub.ts";
import { sumLast } from "../../ops/sum_last.ts";
import { mean } from "../../ops/sum.ts";
import { upsampleBilinear } from "../../ops/upsample_bilinear.ts";
import type { Device } from "../../engine/device.ts";
import { extent, Graph, type Value } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { itemAt } from "../../engine/lookup.ts";
import { disposing } from "../../engine/tensor.ts";
import { createParameters, type ParameterSpec, Scope } from "../io/params.ts";
import { readDetector } from "./detector.ts";
import { pooledFeatures } from "./pooled_features.ts";
import { DETECTOR, type DetectorConfig, networkOf } from "./registry.ts";

/** Tests if a detector's features are defined for square images of a side: at most its own, or a multiple of it. */
export function takesSide({ size_px }: Pick<DetectorConfig, "size_px">, side: number): boolean {
  return side <= size_px || side % size_px === 0;
}

/**
 * Feature maps from the first layers of a detector to the last, `[N, h, w, C]` each.
 *
 * @param scope Of the detector's parameters: `new Scope(graph, specs, "detector/")`.
 * @param images Square, RGB from -1 to 1, `[N, S, S, 3]`; resampled to the side that the detector takes.
 * @throws {InputError} If S is larger than the detector's side and no multiple of it.
 */
export function detectorFeatures(scope: Scope, config: DetectorConfig, images: Value): readonly Value[] {
  const side = extent(images, 1), { size_px } = config;
  if (!takesSide(config, side)) {
    throw new InputError(
      `Cannot take features of images ${side} pixels wide: the detector takes ${size_px}, hint: images of at most ` +
        `${size_px} pixels, or of a multiple`,
    );
  }
  const resized = side === size_px
    ? images
    : side < size_px
    ? upsampleBilinear(images, [size_px, size_px])
    : avgPool(images, side / size_px);
  return networkOf(config).features(scope, resized, config);
}

/** The features of each pixel, scaled to length 1. */
function unitLength(map: Value): Value {
  return mul(map, rsqrt(affine(sumLast(mul(map, map)), 1, EPS)));
}

/** Smallest length of a pixel's features: darkness has none, and its gradient would be infinite. */
const EPS = 1e-6;

/**
 * Perceptual distance of images: the squared distance of their features, those of each pixel scaled to unit length, summed
 * over channels and averaged over pixels, images and layers.
 *
 * @param x `[N, S, S, 3]`, RGB from -1 to 1; gradients go to both.
 * @returns A scalar from 0 to 4.
 *
 * Source: Zhang et al. 2018, arXiv 1801.03924, eq. 1, with all weights 1.
 */
export function perceptualDistance(scope: Scope, config: DetectorConfig, x: Value, y: Value): Value {
  // Apart, so that nothing is differentiated for images that are constants.
  const [a, b] = [x, y].map((images) => detectorFeatures(scope, config, images).map(unitLength)) as [Value[], Value[]];
  const distances = a.map((map, k) => {
    const difference = sub(map, itemAt(b, k, "layers"));
    return mean(sumLast(mul(difference, difference)));
  });
  return affine(distances.reduce(add), 1 / distances.length);
}

/** A layer of a detector: its first features are of textures and colours, its last of the shapes that landmarks need. */
export type Layer = "first" | "last";

/** Computes the features of images in a layer of a detector, as {@linkcode pooledFeatures} have them. */
export class FeatureExtractor implements Disposable {
  /** Numbers of an image, D. */
  readonly width: number;
  readonly #size_px: number;
  readonly #batch: number;
  readonly #executable: Executable;
  readonly #owned: DisposableStack;

  private constructor(
    executable: Executable,
    shape: readonly [number, number],
    size_px: number,
    owned: DisposableStack,
  ) {
    [this.#batch, this.width] = shape;
    this.#executable = executable;
    this.#size_px = size_px;
    this.#owned = owned;
  }

  /**
   * Loads a detector from its folder.
   *
   * @param size_px Side of the images.
   * @param layer Layer of the features.
   * @param batch Images at once.
   */
  static async load(device: Device, dir: string, size_px: number, layer: Layer, batch = 16): Promise<FeatureExtractor> {
    const { config, tensors } = await readDetector(dir);
    const graph = new Graph(), specs = new Map<string, ParameterSpec>();
    const images = graph.input("images", [batch, size_px, size_px, 3]);
    const maps = detectorFeatures(new Scope(graph, specs, DETECTOR), config, images);
    const pooled = pooledFeatures(itemAt(maps, layer === "first" ? 0 : maps.length - 1, "layers"));
    const parameters = createParameters(device, specs, tensors);
    using owned = disposing(parameters.values());
    const executable = owned.use(new Executable(device, { outputs: { pooled } }, parameters));
    return new FeatureExtractor(executable, [batch, extent(pooled, 1)], size_px, owned.move());
  }

  /**
   * Features of images.
   *
   * @param images `[n, size_px, size_px, 3]`, 0 to 255.
   * @returns `[n, D]`.
   */
  async extract(images: Uint8Array): Promise<Float32Array> {
    const bytes = this.#size_px ** 2 * 3, batch = this.#batch;
    const count = images.length / bytes;
    const features = new Float32Array(count * this.width);
    for (let first = 0; first < count; first += batch) {
      const here = images.subarray(first * bytes, (first + batch) * bytes);
      const input = new Float32Array(batch * bytes);
      here.forEach((byte, k) => input[k] = byte / 127.5 - 1);
      this.#executable.run({ images: input });
      const pooled = await this.#executable.read("pooled");
      features.set(pooled.subarray(0, here.length / bytes * this.width), first * this.width);
    }
    return features;
  }

  /** Frees the plan and the parameters. */
  destroy(): void {
    this.#owned.dispose();
  }

  /** As {@linkcode FeatureExtractor.destroy}: for `using`. */
  [Symbol.dispose](): void {
    this.destroy();
  }
}
