/**
 * Noise schedules: how much noise there is at a time step, and which time steps a sampler visits.
 *
 * `x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise`, where a_t, `alphas_cumprod`, falls from nearly 1 to nearly 0. The way from
 * one step to the next is a sampler's: `models/diffusion/samplers/`.
 *
 * Easy to get wrong:
 * - diffusers' `scaled_linear`, which LDM calls linear, is linear in sqrt(beta);
 * - Stable Diffusion: `steps_offset` 1, `set_alpha_to_one` false (the last step goes to a_0, not to 1), no clipping;
 * - LDM's own sampler makes more steps than requested when their number does not divide T (30 gives 31);
 * - guidance is `uncond + scale (cond - uncond)`; a scale of 1 is no guidance, not 0.
 *
 * Sources: Ho et al. 2020, arXiv 2006.11239; Song et al. 2020, arXiv 2010.02502, eq. 12 and 16; diffusers v0.20.2,
 * DDIMScheduler and DDPMScheduler.
 *
 * @module
 */

import { z } from "zod";
import { InputError } from "../../formats/input_error.ts";
import type { ConfigFormat } from "../io/config.ts";

const scheduleSchema = z.object({
  num_train_timesteps: z.int().min(1).default(1000),
  beta_start: z.number().positive().default(0.0001),
  beta_end: z.number().positive().default(0.02),
  beta_schedule: z.enum(["linear", "scaled_linear", "squaredcos_cap_v2"]).default("linear"),
  clip_sample: z.boolean().default(true),
  clip_sample_range: z.number().positive().default(1),
  set_alpha_to_one: z.boolean().default(true),
  steps_offset: z.int().min(0).default(0),
  prediction_type: z.enum(["epsilon", "v_prediction", "sample"]).default("epsilon"),
  timestep_spacing: z.enum(["leading", "trailing", "linspace"]).default("leading"),
});

/** Configuration of a schedule; diffusers' names and defaults. */
export interface ScheduleConfig {
  /** Timesteps of the training. */
  num_train_timesteps: number;
  /** Variance of the noise of the first timestep. */
  beta_start: number;
  /** Variance of the noise of the last timestep. */
  beta_end: number;
  /** Spacing of the variances between. */
  beta_schedule: "linear" | "scaled_linear" | "squaredcos_cap_v2";
  /** Clips predictions of the clean sample. */
  clip_sample: boolean;
  /** Largest magnitude of a clipped prediction. */
  clip_sample_range: number;
  /** The last step of sampling ends without noise, and not at the level of timestep 0. */
  set_alpha_to_one: boolean;
  /** Added to the timesteps of a "leading" spacing. */
  steps_offset: number;
  /** Target of the network: the noise, v or the clean sample. */
  prediction_type: "epsilon" | "v_prediction" | "sample";
  /** Choice of the time steps of sampling. */
  timestep_spacing: "leading" | "trailing" | "linspace";
}

/** `scheduler_config.json`. Also read as such: files of the schedulers for training, PNDM, and others of the same schedule. */
export const scheduleFormat: ConfigFormat<ScheduleConfig> = {
  name: "DDIMScheduler",
  schema: scheduleSchema,
  fixed: {
    dynamic_thresholding_ratio: 0.995,
    rescale_betas_zero_snr: false,
    sample_max_value: 1,
    skip_prk_steps: true,
    thresholding: false,
    trained_betas: null,
    variance_type: "fixed_small",
  },
};

/** Stable Diffusion's schedule, also that of the text-to-image LDM. */
export const LATENT_SCHEDULE: ScheduleConfig = {
  ...scheduleSchema.parse({}),
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  clip_sample: false,
  set_alpha_to_one: false,
  steps_offset: 1,
};

/** Variance of the noise that each step adds, `[T]`. */
export function betas(config: ScheduleConfig): Float64Array {
  const { num_train_timesteps: T, beta_start, beta_end, beta_schedule } = config;
  const between = (a: number, b: number, k: number) => a + (b - a) * (T === 1 ? 0 : k / (T - 1));
  return Float64Array.from({ length: T }, (_, k) => {
    if (beta_schedule === "linear") return between(beta_start, beta_end, k);
    if (beta_schedule === "scaled_linear") return between(Math.sqrt(beta_start), Math.sqrt(beta_end), k) ** 2;
    const bar = (t: number) => Math.cos((t + 0.008) / 1.008 * Math.PI / 2) ** 2;
    return Math.min(1 - bar((k + 1) / T) / bar(k / T), 0.999);
  });
}

/** Share of the signal's variance at each step, the running product of `1 - beta`, `[T]`. */
export function alphasCumprod(config: ScheduleConfig): Float64Array {
  let product = 1;
  return betas(config).map((beta) => product *= 1 - beta);
}

