/**
 * Training: a loss, its gradients and the optimizer as one planned step, with checkpoints that resume to the same bytes.
 *
 * @module
 */

import { type ErrorCode, InputError } from "../formats/input_error.ts";
import { gradients } from "../ops/autodiff.ts";
import { add } from "../ops/add.ts";
import { mul } from "../ops/mul.ts";
import { type OptimizerKind, optimizerOf } from "./optimizers.ts";
import { affine } from "../ops/affine.ts";
import { unscale } from "../ops/unscale.ts";
import type { Device } from "../engine/device.ts";
import { lossScale, lossScaleUpdates } from "./loss_scale.ts";
import { exists, makeFolderOf } from "../formats/files.ts";
import { elements, showShape, type Value } from "../engine/graph.ts";
import { itemAt, lookUp } from "../engine/lookup.ts";
import type { NonFiniteResult } from "../engine/non_finite.ts";
import type { Precision } from "../engine/plan/precision.ts";
import { type Budget, type Fetches, MemoryError } from "../engine/plan/records.ts";
import { Executable } from "../engine/executable.ts";
import { readSafetensors, writeSafetensors } from "../formats/safetensors.ts";
import { readAll, Tensor } from "../engine/tensor.ts";

/** Prefix of the moving averages among a trainer's parameters. */
export const EMA = "ema/";

/** Prefix of the sums of gradients over the parts of a step. */
const SUM = "accumulated/";

/** Inputs of the graph for one run. */
export type Inputs = Readonly<Record<string, ArrayLike<number>>>;

/** Specification of a training. */
export interface TrainerSpec {
  /** Scalar to minimise. */
  readonly loss: Value;
  /** Names of the parameters that change; all others are frozen. */
  readonly trainable: Iterable<string>;
  /** Largest norm of all gradients together. */
  readonly clip_norm: number;
  /** Weight decay: decoupled for Adam, an L2 term of the gradient for the others. */
  readonly weight_decay: number;
  /** Decay of the moving average of the parameters, reached after a while. */
  readonly ema_decay: number;
  /** Adam when not given. */
  readonly optimizer?: OptimizerKind | undefined;
  /** Batches whose mean gradient makes a step, one after the other; by default 1. */
  readonly gradient_accumulation_steps?: number | undefined;
  /**
   * Most memory on the device, bytes or such as `8GiB`; where a step takes more, activations are recomputed
   * instead of stored, with the same results. No limit when not given.
   */
  readonly memory_limit?: number | string | undefined;
  /**
   * `f16-mixed` keeps activations and their gradients as f16, under a scale of the loss; parameters, their gradients and all
   * sums are f32. `f32` when not given.
   */
  readonly precision?: Precision | undefined;
  /** More values to read after a step. */
  readonly outputs?: Readonly<Record<string, Value>>;
  /** More assignments of a step, such as running statistics. */
  readonly updates?: readonly (readonly [Value, Value])[];
}

/** Raised when the loss is not finite; the checkpoint before it is untouched. */
export class NonFiniteLossError extends InputError {
  /** The class. */
  override readonly name = "NonFiniteLossError";
  /** See {@linkcode InputError}. */
  override readonly code: ErrorCode = "loss";

  /**
   * Makes the message.
   *
   * @param loss The loss.
   * @param step The step that had it, counted from 1.
   * @param origin Where the first value that is not finite comes from, if that is known.
   */
  constructor(readonly loss: number, readonly step: number, origin?: string) {
    super(`The loss is ${loss} in step ${step}${origin === undefined ? "" : `: ${origin}`}`, {
      hint: "lower the learning rate or clip the gradients",
    });
  }
}

const UNITS = ["kB", "MB", "GB", "KiB", "MiB", "GiB"];

/** `8GiB` and the like. */
export const MEMORY_SIZE: RegExp = new RegExp(`^(\\d+(?:\\.\\d+)?) ?(${UNITS.join("|")})$`);

/**
 * The budget of plans that a trainer makes.
 *
 * @param limit See {@linkcode TrainerSpec}.
 * @param taken Bytes of parameters, and of plans made before.
 * @throws {InputError} If the text is no size.
 */
