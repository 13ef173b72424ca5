/**
 * Costs of stages, estimated from the configurations of their networks alone, for `plan`.
 *
 * @module
 */
import { Graph, type Target, texels, type Value } from "../../engine/graph.ts";
import { lookUp } from "../../engine/lookup.ts";
import { plan } from "../../engine/plan/plan.ts";
import type { Fetches, Plan, PlanObserver } from "../../engine/plan/records.ts";
import { storageBytes } from "../../engine/tensor.ts";
import { counted } from "../../formats/numbers.ts";
import { decodeLatent, encodeLatent } from "../../models/diffusion/autoencoder.ts";
import { unet } from "../../models/diffusion/unet.ts";
import { countParameters, type ParameterSpec, Scope } from "../../models/io/params.ts";
import { encodePrompt } from "../../models/io/pipeline_folder.ts";
import { budgetOf, stepFetches, type TrainerSpec } from "../../models/trainer.ts";
import type { Networks } from "./artifacts.ts";

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

/** The step of a training and the number of its steps, as `plan` shows them: `training, 2 x 4 images of 64 px`. */
export function trainingSteps(
  { batch_size, gradient_accumulation_steps = 1, steps }: {
    batch_size: number;
    gradient_accumulation_steps?: number | undefined;
    steps: number;
  },
  size_px: number,
): { step: string; steps: number } {
  const batch = counted(batch_size, "image");
  const images = gradient_accumulation_steps === 1 ? batch : `${gradient_accumulation_steps} x ${batch}`;
  return { step: `training, ${images} of ${size_px} px`, steps };
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
 * that copy the staging buffer earlier, which is smaller then: a small network takes less than estimated.
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
