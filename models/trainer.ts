/**
 * Training: a loss, its gradients and the optimiser as one planned step, with checkpoints that resume to the same bytes.
 *
 * @module
 */

import { gradients } from "../ops/autodiff.ts";
import { adamHyper, adamUpdates } from "../ops/optimizer.ts";
import type { Device } from "../runtime/device.ts";
import type { Value } from "../runtime/graph.ts";
import { Executable } from "../runtime/run.ts";
import { readSafetensors, writeSafetensors } from "../runtime/safetensors.ts";
import { readAll, Tensor } from "../runtime/tensor.ts";

/** Prefix of the moving averages among a trainer's parameters. */
export const EMA = "ema/";

/** What to train. */
export interface TrainerSpec {
  /** Scalar to minimise. */
  readonly loss: Value;
  /** Names of the parameters that change; all others are frozen. */
  readonly trainable: Iterable<string>;
  /** Largest norm of all gradients together. */
  readonly clip_norm: number;
  /** Decoupled weight decay. */
  readonly weight_decay: number;
  /** Decay of the moving average of the parameters, reached after a while. */
  readonly ema: number;
  /** More values to read after a step. */
  readonly outputs?: Readonly<Record<string, Value>>;
  /** More assignments of a step, such as running statistics. */
  readonly updates?: readonly (readonly [Value, Value])[];
}

/** Raised when the loss is not finite; the checkpoint before it is untouched. */
export class NonFiniteLossError extends Error {
  override name = "NonFiniteLossError";
}

/** A training in progress. */
export class Trainer {
  /** Parameters, moments (`adam.m/`, `adam.v/`) and averages (`ema/`), by name. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** The planned step, for its costs. */
  readonly step_plan: Executable;
  /** Steps taken. */
  steps = 0;
  readonly #hyper: { weight_decay: number; ema_decay: number };
  readonly #own: Tensor[] = [];
  readonly #saved: string[];

  /**
   * @param parameters Starting values of every parameter of the graph; they are trained in place.
   */
  constructor(device: Device, spec: TrainerSpec, parameters: ReadonlyMap<string, Tensor>) {
    this.#hyper = { weight_decay: spec.weight_decay, ema_decay: spec.ema };
    const { graph } = spec.loss;
    const names = [...spec.trainable];
    const trainable = new Map(names.map((name) => [name, graph.parameters.get(name)!]));
    const grads = gradients(spec.loss, [...trainable.values()]);
    const { updates } = adamUpdates(graph, trainable, grads, { ema: true, clip_norm: spec.clip_norm });
    const all = new Map(parameters);
    for (const [name, value] of graph.parameters) {
      if (all.has(name)) continue;
      const tensor = new Tensor(device, value.shape);
      this.#own.push(tensor);
      all.set(name, tensor);
    }
    this.parameters = all;
    const running = (spec.updates ?? []).map(([parameter]) => (parameter.node.leaf as { name: string }).name);
    this.#saved = [...names, ...running, ...[...all.keys()].filter((name) => /^(adam\.[mv]|ema)\//.test(name))];
    this.step_plan = new Executable(device, {
      outputs: { loss: spec.loss, ...spec.outputs },
      updates: [...updates, ...(spec.updates ?? [])],
    }, all);
  }

  /** Starts the moving averages at the parameters; call once the parameters have their values, unless a checkpoint is loaded. */
  async start(): Promise<void> {
    const averaged = [...this.parameters.keys()].filter((name) => name.startsWith(EMA));
    const source = (name: string) => this.parameters.get(name.slice(EMA.length))!;
    const values = await readAll(averaged.map(source));
    for (const name of averaged) this.parameters.get(name)!.write(values.get(source(name))!);
  }

  /**
   * Queues one step and returns its loss when the GPU has it; further steps can be queued before.
   *
   * @param inputs The graph's inputs.
   * @param lr Learning rate of this step.
   * @throws {NonFiniteLossError} If the loss is not finite.
   */
  async step(inputs: Readonly<Record<string, ArrayLike<number>>>, lr: number): Promise<number> {
    // A young average follows closely: with the full decay, 0.998^900 = 16 % of it would still be the random start.
    const ema_decay = Math.min(this.#hyper.ema_decay, (1 + this.steps) / (10 + this.steps));
    const hyper = adamHyper(this.steps, { ...this.#hyper, ema_decay, lr });
    const step = ++this.steps;
    this.step_plan.run({ ...inputs, "adam.hyper": hyper });
    const [loss] = await this.step_plan.read("loss");
    if (!Number.isFinite(loss)) {
      throw new NonFiniteLossError(
        `The loss is ${loss} in step ${step}, hint: lower the learning rate or clip the gradients`,
      );
    }
    return loss!;
  }

  /** Parameters under the values of their moving averages where there are any: what to save as the result. */
  averaged(): Map<string, Tensor> {
    const result = new Map<string, Tensor>();
    for (const [name, tensor] of this.parameters) {
      if (!/^(adam\.[mv]|ema)\//.test(name)) result.set(name, this.parameters.get(EMA + name) ?? tensor);
    }
    return result;
  }

  /** Writes a checkpoint: `state.safetensors`, written beside and renamed, with the step in its metadata. */
  async save(dir: string): Promise<void> {
    await Deno.mkdir(dir, { recursive: true });
    const tensors = this.#saved.map((name) => [name, this.parameters.get(name)!] as const);
    const data = await readAll(tensors.map(([, tensor]) => tensor));
    const map = new Map(tensors.map(([name, tensor]) => [name, { shape: [...tensor.shape], data: data.get(tensor)! }]));
    await writeSafetensors(`${dir}/state.safetensors`, map, { metadata: { step: String(this.steps) } });
  }

  /** Goes on from a checkpoint; false when there is none. */
  async resume(dir: string): Promise<boolean> {
    const path = `${dir}/state.safetensors`;
    if (!await exists(path)) return false;
    using file = await readSafetensors(path);
    for (const name of this.#saved) this.parameters.get(name)!.write((await file.read(name)).data);
    this.steps = Number(file.metadata["step"]);
    return true;
  }

  /** Frees the plan and the optimiser's state; the parameters given stay. */
  destroy(): void {
    this.step_plan.destroy();
    for (const tensor of this.#own) tensor.destroy();
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch {
    return false;
  }
}
