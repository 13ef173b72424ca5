/**
 * Costs of the stages of a latent diffusion model, estimated from the configurations of its networks alone, for `plan`.
 *
 * @module
 */

import { isDataset, openDataset } from "../../faces/data/dataset.ts";
import { DEFAULT_SCHEMA, type SchemaName } from "../../faces/schema.ts";
import {
  type AutoencoderConfig,
  autoencoderFormat,
  decodeLatent,
  encodeLatent,
} from "../../models/diffusion/autoencoder.ts";
import { bertFormat } from "../../models/diffusion/bert_text.ts";
import { encodePrompt, type Model, refuseCache, type TextConfig } from "../../models/io/pipeline_folder.ts";
import { type ControlNetConfig, controlnetConfigFor, controlnetFormat } from "../../models/diffusion/controlnet.ts";
import { readDetectorConfig } from "../../models/detectors/detector.ts";
import type { DetectorConfig } from "../../models/detectors/registry.ts";
import { loadNetworkConfig } from "../../models/io/network_folder.ts";
import { countParameters, type ParameterSpec, Scope } from "../../models/io/params.ts";
import { textEncoderFormat } from "../../models/diffusion/clip_text.ts";
import { budgetOf, stepFetches, type TrainerSpec } from "../../models/trainer.ts";
import { scheduleFormat } from "../../models/diffusion/schedule.ts";
import { unet, unetFormat } from "../../models/diffusion/unet.ts";
import { lookUp } from "../../engine/lookup.ts";
import { exists } from "../../formats/files.ts";
import { counted } from "../../formats/numbers.ts";
import { Graph, type Target, texels, type Value } from "../../engine/graph.ts";
import { plan } from "../../engine/plan/plan.ts";
import type { Fetches, Plan, PlanObserver } from "../../engine/plan/records.ts";
import type { Artifact } from "../../runtime/stage.ts";
import { storageBytes } from "../../engine/tensor.ts";

/** The networks of a model, known by their configurations. */
export interface Networks extends Pick<Model, "vae" | "text" | "unet" | "controlnet"> {
  /** Tokens of a prompt at most. */
  readonly tokens: number;
  /** Time steps of the noise schedule, where the folder has one. */
  readonly timesteps?: number;
}

/** A folder that is there, or is to be. */
export type ArtifactRef = Pick<Artifact, "dir" | "info">;

/** Property of an artifact that is yet to be made; undefined for one that is there, or of which nothing is known. */
async function expectation({ info }: ArtifactRef, name: string): Promise<unknown> {
  return (await info?.())?.[name];
}

/** Networks of a model that may lack some, as one has after the training of its autoencoder. */
export type SomeNetworks = Pick<Networks, "vae"> & Partial<Networks>;

/**
 * The autoencoder of a model, there or to be made.
 *
 * @throws {Deno.errors.NotFound} If nothing is known of it yet.
 */
export async function autoencoderOf(model: ArtifactRef): Promise<AutoencoderConfig> {
  const expected = await expectation(model, "networks") as SomeNetworks | undefined;
  if (expected) return expected.vae;
  await Deno.stat(model.dir);
  return await loadNetworkConfig(`${model.dir}/${exists(`${model.dir}/vqvae`) ? "vqvae" : "vae"}`, autoencoderFormat);
}

/**
 * The networks of a model, by the configurations in its folder or, before there is one, by what is expected; weights and
 * tokenizer need not be there.
 *
 * @throws {Deno.errors.NotFound} If nothing is known of it yet.
 * @throws {TypeError} If a configuration is missing or wrong.
 */
export async function networksOf(model: ArtifactRef): Promise<Networks> {
  const expected = await expectation(model, "networks");
  if (expected) return expected as Networks;
  const { dir } = model;
  const there = new Set<string>();
  for await (const { name } of Deno.readDir(dir)) there.add(name);
  await refuseCache(dir, there);
  const read = async <T>(folder: string, format: Parameters<typeof loadNetworkConfig<T>>[1]) =>
    await loadNetworkConfig(`${dir}/${folder}`, format);
  const text: TextConfig = there.has("bert")
    ? { kind: "bert", config: await read("bert", bertFormat) }
    : { kind: "clip", config: await read("text_encoder", textEncoderFormat) };
  return {
    vae: await read(there.has("vqvae") ? "vqvae" : "vae", autoencoderFormat),
    text,
    unet: await read("unet", unetFormat),
    controlnet: there.has("controlnet") ? await read("controlnet", controlnetFormat) : null,
    tokens: text.config.max_position_embeddings,
    ...(there.has("scheduler") && { timesteps: (await read("scheduler", scheduleFormat)).num_train_timesteps }),
  };
}

