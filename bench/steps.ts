/**
 * Cases of the bench other than single ops: steps of the trainings and of the sampler, and blocks of a large UNet.
 *
 * @module
 */

import { autoencoderFormat, latentChannels, latentSide } from "../models/diffusion/autoencoder.ts";
import { encodePrompt, type TextConfig } from "../models/io/pipeline_folder.ts";
import { controlFromHint, controlnet, controlnetFormat, embedHint } from "../models/diffusion/controlnet.ts";
import { detectorFetches, detectorSpecs, readDetectorConfig } from "../models/detectors/detector.ts";
import { type DetectorConfig, detectorTraining, trainableNames } from "../models/detectors/registry.ts";
import { resnet, transformer } from "../models/diffusion/layers.ts";
import { loadNetworkConfig } from "../models/io/network_folder.ts";
import { type ParameterSpec, Scope, type Specs, specsUnder } from "../models/io/params.ts";
import { samplerFetches } from "../models/diffusion/sampler.ts";
import { textEncoderFormat } from "../models/diffusion/clip_text.ts";
import { stepFetches, type TrainerSpec } from "../models/trainer.ts";
import { unet, unetFormat } from "../models/diffusion/unet.ts";
import { adamHyper } from "../ops/adam.ts";
import { lookUp } from "../engine/lookup.ts";
import { Graph, type Value } from "../engine/graph.ts";
import type { Precision } from "../engine/plan/precision.ts";
import type { Fetches } from "../engine/plan/records.ts";
import { denoisingLoss } from "../stages/lib/diffusion.ts";

/** Something that can be run again and again on made-up data. */
export interface Workload {
  readonly fetches: Fetches;
  /** Initial values of parameters; those that are not named start at zero. */
  readonly specs?: Specs;
  /** Inputs for which random numbers from -1 to 1 would not do. */
  readonly inputs?: Readonly<Record<string, ArrayLike<number>>>;
}

const MODELS = new URL("../models", import.meta.url).pathname;
const TINY = `${MODELS}/tiny`;

/** The configurations of the networks that ship. */
async function tinyNetworks() {
  const text: TextConfig = { kind: "clip", config: await loadNetworkConfig(`${TINY}/text_encoder`, textEncoderFormat) };
  const vae = await loadNetworkConfig(`${TINY}/vae`, autoencoderFormat);
  const { sample_size: size_px } = vae;
  if (size_px === undefined) {
    throw new Error(`Cannot bench the networks of ${TINY}: the autoencoder has no sample_size`);
  }
  return {
    text,
    tokens: text.config.max_position_embeddings,
    unet: await loadNetworkConfig(`${TINY}/unet`, unetFormat),
    controlnet: await loadNetworkConfig(`${TINY}/controlnet`, controlnetFormat),
    size_px,
    side: latentSide(vae, size_px),
    channels: latentChannels(vae),
  };
}

/** Fetches of a trainer's step, with Adam, clipping and the moving average. */
function training(
  spec: Pick<TrainerSpec, "loss" | "trainable" | "outputs" | "updates" | "precision">,
  specs: Specs,
  inputs: Workload["inputs"] = {},
): Workload {
  const trainable = new Map(
    [...spec.trainable].map((name) => [name, lookUp(spec.loss.graph.parameters, name, "parameters of the graph")]),
  );
  const { step } = stepFetches({ clip_norm: 1, weight_decay: 0, ema_decay: 0.999, ...spec }, trainable);
  return { fetches: step, specs, inputs: { ...inputs, "adam.hyper": adamHyper(0, { lr: 1e-5 }) } };
}

