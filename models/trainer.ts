/**
 * Training: a loss, its gradients and the optimiser as one planned step, with checkpoints that resume to the same bytes.
 *
 * @module
 */

import { gradients } from "../ops/autodiff.ts";
import { adamHyper, type AdamOptions, adamUpdates } from "../ops/optimizer.ts";
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
  /** Parameters that change, by name; all others are frozen. */
  readonly trainable: ReadonlyMap<string, Value>;
  /** AdamW's settings. */
  readonly optimizer: AdamOptions;
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
  readonly #device: Device;
  readonly #options: AdamOptions;
  readonly #own: Tensor[] = [];
  readonly #saved: string[];

  /**
   * @param parameters Starting values of every parameter of the graph; they are trained in place.
   */
  constructor(device: Device, spec: TrainerSpec, parameters: ReadonlyMap<string, Tensor>) {
    this.#device = device;
    this.#options = spec.optimizer;
    const { graph } = spec.loss;
    const names = [...spec.trainable.keys()];
    const grads = gradients(spec.loss, [...spec.trainable.values()]);
    const updates = adamUpdates(graph, spec.trainable, grads, spec.optimizer);
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
    const values = await readAll(this.#device, averaged.map((name) => this.parameters.get(name.slice(EMA.length))!));
    averaged.forEach((name, k) => this.parameters.get(name)!.write(values[k]!));
  }

  /**
   * Queues one step and returns its loss when the GPU has it; further steps can be queued before.
   *
   * @param inputs The graph's inputs.
   * @param lr Learning rate of this step.
   * @throws {NonFiniteLossError} If the loss is not finite.
   */
  async step(inputs: Readonly<Record<string, ArrayLike<number>>>, lr: number): Promise<number> {
    const step = ++this.steps;
    this.step_plan.run({ ...inputs, "adam.hyper": adamHyper(step, { ...this.#options, lr }) });
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
    const tensors = this.#saved.map((name) => this.parameters.get(name)!);
    const data = await readAll(this.#device, tensors);
    const map = new Map(this.#saved.map((name, k) => [name, { shape: [...tensors[k]!.shape], data: data[k]! }]));
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
