/**
 * Generates images from landmarks and prompts with a model's networks.
 *
 * @module
 */

import { drawCondition } from "../../faces/draw.ts";
import type { Image } from "../../faces/data/image.ts";
import type { LandmarkSchema } from "../../faces/schema.ts";
import type { Model } from "../../models/io/pipeline_folder.ts";
import type { ControlNetConfig } from "../../models/diffusion/controlnet.ts";
import { Sampler } from "../../models/diffusion/sampler.ts";
import { type NoiseLevel, noiseLevel } from "../../models/diffusion/schedule.ts";
import type { SamplerStep } from "../../models/diffusion/samplers/method.ts";
import type { Device } from "../../engine/device.ts";
import { Executable } from "../../engine/executable.ts";
import { elements } from "../../engine/graph.ts";
import { itemAt } from "../../engine/lookup.ts";
import type { Random } from "../../engine/rng.ts";
import type { Parameters } from "../../engine/prepare.ts";
import { Prompts } from "./diffusion.ts";
import { toImage, toNetwork } from "./faces.ts";
import { type GeneratorOptions, methodOf, samplerOf } from "./sampling.ts";

/** Request for an image. */
export interface Request {
  /** `[P, 2]`, pixels. */
  readonly landmarks: Float32Array;
  /** Schema of the landmarks. */
  readonly schema: LandmarkSchema;
  readonly prompt?: string;
  readonly negative_prompt?: string;
  /** A second prompt and its share in the embedding, 0 to 1; only of a generator with mixtures. */
  readonly mixture?: { readonly prompt: string; readonly share: number } | undefined;
  /** The image to begin with, if the options have a strength. */
  readonly image?: Image | undefined;
  /** Source of its noise. */
  readonly random: Random;
}

/** Generates images of one size. */
export class ImageGenerator implements Disposable {
  readonly #given: GeneratorOptions;
  readonly #size_px: number;
  readonly #prompts: Prompts;
  readonly #sampler: Sampler;
  readonly #encoder: Executable | undefined;
  /** Noise of the sample before the first step. */
  readonly #begin: NoiseLevel;
  readonly #steps: readonly SamplerStep[];
  readonly #shape: readonly [number, number, number, number];
  readonly #copies: number;
  readonly #controlled: number;

  /** @param parameters Those that {@linkcode samplerOf} names. */
  constructor(
    device: Device,
    model: Model & { controlnet: ControlNetConfig },
    size_px: number,
    given: GeneratorOptions,
    parameters: Parameters,
  ) {
    this.#given = given;
    this.#size_px = size_px;
    this.#prompts = new Prompts(model.tokenizer);
    const { spec, encode, copies, controlled } = samplerOf(model, size_px, this.#prompts.length, given);
    using owned = new DisposableStack();
    this.#sampler = owned.use(new Sampler(device, spec, parameters));
    this.#encoder = encode && owned.use(new Executable(device, encode, parameters));
    this.#steps = methodOf(given).steps(model.schedule, given.steps, given);
    const { t, level } = itemAt(this.#steps, 0, "steps");
    this.#begin = level ?? noiseLevel(model.schedule, t);
    owned.move();
    this.#shape = spec.shape;
    this.#copies = copies;
    this.#controlled = controlled;
  }

  /** Generates up to a batch of images. */
  async generate(requests: readonly Request[]): Promise<Image[]> {
    const { batch_size, guidance } = this.#given;
    const [size, size_px, prompts] = [elements(this.#shape) / batch_size, this.#size_px, this.#prompts];
    const floats = (n: number, rows = batch_size) => new Float32Array(rows * n);
    const [start, ids] = [floats(size), floats(prompts.length, this.#copies)];
    const drawing = floats(size_px ** 2 * 3, this.#controlled);
    const [otherIds, share] = [floats(prompts.length, this.#copies), floats(1, this.#copies)];
    const put = (into: Float32Array, row: number, values: Float32Array) => into.set(values, row * values.length);
    for (const [k, request] of requests.entries()) {
      const { landmarks, schema, prompt = "", negative_prompt = "", mixture, random } = request;
      put(start, k, random.fillNormal(new Float32Array(size)));
      const picture = drawCondition(landmarks, schema, size_px);
      for (const [row, text] of [[k, prompt], [k + batch_size, negative_prompt]] as const) {
        if (row < this.#copies) put(ids, row, prompts.ids(text));
        if (row < this.#controlled) put(drawing, row, picture);
      }
      // The prompt that guidance leads away from is not mixed: its share is 0.
      if (mixture) {
        put(otherIds, k, prompts.ids(mixture.prompt));
        share[k] = mixture.share;
      }
    }
    if (this.#encoder) {
      const images = floats(size_px ** 2 * 3);
      for (const [k, { image }] of requests.entries()) {
        if (!image) throw new TypeError("Cannot begin with an image: none is given");
        toNetwork(image.data, images, k * image.data.length);
      }
      this.#encoder.run({ image: images });
      const latents = await this.#encoder.read("latent"), { signal, noise } = this.#begin;
      latents.forEach((z, k) => start[k] = signal * z + noise * start[k]!);
    }
    const noise = () => {
      const out = floats(size);
      requests.forEach(({ random }, k) => put(out, k, random.fillNormal(new Float32Array(size))));
      return out;
    };
    const inputs = { ids, drawing, ...this.#given.mixture && { mixture_ids: otherIds, mixture_share: share } };
    const pixels = await this.#sampler.sample({ start, steps: this.#steps, inputs, guidance, noise });
    const bytes = size_px * size_px * 3;
    return requests.map((_, k) => toImage(pixels.subarray(k * bytes, (k + 1) * bytes), size_px));
  }

  /** Frees the plans; the parameters stay. */
  destroy(): void {
    this.#encoder?.destroy();
    this.#sampler.destroy();
  }

  /** Same as {@linkcode ImageGenerator.destroy}, for `using`. */
  [Symbol.dispose](): void {
    this.destroy();
  }
}