/** A training step of `diffusion/train` on the networks that ship, with every gradient of both UNet and ControlNet. */
export async function unetControlnetStep(batch: number, precision?: Precision): Promise<Workload> {
  const networks = await tinyNetworks();
  const { side, size_px, tokens } = networks;
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const scope = (network: string) => new Scope(graph, specs, `${network}/`);
  const context = encodePrompt(scope("text_encoder"), networks.text, graph.input("ids", [batch, tokens]));
  const drawing = graph.input("cond", [batch, size_px, size_px, 3]);
  const loss = denoisingLoss(graph, [batch, side, side, networks.channels], (sample, timesteps) => {
    const inputs = { sample, timesteps, context };
    const residuals = controlnet(scope("controlnet"), networks.controlnet, inputs, drawing);
    return unet(scope("unet"), networks.unet, inputs, residuals);
  });
  const trainable = [...specsUnder(specs, "unet/").keys(), ...specsUnder(specs, "controlnet/").keys()];
  return training({ loss, trainable, precision }, specs, { ids: new Float32Array(batch * tokens) });
}

/** A DDIM step of `dataset/generate` with guidance on the networks that ship: twice `batch` predictions. */
export async function ddimStep(batch: number): Promise<Workload> {
  const networks = await tinyNetworks();
  const { side, size_px, tokens, channels } = networks;
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const scope = (network: string) => new Scope(graph, specs, `${network}/`);
  const { step } = samplerFetches({
    graph,
    shape: [batch, side, side, channels],
    once: {
      context: encodePrompt(scope("text_encoder"), networks.text, graph.input("ids", [2 * batch, tokens])),
      hint: embedHint(
        scope("controlnet"),
        networks.controlnet,
        graph.input("drawing", [2 * batch, size_px, size_px, 3]),
      ),
    },
    predict(sample, timesteps, { context, hint }) {
      const inputs = { sample, timesteps, context: context! };
      const residuals = controlFromHint(scope("controlnet"), networks.controlnet, inputs, hint!);
      return unet(scope("unet"), networks.unet, inputs, residuals);
    },
    guided: true,
  });
  return { fetches: step, specs };
}

/** A prediction of the UNet that ships, alone: what an inference runtime can do too. */
export async function unetForward(batch: number): Promise<Workload> {
  const { unet: config, side, tokens, channels } = await tinyNetworks();
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const noise = unet(new Scope(graph, specs, "unet/"), config, {
    sample: graph.input("sample", [batch, side, side, channels]),
    timesteps: graph.input("timesteps", [batch]),
    context: graph.input("context", [batch, tokens, config.cross_attention_dim]),
  });
  return { fetches: { outputs: { noise } }, specs };
}

/** A training step of a landmark detector. */
export function detectorStep(config: DetectorConfig, batch: number, precision?: Precision): Workload {
  const { specs, loss, landmarks, updates } = detectorTraining(new Graph(), config, batch);
  const trainable = trainableNames(config, specs);
  return training({ loss, trainable, updates, outputs: { landmarks }, precision }, specs);
}

/** A training step of a detector that ships, by its folder in `models`. */
export async function hourglassStep(folder: string, batch: number, precision?: Precision): Promise<Workload> {
  return detectorStep(await readDetectorConfig(`${MODELS}/${folder}`), batch, precision);
}

/** Landmarks of a batch of images by a detector that ships. */
export async function detectorForward(folder: string, batch: number): Promise<Workload> {
  const config = await readDetectorConfig(`${MODELS}/${folder}`);
  return { fetches: detectorFetches(config, batch), specs: detectorSpecs(config) };
}

/** A block of Stable Diffusion v1's first level, on latents of an image of 512 pixels. */
function largeBlock(build: (scope: Scope, x: Value) => Value): Workload {
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const y = build(new Scope(graph, specs), graph.input("x", [1, 64, 64, 320]));
  return { fetches: { outputs: { y } }, specs };
}

/** A residual block, with the time step's embedding. */
export const largeResnet = (): Workload =>
  largeBlock((scope, x) =>
    resnet(scope, x, 320, { groups: 32, eps: 1e-5, time: scope.graph.input("time", [1, 1280]) })
  );

/** A spatial transformer: attention among 4,096 pixels, to a prompt of 77 tokens, and the feed-forward layer. */
export const largeTransformer = (): Workload =>
  largeBlock((scope, x) => {
    const context = scope.graph.input("context", [1, 77, 768]);
    return transformer(scope, x, 8, { groups: 32, context, linear_projection: false, depth: 1 });
  });
