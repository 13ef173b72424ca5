/**
 * DPM-Solver++ (2M): a multistep solver of second order, which keeps the clean sample that the step before estimated.
 *
 *     lambda = log(alpha / sigma)      h = lambda(next) - lambda(t)      r = h(last) / h
 *     next = sigma(next) / sigma(t) x - alpha(next) (exp(-h) - 1) (x_0 + (x_0 - x_0 of the step before) / (2 r))
 *
 * Easy to get wrong: the first and the last step are of first order, since there is no step before, and none after; the
 * last one ends at x_0 itself. Time steps are not those of DDIM: `leading` leaves out the largest of count + 1.
 *
 * Source: Lu et al. 2022, arXiv 2211.01095, algorithm 2; diffusers v0.42.1, DPMSolverMultistepScheduler with
 * `dpmsolver++`, order 2, midpoint, `final_sigmas_type` zero.
 *
 * @module
 */

import { add } from "../../../ops/add.ts";
import { mul } from "../../../ops/mul.ts";
import { checkSteps, noiseLevel, roundEven, type Schedule } from "../schedule.ts";
import { cleanNumbers, cleanSample, predictions, type SamplingMethod } from "./method.ts";

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

/** DPM-Solver++ of second order, multistep. */
export const dpmpp2m: SamplingMethod = {
  doc: "DPM-Solver++ (2M), of second order (Lu et al. 2022, arXiv 2211.01095)",
  noisy: () => false,
  steps(schedule, count) {
    const levels = visited(schedule, count).map((t) => ({ t, ...noiseLevel(schedule, t) }));
    const lambda = ({ signal, noise }: { signal: number; noise: number }) => Math.log(signal / noise);
    return levels.map((level, k) => {
      const [before, next] = [levels[k - 1], levels[k + 1] ?? { signal: 1, noise: 0 }];
      const h = lambda(next) - lambda(level);
      const weight = -next.signal * Math.expm1(-h);
      // Half of 1 / r; zero makes the step one of first order.
      const slope = before && levels[k + 1] ? h / (lambda(level) - lambda(before)) / 2 : 0;
      return {
        t: level.t,
        numbers: {
          ...cleanNumbers(predictions(schedule, level.t)),
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