/**
 * The configuration of a detector, there or to be made.
 *
 * @throws {Deno.errors.NotFound} If nothing is known of it yet.
 */
export async function detectorOf(detector: ArtifactRef): Promise<DetectorConfig> {
  const expected = await expectation(detector, "detector");
  if (expected) return expected as DetectorConfig;
  await Deno.stat(detector.dir);
  return await readDetectorConfig(detector.dir);
}

/**
 * Side of a dataset's images, there or to be made.
 *
 * @throws {Deno.errors.NotFound} If nothing is known of it yet.
 */
export async function sizeOf(data: readonly ArtifactRef[]): Promise<number> {
  const first = firstOf(data);
  const expected = await expectation(first, "size_px");
  return typeof expected === "number" ? expected : (await openDataset(first.dir)).size_px;
}

/** Schema of a dataset's landmarks, there or to be made; the default one if nothing is known of it yet. */
export async function schemaNameOf(data: readonly ArtifactRef[]): Promise<SchemaName> {
  const first = firstOf(data);
  const expected = await expectation(first, "schema");
  if (expected) return expected as SchemaName;
  return await isDataset(first.dir) ? (await openDataset(first.dir)).schema.name : DEFAULT_SCHEMA;
}

/** The first of datasets that are used as one. */
function firstOf([first]: readonly ArtifactRef[]): ArtifactRef {
  if (!first) throw new Deno.errors.NotFound("Cannot describe the images: no dataset is given");
  return first;
}

/**
 * Side of a dataset's images and schema of its landmarks, which datasets made from it have too.
 *
 * @throws {Deno.errors.NotFound} If nothing is known of it yet.
 */
export async function datasetInfo(data: readonly ArtifactRef[]): Promise<{ size_px: number; schema: SchemaName }> {
  return { size_px: await sizeOf(data), schema: await schemaNameOf(data) };
}

/**
 * The ControlNet of a model, or one as it may have: with the hint channels wanted, if these bring images to the size of
 * the latents. A model that another stage is yet to train may have them from there.
 */
export function expectedControlnet({ vae, unet, controlnet }: Networks, wanted?: readonly number[]): ControlNetConfig {
  const levels = vae.block_out_channels.length;
  const usual = [16, 32, 96, ...Array<number>(levels).fill(256)].slice(0, levels);
  const channels = wanted?.length === levels ? [...wanted] : usual;
  return controlnet ?? controlnetConfigFor(unet, { conditioning_embedding_out_channels: channels });
}

/** A number with all its digits, in groups of three. */
export function formatCount(n: number): string {
  return n.toLocaleString("en-US");
}

/** Parameters of a model's networks. */
export function countNetworks({ vae, text, unet: config }: Networks) {
  const graph = new Graph();
  const count = (describe: (scope: Scope) => Value) => {
    const specs = new Map<string, ParameterSpec>();
    describe(new Scope(graph, specs));
    return formatCount(countParameters(specs));
  };
  const image = graph.input("image", [1, 64, 64, vae.in_channels]);
  const sample = graph.input("sample", [1, 8, 8, config.in_channels]);
  const context = graph.input("context", [1, 4, config.cross_attention_dim]);
  const inputs = { sample, timesteps: graph.input("timesteps", [1]), context };
  return {
    unet_parameters: count((scope) => unet(scope, config, inputs)),
    autoencoder_parameters: count((scope) => decodeLatent(scope, vae, encodeLatent(scope, vae, image))),
    text_parameters: count((scope) => encodePrompt(scope, text, graph.input("ids", [1, 4]))),
  };
}

/** `4 images`, or `2 x 4 images` when they are accumulated. */
export function stepImages(
  { batch_size, gradient_accumulation_steps = 1 }: {
    batch_size: number;
    gradient_accumulation_steps?: number | undefined;
  },
): string {
  const batch = counted(batch_size, "image");
  return gradient_accumulation_steps === 1 ? batch : `${gradient_accumulation_steps} x ${batch}`;
}

/** Costs that were computed before, with the plans that they were found with. */
const memo = new Map<string, { readonly costs: unknown; readonly plans: readonly Parameters<PlanObserver>[] }>();

/**
 * Costs of the same again are not computed again: plans of large networks take a part of a second.
 *
 * @param options Those of a stage; how many steps it makes, and at what rate, changes none of what a step takes.
 * @param onPlan Receives the plans of the costs, whether or not they were computed before.
 */