/** A schedule made ready: the configuration with its numbers. */
export interface Schedule {
  /** Its configuration. */
  readonly config: ScheduleConfig;
  /** `[T]`. */
  readonly alphas_cumprod: Float64Array;
}

/** Makes a schedule ready. */
export function makeSchedule(config: ScheduleConfig): Schedule {
  return { config, alphas_cumprod: alphasCumprod(config) };
}

/**
 * The time steps that a sampler visits, from noise to image.
 *
 * @param steps How many, from 1 to T.
 * @throws {InputError} If there are not that many.
 */
export function timesteps({ config }: Schedule, steps: number): number[] {
  const { num_train_timesteps: T, steps_offset, timestep_spacing } = config;
  checkSteps(steps, T);
  const count = Array.from({ length: steps }, (_, k) => steps - 1 - k);
  switch (timestep_spacing) {
    case "leading":
      return count.map((k) => k * Math.floor(T / steps) + steps_offset);
    case "trailing":
      return count.map((k) => roundEven((k + 1) * T / steps) - 1);
    case "linspace":
      return count.map((k) => steps === 1 ? 0 : roundEven(k * (T - 1) / (steps - 1)));
  }
}

/** The time steps of LDM's own sampler: `range(0, T, floor(T / S)) + 1`, which may be more than S. */
export function ldmTimesteps({ config }: Schedule, steps: number): number[] {
  const T = config.num_train_timesteps;
  checkSteps(steps, T);
  const stride = Math.floor(T / steps);
  return Array.from({ length: Math.ceil(T / stride) }, (_, k) => k * stride + 1).reverse();
}

/**
 * Checks a number of steps.
 *
 * @throws {InputError} If a schedule of T steps has not so many.
 */
export function checkSteps(steps: number, T: number): void {
  if (!Number.isInteger(steps) || steps < 1 || steps > T) {
    throw new InputError(`Cannot sample in ${steps} steps: the schedule has ${T}`);
  }
}

/** As numpy rounds: halves go to the even neighbour. */
export function roundEven(x: number): number {
  const floor = Math.floor(x);
  return x - floor === 0.5 ? floor + floor % 2 : Math.round(x);
}

/** Factors of the clean sample and of the noise in a noisy one: `x_t = signal x_0 + noise e`. */
export interface NoiseLevel {
  /** Factor of the clean sample. */
  readonly signal: number;
  /** Factor of the noise. */
  readonly noise: number;
}

/** Noise of a time step. */
export function noiseLevel({ alphas_cumprod }: Schedule, t: number): NoiseLevel {
  const a = alphas_cumprod[t] ?? NaN;
  return { signal: Math.sqrt(a), noise: Math.sqrt(1 - a) };
}

/** Target of the network's prediction, as factors: `target = signal x_0 + noise e`. */
export function targetFactors(schedule: Schedule, t: number): NoiseLevel {
  switch (schedule.config.prediction_type) {
    case "epsilon":
      return { signal: 0, noise: 1 };
    case "sample":
      return { signal: 1, noise: 0 };
    case "v_prediction": {
      const { signal, noise } = noiseLevel(schedule, t);
      return { signal: -noise, noise: signal };
    }
  }
}

/**
 * Weight of a time step's squared error by min-SNR: that of the error of the clean sample, `min(SNR, gamma)`, turned into
 * one of what the network predicts.
 *
 * Source: Hang et al. 2023, arXiv 2303.09556, section 3.4.
 *
 * @param gamma Largest weight; the paper's is 5.
 */
export function minSnrWeight(schedule: Schedule, t: number, gamma: number): number {
  const { signal, noise } = noiseLevel(schedule, t);
  const snr = (signal / noise) ** 2;
  switch (schedule.config.prediction_type) {
    case "epsilon":
      return Math.min(1, gamma / snr);
    case "sample":
      return Math.min(snr, gamma);
    case "v_prediction":
      return Math.min(snr, gamma) / (snr + 1);
  }
}

/**
 * Share of the signal's variance at the time step that a sampler is at or goes to.
 *
 * @param t Negative at the end: 1 or the share of step 0, by `set_alpha_to_one`.
 * @throws {RangeError} If the schedule has no such step.
 */
export function alphaAt({ config, alphas_cumprod }: Schedule, t: number): number {
  if (t < 0 && config.set_alpha_to_one) return 1;
  const a = alphas_cumprod[Math.max(t, 0)];
  if (a === undefined) throw new RangeError(`Cannot go to time step ${t}: the schedule has ${alphas_cumprod.length}`);
  return a;
}
