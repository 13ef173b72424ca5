/**
 * DPM-Solver++ (2M): a multistep solver of second order, which keeps the clean sample that the step before estimated.
 *
 *     lambda = log(alpha / sigma)      h = lambda(next) - lambda(t)      r = h(last) / h
 *     next = sigma(next) / sigma(t) x - alpha(next) (exp(-h) - 1) (x_0 + (x_0 - x_0 of the step before) / (2 r))
 *
 * Easy to get wrong: the first and the last step are of first order, since there is no step before, and none after; the
 * last one ends at x_0 itself. Time steps are not those of DDIM: `leading` leaves out the largest of count + 1.
 *
 * With a `spacing`, noise levels lie between time steps, and the network gets the nearest one.
 *
 * Source: Lu et al. 2022, arXiv 2211.01095, algorithm 2; diffusers v0.42.1, DPMSolverMultistepScheduler with
 * `dpmsolver++`, order 2, midpoint, `final_sigmas_type` zero.
 *
 * @module
 */

import { add } from "../../../ops/add.ts";
import { mul } from "../../../ops/mul.ts";
import { itemAt } from "../../../engine/lookup.ts";
import { checkSteps, type NoiseLevel, noiseLevel, roundEven, type Schedule } from "../schedule.ts";
import { cleanNumbers, cleanSample, predictions, type SamplingMethod, skippedSteps, type Spacing } from "./method.ts";

/** A noise level of a run, and the time step that the network gets. */
interface Level extends NoiseLevel {
  readonly t: number;
}

/** Logarithm of the ratio of signal and noise, half of that of the signal-to-noise ratio. */
const logRatio = ({ signal, noise }: NoiseLevel) => Math.log(signal / noise);

/** The time steps that diffusers' solver visits, from noise to image. */
function visited({ config }: Schedule, count: number): number[] {
  const { num_train_timesteps: T, steps_offset, timestep_spacing } = config;
  checkSteps(count, T);
  const down = Array.from({ length: count }, (_, k) => count - k);
  switch (timestep_spacing) {
    case "leading":
      return down.map((k) => k * Math.floor(T / (count + 1)) + steps_offset);
    case "trailing":
      return down.map((k) => roundEven(k * T / count) - 1);
    case "linspace":
      return down.map((k) => roundEven(k * (T - 1) / count));
  }
}

/** Exponent of Karras et al. 2022. */
const RHO = 7;

/** Noise levels from that of the last time step to that of the first, both included. */
function spaced(schedule: Schedule, count: number, spacing: Spacing): Level[] {
  const T = schedule.config.num_train_timesteps;
  checkSteps(count, T);
  // Rises with the time step. sigma = noise / signal.
  const logSigmas = Array.from({ length: T }, (_, t) => -logRatio(noiseLevel(schedule, t)));
  const [least, most] = [itemAt(logSigmas, 0, "time steps"), itemAt(logSigmas, T - 1, "time steps")];
  const between = (from: number, to: number, k: number) => from + (to - from) * (count === 1 ? 0 : k / (count - 1));
  const root = (logSigma: number) => Math.exp(logSigma / RHO);
  return Array.from({ length: count }, (_, k) => {
    const log = spacing === "log_snr" ? between(most, least, k) : RHO * Math.log(between(root(most), root(least), k));
    const signal = 1 / Math.hypot(1, Math.exp(log));
    return { t: nearest(logSigmas, log), signal, noise: Math.exp(log) * signal };
  });
}

/** The time step nearest to a noise level, with log(sigma) linear between time steps. */
function nearest(logSigmas: readonly number[], log: number): number {
  const last = logSigmas.length - 1;
  const above = logSigmas.findIndex((of) => of > log);
  if (above <= 0) return above === 0 ? 0 : last;
  const [low, high] = [itemAt(logSigmas, above - 1, "time steps"), itemAt(logSigmas, above, "time steps")];
  return roundEven(above - 1 + (log - low) / (high - low));
}

/** DPM-Solver++ of second order, multistep. */
export const dpmpp2m: SamplingMethod = {
  doc: "DPM-Solver++ (2M), of second order (Lu et al. 2022, arXiv 2211.01095)",
  continuous: true,
  noisy: () => false,
  steps(schedule, count, { spacing, strength }) {
    const all = spacing === undefined
      ? visited(schedule, count).map((t) => ({ t, ...noiseLevel(schedule, t) }))
      : spaced(schedule, count, spacing);
    const levels = all.slice(skippedSteps(count, { strength }));
    return levels.map((level, k) => {
      const [before, next] = [levels[k - 1], levels[k + 1] ?? { signal: 1, noise: 0 }];
      const h = logRatio(next) - logRatio(level);
      const weight = -next.signal * Math.expm1(-h);
      // Half of 1 / r; zero makes the step one of first order.
      const slope = before && levels[k + 1] ? h / (logRatio(level) - logRatio(before)) / 2 : 0;
      return {
        t: level.t,
        level: { signal: level.signal, noise: level.noise },
        numbers: {
          ...cleanNumbers(predictions(schedule, level.t, level)),
          "next.x": next.noise / level.noise,
          "next.x0": weight * (1 + slope),
          "next.last": -weight * slope,
        },
      };
    });
  },
  step(at) {
    const x0 = cleanSample(at, at.model(at.x));
    const now = add(mul(at.x, at.number("next.x")), mul(x0, at.number("next.x0")));
    return { x: add(now, mul(at.history("x0"), at.number("next.last"))), x0, history: { x0 } };
  },
};
