/**
 * The contract of a sampler: from a model, a noisy sample, a schedule and its own history to the sample of the next step.
 *
 * A method plans numbers on the CPU, a few for each step, and builds one step as a graph in which these numbers are
 * inputs. The graph is planned once and run for every step; nothing is read back between.
 *
 * @module
 */

import { add } from "../../../ops/add.ts";
import { clamp } from "../../../ops/clamp.ts";
import { mul } from "../../../ops/mul.ts";
import type { Value } from "../../../engine/graph.ts";
import { type NoiseLevel, noiseLevel, type Schedule } from "../schedule.ts";

/** A step of a run: its time step, and the numbers that the graph of a step reads. */
export interface SamplerStep {
  /** Time step given to the network. */
  readonly t: number;
  /** Noise of the sample before the step, where it is not that of the time step. */
  readonly level?: NoiseLevel;
  /** Numbers by name. */
  readonly numbers: Readonly<Record<string, number>>;
}

/** Name of a spacing of noise levels. */
export type Spacing = "log_snr" | "karras";

/** Spacings of the noise levels of a run, other than by time steps. */
export const SPACINGS: Readonly<Record<Spacing, string>> = {
  log_snr: "uniform in the logarithm of the signal-to-noise ratio (Lu et al. 2022, arXiv 2206.00927, section 3.2)",
  karras: "denser where there is little noise (Karras et al. 2022, arXiv 2206.00364, eq. 5, rho 7)",
};

/** Names of all spacings. */
export const SPACING_NAMES: readonly [Spacing, ...Spacing[]] = Object.keys(SPACINGS) as [Spacing, ...Spacing[]];

/** Options of a run. */
export interface MethodOptions {
  /** Fresh noise in each step of `ddim`: 0 is deterministic, 1 adds as much as DDPM. */
  readonly eta: number;
  /** Spacing of the noise levels, for methods that take one; by default the schedule's `timestep_spacing`. */
  readonly spacing?: Spacing | undefined;
  /**
   * Share of the steps that are made, those with the least noise, from above 0 to 1; for a run that begins at an image with
   * the noise of its first step (SDEdit: Meng et al. 2021, arXiv 2108.01073). By default 1.
   */
  readonly strength?: number | undefined;
}

/** Number of steps that a strength leaves out: as in diffusers, but one is always made. */
export function skippedSteps(count: number, { strength = 1 }: Pick<MethodOptions, "strength">): number {
  return count - Math.max(1, Math.floor(count * strength));
}

/** A step under construction. */
export interface StepBuilder {
  /** The noisy sample, `[N, h, w, C]`. */
  readonly x: Value;
  /** Output of the network, with guidance, for a sample at the step's time step. */
  model(x: Value): Value;
  /** One of the step's numbers, `[1]`. */
  number(name: string): Value;
  /** Fresh standard normal noise of the sample's shape; null where a run adds none. */
  noise(): Value | null;
  /** The value of this name that the step before left, of the sample's shape; zeros in the first step. */
  history(name: string): Value;
  /** Largest magnitude of x_0, where the schedule clips it. */
  readonly clip: number | undefined;
}

/** Results of a step. */
export interface StepResult {
  /** The sample of the next step. */
  readonly x: Value;
  /** Estimate of the clean sample. */
  readonly x0: Value;
  /** Values to keep for the next step, by the names that {@linkcode StepBuilder.history} asks for. */
  readonly history?: Readonly<Record<string, Value>>;
}

/** A way to go from noise to an image: one file in this folder and one row of `SAMPLERS`. */
export interface SamplingMethod {
  /** Name and source in a few words. */
  readonly doc: string;
  /** True if it takes noise levels between time steps, and so the option `spacing`; by default false. */
  readonly continuous?: boolean;
  /** True if a run with these options adds fresh noise. */
  noisy(options: MethodOptions): boolean;
  /**
   * The steps of a run, from noise to image.
   *
   * @param count Requested steps.
   * @throws {InputError} If the schedule has not so many.
   */
  steps(schedule: Schedule, count: number, options: MethodOptions): readonly SamplerStep[];
  /** One step. */
  step(at: StepBuilder): StepResult;
}

/** True if a sampler depends on `eta`. */
export function heedsEta(method: SamplingMethod): boolean {
  return method.noisy({ eta: 0 }) !== method.noisy({ eta: 1 });
}

/** Factors of the sample and of the network's output in x_0 and in the noise. */
export interface Predictions {
  /** Factors in x_0. */
  readonly x0: readonly [number, number];
  /** Factors in the noise. */
  readonly noise: readonly [number, number];
}

/**
 * Estimates of x_0 and of the noise from the network's prediction, by its type in the schedule.
 *
 * @param t Time step.
 * @param level Noise of the sample, where it is not that of a time step.
 */
export function predictions(
  { config, alphas_cumprod }: Schedule,
  t: number,
  { signal, noise }: NoiseLevel = noiseLevel({ config, alphas_cumprod }, t),
): Predictions {
  switch (config.prediction_type) {
    case "epsilon":
      return { x0: [1 / signal, -noise / signal], noise: [0, 1] };
    case "sample":
      return { x0: [0, 1], noise: [1 / noise, -signal / noise] };
    case "v_prediction":
      return { x0: [signal, -noise], noise: [noise, signal] };
  }
}

/** The numbers of {@linkcode cleanSample}. */
export function cleanNumbers({ x0: [x, output] }: Predictions): Record<string, number> {
  return { "x0.0": x, "x0.1": output };
}

/** `clip(x0.0 x + x0.1 output)`, the estimate of the clean sample. */
export function cleanSample({ x, number, clip }: StepBuilder, output: Value): Value {
  const clean = add(mul(x, number("x0.0")), mul(output, number("x0.1")));
  return clip === undefined ? clean : clamp(clean, -clip, clip);
}

/** The numbers of {@linkcode linearStep}. */
export function linearNumbers(
  factors: readonly [x0: number, x: number, output: number, noise: number],
): Record<string, number> {
  return Object.fromEntries(factors.map((factor, k) => [`prev.${k}`, factor]));
}

/** `prev.0 x_0 + prev.1 x + prev.2 output + prev.3 fresh noise`: a step of DDIM and of DDPM. */
export function linearStep(at: StepBuilder): StepResult {
  const output = at.model(at.x);
  const x0 = cleanSample(at, output);
  const terms = [mul(x0, at.number("prev.0")), mul(at.x, at.number("prev.1")), mul(output, at.number("prev.2"))];
  const noise = at.noise();
  if (noise) terms.push(mul(noise, at.number("prev.3")));
  return { x: terms.reduce(add), x0 };
}