export function memoize<T>(
  networks: unknown,
  options: object,
  compute: (onPlan: PlanObserver) => T,
  onPlan: PlanObserver,
): T {
  const key = JSON.stringify([networks, { ...options, steps: 0, lr: 0, prompt: "" }]);
  let known = memo.get(key);
  if (!known) {
    const plans: Parameters<PlanObserver>[] = [];
    known = { costs: compute((...planned) => plans.push(planned)), plans };
    memo.set(key, known);
  }
  for (const planned of known.plans) onPlan(...planned);
  return known.costs as T;
}

/**
 * An adapter whose storage class is not known before a GPU is opened, unless it is asked for: textures take up to a row
 * more than buffers. Nearly all adapters bind 16 tensors in a dispatch. With 10, as on SwiftShader, dispatches come between
 * that copy the staging buffer earlier, which is smaller then: a small network takes less than is told.
 */
function target(isF16?: (name: string) => boolean): Target {
  const storage = Deno.env.get("FACEWRIGHT_STORAGE") === "buffer" ? "buffer" : "texture";
  return { storage, bindings: 16, tiled: false, staged: storage === "texture", ...(isF16 && { isF16 }) };
}

/**
 * GPU memory of computations that share parameters, and the arithmetic of those that are counted.
 *
 * @param step Computations of a step, counted as often as they are listed.
 * @param others Further computations, which take memory too.
 * @param options `isF16`: true for the name of a parameter that is kept as f16; `onPlan`: receives each of the plans.
 */
export function costsOf(
  step: readonly Fetches[],
  others: readonly Fetches[],
  { isF16 = () => false, onPlan }: { isF16?: (name: string) => boolean; onPlan: PlanObserver },
) {
  const on = target(isF16);
  const planned = new Map([...step, ...others].map((fetches) => [fetches, plan(fetches, on)]));
  for (const fetches of planned.keys()) onPlan(fetches, on);
  const step_flops = step.reduce((total, fetches) => total + lookUp(planned, fetches, "plans").flops, 0);
  return { step_flops, gpu_bytes: bytesOf([...planned.values()], isF16) };
}

/** Bytes of plans that share parameters. */
function bytesOf(plans: readonly Plan[], isF16: (name: string) => boolean): number {
  const counted = new Set<Value>();
  let total = 0;
  for (const { leaves, bytes, target } of plans) {
    total += bytes.pool + bytes.given;
    for (const value of leaves) {
      const { shape, node: { leaf } } = value;
      // Parameters are shared; each plan has inputs and constants of its own.
      if (leaf?.kind !== "parameter" || counted.has(value)) continue;
      counted.add(value);
      total += storageBytes(texels(shape), target.storage, isF16(leaf.name) ? "f16" : "f32");
    }
  }
  return total;
}

/**
 * Estimates the cost of a training.
 *
 * @param options `isF16`, `onPlan`: as in {@linkcode costsOf}; `beside`: computations of an evaluation with the training's own parameters,
 * which take memory too.
 */
export function trainingCosts(
  spec: TrainerSpec,
  { isF16 = () => false, beside = [], onPlan }: {
    isF16?: (name: string) => boolean;
    beside?: readonly Fetches[];
    onPlan: PlanObserver;
  },
) {
  const { gradient_accumulation_steps = 1, loss: { graph } } = spec;
  const trainable = new Map(
    [...spec.trainable].map((name) => [name, lookUp(graph.parameters, name, "parameters of the graph")]),
  );
  const { step, move } = stepFetches(spec, trainable);
  const costs = costsOf(
    [...Array<Fetches>(gradient_accumulation_steps).fill(step), ...(move ? [move] : [])],
    [],
    { isF16, onPlan },
  );
  const on = target(isF16);
  const more = beside.reduce((total, fetches) => {
    onPlan(fetches, on);
    const { pool, given } = plan(fetches, on).bytes;
    return total + pool + given;
  }, 0);
  if (spec.memory_limit === undefined) return { ...costs, gpu_bytes: costs.gpu_bytes + more };
  const moving = move ? [plan(move, on)] : [];
  const kept = plan(step, on);
  const budget = budgetOf(spec.memory_limit, costs.gpu_bytes - kept.bytes.pool - kept.bytes.given);
  const planned = plan(step, on, budget);
  return {
    step_flops: costs.step_flops + gradient_accumulation_steps * (planned.flops - kept.flops),
    gpu_bytes: bytesOf([planned, ...moving], isF16) + more,
    unlimited_gpu_bytes: costs.gpu_bytes + more,
  };
}