export function budgetOf(limit: number | string | undefined, taken: number): Budget | undefined {
  if (limit === undefined) return undefined;
  if (typeof limit === "number") return { bytes: limit, taken };
  const [, size, unit = ""] = MEMORY_SIZE.exec(limit) ?? [];
  const k = UNITS.indexOf(unit);
  if (k < 0) {
    throw new InputError(`Cannot read "${limit}" as a size of memory: write bytes, or 8GiB, with ${UNITS.join(", ")}`);
  }
  return { bytes: Number(size) * (k < 3 ? 1000 : 1024) ** (k % 3 + 1), taken };
}

/**
 * Results of a step.
 *
 * @returns `step` for each batch, and `move`, which moves the parameters, where a step has several batches.
 */
export function stepFetches(
  spec: TrainerSpec,
  trainable: ReadonlyMap<string, Value>,
): { readonly step: Fetches; readonly move: Fetches | null } {
  const { loss, clip_norm, weight_decay, optimizer, gradient_accumulation_steps = 1, precision = "f32" } = spec;
  const { graph } = loss;
  const loss_scale = precision === "f32" ? undefined : lossScale(graph);
  const move = (grads: readonly Value[]) => [
    ...optimizerOf(optimizer).updates(graph, trainable, grads, { clip_norm, weight_decay, loss_scale }),
    ...(loss_scale ? lossScaleUpdates(graph, grads) : []),
  ];
  const grads = gradients(loss_scale ? mul(loss, loss_scale) : loss, [...trainable.values()]);
  const outputs = { loss, ...spec.outputs };
  const more = spec.updates ?? [];
  if (gradient_accumulation_steps === 1) {
    return { step: { outputs, updates: [...move(grads), ...more], precision }, move: null };
  }
  // The first batch of a step does not keep the sums of the last step, which may be infinite.
  const keep = graph.input("keep", [1]);
  const sums = [...trainable].map(([name, { shape }]) => graph.parameter(SUM + name, shape));
  const adding = sums.map((sum, k) => [sum, add(unscale(sum, keep), itemAt(grads, k, "gradients"))] as const);
  return {
    step: { outputs, updates: [...adding, ...more], precision },
    move: { outputs: {}, updates: move(sums.map((sum) => affine(sum, 1 / gradient_accumulation_steps))) },
  };
}

/** A training in progress. */
export class Trainer implements Disposable {
  /** Parameters, the optimizer's state (such as `adam.m/`, `adam.v/`) and averages (`ema/`), by name. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** The planned step, for its costs; with several batches, the part of each. */
  readonly step_plan: Executable;
  /** Batches in a step. */
  readonly gradient_accumulation_steps: number;
  /** Steps taken. */
  steps = 0;
  readonly #device: Device;
  readonly #spec: TrainerSpec;
  readonly #given: ReadonlyMap<string, Tensor>;
  /** Optimiser state, averages and plans. */
  readonly #owned: DisposableStack;
  /** Names of all tensors that change: parameters, running statistics, optimizer state and averages. */
  readonly #saved: readonly string[];
  /** Start of a training that has no checkpoint yet. */
  #origin: ReadonlyMap<string, Float32Array> | null = null;
  /** Moves the parameters, where that is not a part of `step_plan`. */
  readonly #move: Executable | null;

  /**
   * Plans a step.
   *
   * @param parameters Starting values of every parameter of the graph; they are trained in place.
   */
  constructor(device: Device, spec: TrainerSpec, parameters: ReadonlyMap<string, Tensor>) {
    using owned = new DisposableStack();
    this.#device = device;
    this.#spec = spec;
    this.#given = parameters;
    this.gradient_accumulation_steps = spec.gradient_accumulation_steps ?? 1;
    const { graph } = spec.loss;
    const names = [...spec.trainable];
    const trainable = new Map(names.map((name) => [name, lookUp(graph.parameters, name, "parameters of the graph")]));
    const fetches = stepFetches(spec, trainable);
    const all = new Map(parameters);
    for (const [name, value] of graph.parameters) {
      if (all.has(name)) continue;
      all.set(name, owned.use(new Tensor(device, value.shape)));
    }
    this.parameters = all;
    const running = (spec.updates ?? []).map(([parameter]) => nameOf(parameter));
    const state = [...all.keys()].filter((name) => !parameters.has(name) && !name.startsWith(SUM));
    this.#saved = [...names, ...running, ...state];
    this.#move = fetches.move && owned.use(new Executable(device, fetches.move, all));
    const beside = this.#move ? this.#move.plan.bytes.pool + this.#move.plan.bytes.given : 0;
    const taken = all.values().reduce((sum, { storage }) => sum + storage.bytes, beside);
    this.step_plan = owned.use(new Executable(device, fetches.step, all, budgetOf(spec.memory_limit, taken)));
    this.#owned = owned.move();
  }

