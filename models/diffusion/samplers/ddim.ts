/**
 * DDIM, as diffusers and as latent diffusion's own sampler go through it.
 *
 * Source: Song et al. 2020, arXiv 2010.02502, eq. 12 and 16; diffusers v0.20.2, DDIMScheduler; CompVis/latent-diffusion
 * a506df5, ldm/models/diffusion/ddim.py.
 *
 * @module
 */

import { alphaAt, ldmTimesteps, type Schedule, timesteps } from "../schedule.ts";
import {
  cleanNumbers,
  linearNumbers,
  linearStep,
  predictions,
  type SamplerStep,
  type SamplingMethod,
  skippedSteps,
} from "./method.ts";

/** Variance of the fresh noise of a DDIM step with eta 1 (eq. 16): that of DDPM between the two steps. */
export function ddimVariance(schedule: Schedule, t: number, previous: number): number {
  const [a, b] = [alphaAt(schedule, t), alphaAt(schedule, previous)];
  return (1 - b) / (1 - a) * (1 - a / b);
}

/** Numbers of a step from `t` to `previous` (eq. 12); a negative `previous` is the end. */
function stepTo(schedule: Schedule, t: number, previous: number, eta: number): SamplerStep {
  const a = alphaAt(schedule, previous);
  const sigma = eta * Math.sqrt(ddimVariance(schedule, t, previous));
  const estimates = predictions(schedule, t);
  const direction = Math.sqrt(1 - a - sigma ** 2);
  const [x, output] = estimates.noise;
  return {
    t,
    numbers: {
      ...cleanNumbers(estimates),
      ...linearNumbers([Math.sqrt(a), direction * x, direction * output, sigma]),
    },
  };
}

/** DDIM of diffusers. */
export const ddim: SamplingMethod = {
  doc: "DDIM (Song et al. 2020, arXiv 2010.02502)",
  noisy: ({ eta }) => eta > 0,
  steps(schedule, count, { eta, strength }) {
    const stride = Math.floor(schedule.config.num_train_timesteps / count);
    // As diffusers has it: one stride below, which is not always the next step visited.
    return timesteps(schedule, count).slice(skippedSteps(count, { strength })).map((t) =>
      stepTo(schedule, t, t - stride, eta)
    );
  },
  step: linearStep,
};

/** DDIM of latent diffusion, which ends at a_0 and makes more steps where their number does not divide T. */
export const ddimLdm: SamplingMethod = {
  ...ddim,
  doc: "DDIM through the time steps of latent diffusion's own sampler",
  steps(schedule, count, { eta, strength }) {
    const all = ldmTimesteps(schedule, count);
    const visited = all.slice(skippedSteps(all.length, { strength }));
    return visited.map((t, k) => stepTo(schedule, t, visited[k + 1] ?? 0, eta));
  },
};
