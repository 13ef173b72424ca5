/**
 * Sampling on the GPU: noise to latents to images, without a round trip to the CPU between steps.
 *
 *     once:    prompt, drawing ... ─ text encoder, hint network ─ kept on the device
 *     a step:  x ─ predict(x, t, once) ─ guidance ─ x of the step before, in place
 *     finish:  x ─ decoder ─ image
 *
 * Easy to get wrong: with guidance the network sees 2 N samples, those with the prompt first; everything that `predict`
 * uses must come in this order.
 *
 * @module
 */

import { add } from "../../ops/add.ts";
import { concat } from "../../ops/concat.ts";
import { mul } from "../../ops/mul.ts";
import { slice } from "../../ops/slice.ts";
import { sub } from "../../ops/sub.ts";
import type { Device } from "../../engine/device.ts";
import { elements, type Graph, type Shape, type Value } from "../../engine/graph.ts";
import type { Fetches } from "../../engine/plan/records.ts";
import { Executable } from "../../engine/executable.ts";
import { Tensor } from "../../engine/tensor.ts";
import { ddim } from "./samplers/ddim.ts";
import type { SamplerStep, SamplingMethod } from "./samplers/method.ts";
import type { Schedule } from "./schedule.ts";

/** Parts of a sampler. */
export interface SamplerSpec {
  /** Sampler; DDIM by default. */
  readonly method?: SamplingMethod;
  /** Graph of the networks. */
  readonly graph: Graph;
  /** Shape of the samples, `[N, h, w, C]`. */
  readonly shape: Shape;
  /** Values that do not change from step to step, by name; computed once a run. */
  readonly once: Readonly<Record<string, Value>>;
  /**
   * The network's output for samples, `[N, h, w, C]`, or 2 N with guidance, at time steps, `[N]` or `[2 N]`; `once` holds
   * the values of the same names.
   */
  predict(sample: Value, timesteps: Value, once: Readonly<Record<string, Value>>): Value;
  /** The value to read at the end, from the last x; by default x itself. */
  readonly finish?: (x: Value) => Value;
  /** True if there is guidance: predictions with the prompt come first, then those without. */
  readonly guided: boolean;
  /** True if steps add fresh noise, which the method decides by the run's options. */
  readonly noisy?: boolean;
  /** Range of x_0, where the schedule clips it: {@linkcode clipOf}. */
  readonly clip?: number | undefined;
  /** True if the estimate of the clean sample can be read after a step. */
  readonly watched?: boolean;
}

/** Range that a schedule clips x_0 to; undefined for none. */
export function clipOf({ config }: Schedule): number | undefined {
  return config.clip_sample ? config.clip_sample_range : undefined;
}

/** One run of a sampler. */
export interface SampleRun {
  /** Starting noise, `[N, h, w, C]`. */
  readonly start: ArrayLike<number>;
  /** Time steps with their numbers: `SAMPLERS.ddim.steps(schedule, 25, { eta: 0 })`. */
  readonly steps: readonly SamplerStep[];
  /** The inputs of the graph that `once` depends on. */
  readonly inputs: Readonly<Record<string, ArrayLike<number>>>;
  /** Strength of guidance; 1 is none. */
  readonly guidance?: number;
  /** Fresh noise of a step, `[N, h, w, C]`; needed when the sampler is noisy. */
  readonly noise?: (step: number) => ArrayLike<number>;
  /** Called after each step, with functions that read x and, of a watched sampler, the estimate of x_0. */
  readonly each?: (step: number, read: { x(): Promise<Float32Array>; x0(): Promise<Float32Array> }) => Promise<void>;
}

const PREFIX = "sampler/";

/** Computations of a sampler. */
export interface SamplerFetches {
  /** Parameters that hold the latents and the values computed once. */
  readonly kept: readonly Value[];
  /** Before the first step. */
  readonly once: Fetches;
  /** Each step. */
  readonly step: Fetches;
  /** After the last. */
  readonly finish: Fetches;
}

/** The three computations of a sampler, which share parameters. */
export function samplerFetches(spec: SamplerSpec): SamplerFetches {
  const { graph, shape, method = ddim } = spec;
  const keep = (name: string, shape: Shape): Value => graph.parameter(PREFIX + name, shape);
  const x = keep("x", shape);
  const once = Object.entries(spec.once).map(([name, value]) =>
    [name, keep(`once.${name}`, value.shape), value] as const
  );
  const kept = Object.fromEntries(once.map(([name, parameter]) => [name, parameter]));
  const N = shape[0] ?? 1;
  const history = new Map<string, Value>();
  const model = (sample: Value): Value => {
    const timesteps = graph.input(`${PREFIX}timesteps`, [spec.guided ? 2 * N : N]);
    const output = spec.predict(spec.guided ? concat([sample, sample], 0) : sample, timesteps, kept);
    if (!spec.guided) return output;
    const [cond, uncond] = [slice(output, 0, 0, N), slice(output, 0, N, N)];
    return add(uncond, mul(sub(cond, uncond), graph.input(`${PREFIX}guidance`, [1])));
  };
  const result = method.step({
    x,
    model,
    number: (name) => graph.input(PREFIX + name, [1]),
    noise: () => spec.noisy ? graph.input(`${PREFIX}noise`, shape) : null,
    history(name) {
      const value = keep(`history.${name}`, shape);
      history.set(name, value);
      return value;
    },
    clip: spec.clip,
  });
  const updates: [Value, Value][] = [[x, result.x]];
  for (const [name, before] of history) {
    const value = result.history?.[name];
    if (!value) throw new TypeError(`Cannot sample: the method reads "${name}" of the step before and leaves none`);
    updates.push([before, value]);
  }
  return {
    kept: [x, ...Object.values(kept), ...history.values()],
    once: { outputs: {}, updates: once.map(([, parameter, value]) => [parameter, value] as const) },
    step: { outputs: spec.watched ? { x0: result.x0 } : {}, updates },
    finish: { outputs: { result: spec.finish?.(x) ?? x } },
  };
}