  /** Starts the moving averages at the parameters; call once the parameters have their values, unless a checkpoint is loaded. */
  async start(): Promise<void> {
    const names = this.#saved.filter((name) => this.#given.has(name));
    const tensors = names.map((name) => this.#tensor(name));
    const values = await readAll(tensors);
    this.#origin = new Map(
      names.map((name, k) => [name, lookUp(values, itemAt(tensors, k, "tensors"), "values read")]),
    );
    this.#writeAverages(this.#origin);
  }

  #writeAverages(origin: ReadonlyMap<string, Float32Array>): void {
    for (const [name, values] of origin) this.parameters.get(EMA + name)?.write(values);
  }

  #tensor(name: string): Tensor {
    return lookUp(this.parameters, name, "parameters");
  }

  /**
   * Queues one step and returns its loss when the GPU has it; further steps can be queued before.
   *
   * @param inputs The graph's inputs, for each of the batches of the step.
   * @param lr Learning rate of this step.
   * @throws {NonFiniteLossError} If the loss is not finite.
   */
  async step(inputs: Inputs | readonly Inputs[], lr: number): Promise<number> {
    const batches = this.#batches(inputs);
    const hyper = this.#hyper(lr);
    const step = ++this.steps;
    const losses = batches.map((batch, k) => {
      this.step_plan.run(this.#stepInputs(batch, k, hyper));
      return this.step_plan.read("loss");
    });
    this.#move?.run(hyper);
    const values = (await Promise.all(losses)).map(([value = NaN]) => value);
    const loss = values.reduce((a, b) => a + b) / values.length;
    if (!Number.isFinite(loss)) {
      throw new NonFiniteLossError(loss, step);
    }
    return loss;
  }

  /** The inputs that the optimizer reads in the next step. */
  #hyper(lr: number): Inputs {
    const { weight_decay, ema_decay, optimizer } = this.#spec;
    // A young average follows closely: with the full decay, 0.998^900 = 16 % of it would still be the random start.
    const decay = Math.min(ema_decay, (1 + this.steps) / (10 + this.steps));
    return optimizerOf(optimizer).inputs(this.steps, { weight_decay, ema_decay: decay, lr });
  }

  /** Parameters under the values of their moving averages where there are any, to be saved as the result. */
  averaged(): Map<string, Tensor> {
    const result = new Map<string, Tensor>();
    for (const [name, tensor] of this.#given) result.set(name, this.parameters.get(EMA + name) ?? tensor);
    return result;
  }

  /** Writes a checkpoint: `state.safetensors`, written to a temporary file and renamed, with the step in its metadata. */
  async save(dir: string): Promise<void> {
    makeFolderOf(`${dir}/state.safetensors`);
    const tensors = this.#saved.map((name) => [name, this.#tensor(name)] as const);
    const data = await readAll(tensors.map(([, tensor]) => tensor));
    const map = new Map(
      tensors.map(([name, tensor]) => [name, { shape: [...tensor.shape], data: lookUp(data, tensor, "values read") }]),
    );
    await writeSafetensors(`${dir}/state.safetensors`, map, { metadata: { step: String(this.steps) } });
    this.#origin = null;
  }

  /** Goes on from a checkpoint; false when there is none. */
  async resume(dir: string): Promise<boolean> {
    const path = `${dir}/state.safetensors`;
    if (!exists(path)) return false;
    using file = await readSafetensors(path);
    for (const name of this.#saved) this.#tensor(name).write((await file.read(name)).data);
    this.steps = Number(file.metadata["step"]);
    return true;
  }

  #batches(inputs: Inputs | readonly Inputs[]): readonly Inputs[] {
    const batches = Array.isArray(inputs) ? inputs as readonly Inputs[] : [inputs as Inputs];
    if (batches.length !== this.gradient_accumulation_steps) {
      throw new TypeError(
        `Cannot make a step: its number of batches is ${batches.length}, not ${this.gradient_accumulation_steps}`,
      );
    }
    return batches;
  }

  #stepInputs(batch: Inputs, k: number, hyper: Inputs): Inputs {
    return { ...batch, ...(this.#move ? { keep: [Math.min(k, 1)] } : hyper) };
  }

  /**
   * Finds where the first value that is not finite comes from, after a step failed. The failed step has spoilt the
   * parameters, so the training goes back to its latest checkpoint, or to its start, and repeats the steps from there,
   * with the same results. The last two are checked op by op: a gradient that is not finite shows in the next loss, except
   * in mixed precision, where only the last step is checked.
   *
   * @param error The error of the failed step; nothing can be trained on afterwards.
   * @param dir Folder of the checkpoint.
   * @param replay Inputs and learning rate of a step, counted from 0, as they were given before.
   * @returns The error to throw, which names the op; the same error if the values were finite when they were repeated.
   */
  async locate(
    error: NonFiniteLossError,
    dir: string,
    replay: (step: number) => Promise<{ readonly inputs: Inputs | readonly Inputs[]; readonly lr: number }>,
  ): Promise<NonFiniteLossError> {
    if (!await this.#rewind(dir)) return error;
    // With a scale of the loss, gradients that are not finite have no effect.
    const first = error.step - (this.#spec.precision === "f16-mixed" ? 1 : 2);
    while (this.steps < error.step) {
      const { inputs, lr } = await replay(this.steps);
      const found = this.steps < first ? null : await this.#firstNonFinite(this.#batches(inputs), this.#hyper(lr));
      if (found) {
        const { op, label, shape, value } = found;
        const source = label === null ? `in ${op}` : `made by op "${op}" (${label})`;
        const when = `in step ${this.steps + 1}`;
        return new NonFiniteLossError(
          error.loss,
          error.step,
          `the first value that is not finite is ${value}, ${source}, shape ${showShape(shape)}, ${when}`,
        );
      }
      try {
        await this.step(inputs, lr);
      } catch (again) {
        if (!(again instanceof NonFiniteLossError)) throw again;
        return error;
      }
    }
    return error;
  }

  /** Goes back to the latest checkpoint, or to the start; false if neither is known. */
  async #rewind(dir: string): Promise<boolean> {
    // Sums of gradients are not saved, and would keep those of a failed step: NaN times zero is NaN.
    for (const [name, tensor] of this.parameters) {
      if (!this.#given.has(name)) tensor.write(new Float32Array(elements(tensor.shape)));
    }
    if (this.#origin) {
      for (const [name, values] of this.#origin) this.#tensor(name).write(values);
      this.#writeAverages(this.#origin);
      this.steps = 0;
      return true;
    }
    return await this.resume(dir);
  }

  /** The first value of the next step that is not finite. Batches but the last are accumulated, parameters stay. */
  async #firstNonFinite(batches: readonly Inputs[], hyper: Inputs): Promise<NonFiniteResult | null> {
    for (const [k, batch] of batches.entries()) {
      const inputs = this.#stepInputs(batch, k, hyper);
      const found = await this.#firstIn(this.step_plan, inputs);
      if (found) return found;
      if (this.#move) this.step_plan.run(inputs);
    }
    return this.#move && await this.#firstIn(this.#move, hyper);
  }

  /** Checks a plan, and then one without fusion, to name a single op; that one may be too large. */
  async #firstIn(executable: Executable, inputs: Inputs): Promise<NonFiniteResult | null> {
    const found = await executable.firstNonFinite(inputs);
    if (!found || !found.op.includes("+")) return found;
    const { memory_limit } = this.#spec;
    const taken = this.#device.memory.live;
    try {
      const { fetches } = executable.plan;
      using unfused = new Executable(this.#device, fetches, this.parameters, budgetOf(memory_limit, taken), false);
      return await unfused.firstNonFinite(inputs) ?? found;
    } catch (error) {
      if (error instanceof MemoryError) return found;
      throw error;
    }
  }

  /** Frees the plan and the optimizer's state; the parameters given stay. Does nothing the second time. */
  destroy(): void {
    this.#owned.dispose();
  }

  /** As {@linkcode Trainer.destroy}: for `using`. */
  [Symbol.dispose](): void {
    this.destroy();
  }
}

function nameOf({ node: { leaf } }: Value): string {
  if (leaf?.kind !== "parameter") throw new TypeError("Cannot update a value that is no parameter");
  return leaf.name;
}
