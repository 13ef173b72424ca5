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
import { clamp } from "../../ops/clamp.ts";
import { concat } from "../../ops/concat.ts";
import { mul } from "../../ops/mul.ts";
import { slice } from "../../ops/slice.ts";
import { sub } from "../../ops/sub.ts";
import type { Device } from "../../engine/device.ts";
import { elements, type Graph, type Shape, type Value } from "../../engine/graph.ts";
import type { Fetches } from "../../engine/plan/plan.ts";
import { Executable } from "../../engine/executable.ts";
import { Tensor } from "../../engine/tensor.ts";
import type { StepCoefficients } from "./schedule.ts";

/** What a sampler is made of. */
export interface SamplerSpec {
  /** Where the networks are built. */
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
  /** What to read at the end, from the last x; x itself when not given. */
  readonly finish?: (x: Value) => Value;
  /** Whether there is guidance: predictions with the prompt come first, then those without. */
  readonly guided: boolean;
  /** Whether steps add fresh noise (eta over 0). */
  readonly noisy?: boolean;
  /** Range of x_0, where the schedule clips it. */
  readonly clip?: number;
}

/** One run of a sampler. */
export interface SampleRun {
  /** Starting noise, `[N, h, w, C]`. */
  readonly start: ArrayLike<number>;
  /** Time steps with their coefficients: `ddimSteps(schedule, 25)`. */
  readonly steps: readonly { readonly t: number; readonly coefficients: StepCoefficients }[];
  /** The inputs of the graph that `once` depends on. */
  readonly inputs: Readonly<Record<string, ArrayLike<number>>>;
  /** Strength of guidance; 1 is none. */
  readonly guidance?: number;
  /** Fresh noise of a step, `[N, h, w, C]`; needed when the sampler is noisy. */
  readonly noise?: (step: number) => ArrayLike<number>;
}

const PREFIX = "sampler/";

/** The value before a step: `prev[0] clip(x0[0] x + x0[1] output) + prev[1] x + prev[2] output + prev[3] noise`. */
function stepBack(spec: SamplerSpec, x: Value, output: Value): Value {
  const factor = (name: string) => spec.graph.input(PREFIX + name, [1]);
  const clean = add(mul(x, factor("x0.0")), mul(output, factor("x0.1")));
  const clipped = spec.clip === undefined ? clean : clamp(clean, -spec.clip, spec.clip);
  const terms = [mul(clipped, factor("prev.0")), mul(x, factor("prev.1")), mul(output, factor("prev.2"))];
  if (spec.noisy) terms.push(mul(spec.graph.input(`${PREFIX}noise`, spec.shape), factor("prev.3")));
  return terms.reduce(add);
}

/** What a sampler computes. */
export interface SamplerFetches {
  /** Parameters that hold the latents and what is computed once. */
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
  const { graph, shape } = spec;
  const keep = (name: string, shape: Shape): Value => graph.parameter(PREFIX + name, shape);
  const x = keep("x", shape);
  const kept = Object.fromEntries(
    Object.entries(spec.once).map(([name, value]) => [name, keep(`once.${name}`, value.shape)]),
  );
  const N = shape[0]!;
  const timesteps = graph.input(`${PREFIX}timesteps`, [spec.guided ? 2 * N : N]);
  let output = spec.predict(spec.guided ? concat([x, x], 0) : x, timesteps, kept);
  if (spec.guided) {
    const [cond, uncond] = [slice(output, 0, 0, N), slice(output, 0, N, N)];
    output = add(uncond, mul(sub(cond, uncond), graph.input(`${PREFIX}guidance`, [1])));
  }
  const before = stepBack(spec, x, output);
  return {
    kept: [x, ...Object.values(kept)],
    once: { outputs: {}, updates: Object.entries(spec.once).map(([name, value]) => [kept[name]!, value] as const) },
    step: { outputs: {}, updates: [[x, before]] },
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
 * import type { Parameters } from "../../engine/executable.ts";
 * import { type ParameterSpec, Scope } from "../io/params.ts";
 * import { Sampler } from "./sampler.ts";
 * import { ddimSteps, type Schedule } from "./schedule.ts";
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
 *     steps: ddimSteps(schedule, 25),
 *     inputs: { context: new Float32Array(12 * 64) },
 *   });
 * }
 * ```
 */
export class Sampler {
  readonly #spec: SamplerSpec;
  readonly #own = new Map<string, Tensor>();
  readonly #once: Executable;
  readonly #step: Executable;
  readonly #finish: Executable;

  /** Plans the steps; `parameters` holds those of all networks. */
  constructor(device: Device, spec: SamplerSpec, parameters: ReadonlyMap<string, Tensor>) {
    this.#spec = spec;
    const { kept, once, step, finish } = samplerFetches(spec);
    for (const { node, shape } of kept) {
      this.#own.set((node.leaf as { name: string }).name, new Tensor(device, shape));
    }
    const all = new Map([...parameters, ...this.#own]);
    this.#once = new Executable(device, once, all);
    this.#step = new Executable(device, step, all);
    this.#finish = new Executable(device, finish, all);
  }

  /** Floating point operations of a step. */
  get flops(): number {
    return this.#step.plan.flops;
  }

  /** Samples a batch and returns what `finish` makes of it, dense. */
  async sample({ start, steps, inputs, guidance = 1, noise }: SampleRun): Promise<Float32Array> {
    const { shape, guided, noisy } = this.#spec;
    if (start.length !== elements(shape)) {
      throw new TypeError(`Cannot sample from ${start.length} numbers: the shape is [${shape.join(", ")}]`);
    }
    if (noisy && !noise) throw new TypeError("Cannot sample: the steps add noise and none was given");
    this.#own.get(`${PREFIX}x`)!.write(start);
    this.#once.run(inputs);
    const N = shape[0]!;
    steps.forEach(({ t, coefficients: { x0, prev } }, k) => {
      const step: Record<string, ArrayLike<number>> = {
        timesteps: new Float32Array(guided ? 2 * N : N).fill(t),
        guidance: [guidance],
        ...(noisy ? { noise: noise!(k) } : {}),
      };
      x0.forEach((factor, j) => step[`x0.${j}`] = [factor]);
      prev.forEach((factor, j) => step[`prev.${j}`] = [factor]);
      this.#step.run(Object.fromEntries(Object.entries(step).map(([name, data]) => [PREFIX + name, data])));
    });
    this.#finish.run();
    return await this.#finish.read("result");
  }

  /** Frees everything but the networks' parameters. */
  destroy(): void {
    for (const exe of [this.#once, this.#step, this.#finish]) exe.destroy();
    for (const tensor of this.#own.values()) tensor.destroy();
  }
}