/**
 * A sampler, planned once and run for batch after batch.
 *
 * @example
 * ```ts
 * import type { Device } from "../../engine/device.ts";
 * import { Graph } from "../../engine/graph.ts";
 * import type { Parameters } from "../../engine/prepare.ts";
 * import { type ParameterSpec, Scope } from "../io/params.ts";
 * import { Sampler } from "./sampler.ts";
 * import { SAMPLERS } from "./samplers/registry.ts";
 * import type { Schedule } from "./schedule.ts";
 * import { unet, type UNetConfig } from "./unet.ts";
 *
 * async function draw(device: Device, config: UNetConfig, parameters: Parameters, schedule: Schedule, noise: Float32Array) {
 *   const graph = new Graph();
 *   const scope = new Scope(graph, new Map<string, ParameterSpec>(), "unet/");
 *   const sampler = new Sampler(device, {
 *     graph,
 *     shape: [1, 16, 16, 4],
 *     once: { context: graph.input("context", [1, 12, 64]) },
 *     predict: (sample, timesteps, { context }) => unet(scope, config, { sample, timesteps, context: context! }),
 *     guided: false,
 *   }, parameters);
 *   return await sampler.sample({
 *     start: noise,
 *     steps: SAMPLERS.ddim.steps(schedule, 25, { eta: 0 }),
 *     inputs: { context: new Float32Array(12 * 64) },
 *   });
 * }
 * ```
 */
export class Sampler implements Disposable {
  readonly #spec: SamplerSpec;
  readonly #own = new Map<string, Tensor>();
  /** The plans and the state that they keep between steps. */
  readonly #owned: DisposableStack;
  readonly #once: Executable;
  readonly #step: Executable;
  readonly #finish: Executable;

  /** Plans the steps; `parameters` holds those of all networks. */
  constructor(device: Device, spec: SamplerSpec, parameters: ReadonlyMap<string, Tensor>) {
    using owned = new DisposableStack();
    this.#spec = spec;
    const { kept, once, step, finish } = samplerFetches(spec);
    for (const { node, shape } of kept) {
      const { name } = node.leaf as { name: string };
      this.#own.set(name, owned.use(new Tensor(device, shape)));
    }
    const all = new Map([...parameters, ...this.#own]);
    this.#once = owned.use(new Executable(device, once, all));
    this.#step = owned.use(new Executable(device, step, all));
    this.#finish = owned.use(new Executable(device, finish, all));
    this.#owned = owned.move();
  }

  /** Floating point operations of a step. */
  get flops(): number {
    return this.#step.plan.flops;
  }

  /** Samples a batch and returns the output of `finish` for it, dense. */
  async sample({ start, steps, inputs, guidance = 1, noise, each }: SampleRun): Promise<Float32Array> {
    const { shape, guided, noisy } = this.#spec;
    if (start.length !== elements(shape)) {
      throw new TypeError(`Cannot sample from ${start.length} numbers: the shape is [${shape.join(", ")}]`);
    }
    if (noisy && !noise) throw new TypeError("Cannot sample: the steps add noise and none was given");
    const x = this.#own.get(`${PREFIX}x`) as Tensor;
    x.write(start);
    for (const [name, tensor] of this.#own) {
      if (name.startsWith(`${PREFIX}history.`)) tensor.write(new Float32Array(elements(shape)));
    }
    this.#once.run(inputs);
    const N = shape[0] ?? 1;
    for (const [k, { t, numbers }] of steps.entries()) {
      const step: Record<string, ArrayLike<number>> = {
        timesteps: new Float32Array(guided ? 2 * N : N).fill(t),
        guidance: [guidance],
        ...(noisy && noise ? { noise: noise(k) } : {}),
      };
      for (const [name, number] of Object.entries(numbers)) step[name] = [number];
      this.#step.run(Object.fromEntries(Object.entries(step).map(([name, data]) => [PREFIX + name, data])));
      await each?.(k, { x: () => x.read(), x0: () => this.#step.read("x0") });
    }
    this.#finish.run();
    return await this.#finish.read("result");
  }

  /** Frees everything but the networks' parameters. */
  destroy(): void {
    this.#owned.dispose();
  }

  /** As {@linkcode Sampler.destroy}: for `using`. */
  [Symbol.dispose](): void {
    this.destroy();
  }
}
