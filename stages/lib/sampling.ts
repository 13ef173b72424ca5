/**
 * Sampling with a model's networks: the options, and the graph of prompt, landmarks, UNet, ControlNet and decoder.
 *
 * @module
 */

import { z } from "zod";
import { decodeLatent, encodeLatent, latentChannels, latentSide } from "../../models/diffusion/autoencoder.ts";
import { encodePrompt, type Model } from "../../models/io/pipeline_folder.ts";
import { controlFromHint, type ControlNetConfig, embedHint } from "../../models/diffusion/controlnet.ts";
import { type ParameterSpec, Scope } from "../../models/io/params.ts";
import { clipOf, type SamplerSpec } from "../../models/diffusion/sampler.ts";
import { SAMPLER_NAMES, SAMPLERS } from "../../models/diffusion/samplers/registry.ts";
import type { Schedule } from "../../models/diffusion/schedule.ts";
import { type SamplingMethod, SPACING_NAMES, SPACINGS } from "../../models/diffusion/samplers/method.ts";
import { unet } from "../../models/diffusion/unet.ts";
import { add } from "../../ops/add.ts";
import { affine } from "../../ops/affine.ts";
import { mul } from "../../ops/mul.ts";
import { pad, slice } from "../../ops/slice.ts";
import { sub } from "../../ops/sub.ts";
import { Graph, type Value } from "../../engine/graph.ts";
import type { Fetches } from "../../engine/plan/records.ts";

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
export function methodOf({ sampler = SAMPLER_NAMES[0] }: SamplingOptions): SamplingMethod {
  return SAMPLERS[sampler];
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
  const side = latentSide(vae, size_px);
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
