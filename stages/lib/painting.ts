/**
 * Generates images from landmarks and prompts with a model's networks.
 *
 * @module
 */

import { z } from "zod";
import { drawCondition } from "../../faces/draw.ts";
import type { Image } from "../../faces/data/image.ts";
import type { LandmarkSchema } from "../../faces/schema.ts";
import { decodeLatent, encodeLatent, latentChannels } from "../../models/diffusion/autoencoder.ts";
import { encodePrompt, type Model } from "../../models/io/pipeline_folder.ts";
import { controlFromHint, type ControlNetConfig, embedHint } from "../../models/diffusion/controlnet.ts";
import { type ParameterSpec, Scope } from "../../models/io/params.ts";
import { clipOf, Sampler, type SamplerSpec } from "../../models/diffusion/sampler.ts";
import { SAMPLER_NAMES, SAMPLERS } from "../../models/diffusion/samplers/registry.ts";
import { type NoiseLevel, noiseLevel, type Schedule } from "../../models/diffusion/schedule.ts";
import {
  type SamplerStep,
  type SamplingMethod,
  SPACING_NAMES,
  SPACINGS,
} from "../../models/diffusion/samplers/method.ts";
import { unet } from "../../models/diffusion/unet.ts";
import { add } from "../../ops/add.ts";
import { affine } from "../../ops/affine.ts";
import { mul } from "../../ops/mul.ts";
import { pad, slice } from "../../ops/slice.ts";
import { sub } from "../../ops/sub.ts";
import type { Device } from "../../engine/device.ts";
import { Executable } from "../../engine/executable.ts";
import { elements, Graph, type Value } from "../../engine/graph.ts";
import { itemAt } from "../../engine/lookup.ts";
import type { Fetches } from "../../engine/plan/records.ts";
import type { Random } from "../../engine/rng.ts";
import type { Parameters } from "../../engine/prepare.ts";
import { Prompts } from "./diffusion.ts";
import { toImage, toNetwork } from "./faces.ts";

/** Options of sampling. */
export const samplingOptions = {
  sampler: z.enum(SAMPLER_NAMES).optional().describe(
    `Sampler: ${SAMPLER_NAMES.map((name) => `${name}, ${SAMPLERS[name].doc}`).join("; ")}; by default ${
      SAMPLER_NAMES[0]
    }`,
  ),
  steps: z.int().min(1).max(1000).default(20).describe("Steps of the sampler"),
  spacing: z.enum(SPACING_NAMES).optional().describe(
    `Spacing of the noise levels of dpmpp_2m: ${
      SPACING_NAMES.map((name) => `${name}, ${SPACINGS[name]}`).join("; ")
    }; by default time steps are spaced as the model's schedule says`,
  ),
  strength: z.number().gt(0).max(1).optional().describe(
    "Image-to-image: share of the steps that are made, from images with noise to images; small ones keep more of them " +
      "(SDEdit, Meng et al. 2021, arXiv 2108.01073); by default images are made from noise alone",
  ),
  guidance: z.number().min(1).max(30).default(2).describe("Scale of classifier-free guidance; 1 is none"),
  eta: z.number().min(0).max(1).default(0).describe("Fresh noise in each step of DDIM; 0 is deterministic"),
  control_scale: z.number().min(0).max(3).default(1).describe("Strength of the landmarks' influence"),
  control_in: z.enum(["both", "conditional"]).optional().describe(
    "Which predictions of guidance see the landmarks: both; or the conditional one alone, so that guidance strengthens " +
      "the landmarks as it does the prompt, and the ControlNet computes half as much (Zhang et al. 2023, arXiv " +
      "2302.05543, section 3.4); by default both",
  ),
  batch_size: z.int().min(1).max(256).default(8).describe("Images sampled at once"),
};

/** The options above as a stage gets them. */
export type SamplingOptions = z.output<z.ZodObject<typeof samplingOptions>>;

/** The sampler of the options. */
function methodOf({ sampler = SAMPLER_NAMES[0] }: SamplingOptions): SamplingMethod {
  return SAMPLERS[sampler];
}

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

/** Options of a generator. */
export type GeneratorOptions = SamplingOptions & {
  /** If there are any, embeddings of two prompts may be mixed. */
  readonly mixture?: object | undefined;
};

/**
 * Describes a sampler of a model's networks.
 *
 * @returns `spec`: the sampler; `encode`: from images, input `image`, to latents, if the options have a strength; `specs`: all
 *   parameters; `copies`: samples that the UNet takes at once, conditional ones
 *   first; `controlled`: number of these that the ControlNet takes.
 */
export function samplerOf(
  { vae, text, unet: unetConfig, controlnet, schedule }: Pick<Model, "vae" | "text" | "unet"> & {
    readonly controlnet: ControlNetConfig;
    /** Unknown where the model is not made yet. */
    readonly schedule?: Schedule;
  },
  size_px: number,
  tokens: number,
  given: GeneratorOptions,
) {
  const { batch_size } = given;
  const side = size_px / 2 ** (vae.block_out_channels.length - 1);
  const shape = [batch_size, side, side, latentChannels(vae)] as const;
  const guided = given.guidance !== 1;
  const copies = guided ? 2 * batch_size : batch_size;
  const controlled = given.control_in === "conditional" ? batch_size : copies;
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const scope = (network: string) => new Scope(graph, specs, `${network}/`);
  const embed = (ids: string) => encodePrompt(scope("text_encoder"), text, graph.input(ids, [copies, tokens]));
  const mixed = (a: Value, b: Value) => add(a, mul(sub(b, a), graph.input("mixture_share", [copies, 1, 1])));
  const spec = {
    graph,
    shape,
    once: {
      context: given.mixture ? mixed(embed("ids"), embed("mixture_ids")) : embed("ids"),
      hint: embedHint(scope("controlnet"), controlnet, graph.input("drawing", [controlled, size_px, size_px, 3])),
    },
    predict(sample, timesteps, { context, hint }) {
      const inputs = { sample, timesteps, context: context! };
      const first = (x: Value) => slice(x, 0, 0, controlled);
      const seen = { sample: first(sample), timesteps: first(timesteps), context: first(inputs.context) };
      const { down, mid } = controlFromHint(scope("controlnet"), controlnet, seen, hint!, {
        scale: given.control_scale,
      });
      const padded = (x: Value) => pad(x, 0, 0, copies - controlled);
      return unet(scope("unet"), unetConfig, inputs, { down: down.map(padded), mid: padded(mid) });
    },
    finish: (x) => decodeLatent(scope("vae"), vae, affine(x, 1 / vae.scaling_factor)),
    guided,
    method: methodOf(given),
    noisy: methodOf(given).noisy(given),
    clip: schedule && clipOf(schedule),
  } satisfies SamplerSpec;
  const latent = () => encodeLatent(scope("vae"), vae, graph.input("image", [batch_size, size_px, size_px, 3]));
  const encode: Fetches | undefined = given.strength === undefined
    ? undefined
    : { outputs: { latent: affine(latent(), vae.scaling_factor) } };
  // Describing the networks once names the parameters to load.
  spec.finish(spec.predict(graph.input("sample", [copies, ...shape.slice(1)]), graph.input("t", [copies]), spec.once));
  return { spec, encode, specs, copies, controlled };
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
      // What guidance leads away from is not mixed: its share is 0.
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
