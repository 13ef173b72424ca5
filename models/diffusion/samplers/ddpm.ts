/**
 * DDPM: ancestral sampling, which adds fresh noise in every step.
 *
 * Source: Ho et al. 2020, arXiv 2006.11239, eq. 7; diffusers v0.20.2, DDPMScheduler with `fixed_small` variance.
 *
 * @module
 */

import { alphaAt, type Schedule, timesteps } from "../schedule.ts";
import {
  cleanNumbers,
  linearNumbers,
  linearStep,
  predictions,
  type SamplerStep,
  type SamplingMethod,
  skippedSteps,
} from "./method.ts";

/** Share of signal at a step; 1 at the end, whatever the schedule's `set_alpha_to_one`. */
const alpha = (schedule: Schedule, t: number) => t >= 0 ? alphaAt(schedule, t) : 1;

/** Variance of the noise in a step from `t` to `previous` (eq. 7); at least 1e-20. */
export function ddpmVariance(schedule: Schedule, t: number, previous: number = t - 1): number {
  const [a, b] = [alpha(schedule, t), alpha(schedule, previous)];
  return Math.max((1 - b) / (1 - a) * (1 - a / b), 1e-20);
}

/** Numbers of a step from `t` to `previous` (eq. 7); a negative `previous` is the end. */
export function ddpmStep(schedule: Schedule, t: number, previous: number = t - 1): SamplerStep {
  const [a, b] = [alpha(schedule, t), alpha(schedule, previous)];
  const kept = a / b;
  const sigma = t > 0 ? Math.sqrt(ddpmVariance(schedule, t, previous)) : 0;
  return {
    t,
    numbers: {
      ...cleanNumbers(predictions(schedule, t)),
      ...linearNumbers([Math.sqrt(b) * (1 - kept) / (1 - a), Math.sqrt(kept) * (1 - b) / (1 - a), 0, sigma]),
    },
  };
}

/** DDPM of diffusers. */
export const ddpm: SamplingMethod = {
  doc: "DDPM, which adds noise in each step (Ho et al. 2020, arXiv 2006.11239)",
  noisy: () => true,
  steps(schedule, count, options) {
    const stride = Math.floor(schedule.config.num_train_timesteps / count);
    return timesteps(schedule, count).slice(skippedSteps(count, options)).map((t) => ddpmStep(schedule, t, t - stride));
  },
  step: linearStep,
};
