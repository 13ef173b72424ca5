import assert from "node:assert/strict";
import {
  alphasCumprod,
  LATENT_SCHEDULE,
  makeSchedule,
  minSnrWeight,
  noiseLevel,
  targetFactors,
  timesteps,
} from "../../../models/diffusion/schedule.ts";
import { SAMPLERS } from "../../../models/diffusion/samplers/registry.ts";
import fc from "../../fast_check.ts";

const schedule = makeSchedule(LATENT_SCHEDULE);

Deno.test("the signal falls from nearly all to nearly none", () => {
  const alphas = alphasCumprod(LATENT_SCHEDULE);
  assert.ok(alphas.every((a, t) => a > 0 && a < (alphas[t - 1] ?? 1)));
  assert.ok(alphas[0]! > 0.999 && alphas[999]! < 0.005);
});

Deno.test("DDIM with a perfect network ends at x_0, whatever it predicts", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 60 }),
    fc.constantFrom("epsilon", "v_prediction", "sample"),
    fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: 1, maxLength: 4 }),
    (steps, prediction_type, x0) => {
      const schedule = makeSchedule({
        ...LATENT_SCHEDULE,
        prediction_type: prediction_type as "epsilon",
        set_alpha_to_one: true,
      });
      const noise = x0.map((_, k) => k - 1.3);
      const all = SAMPLERS.ddim.steps(schedule, steps, { eta: 0 });
      const mixed = (factors: { signal: number; noise: number }) =>
        x0.map((v, k) => factors.signal * v + factors.noise * noise[k]!);
      let x = mixed(noiseLevel(schedule, all[0]!.t));
      all.forEach(({ t, numbers }) => {
        const n = (name: string) => numbers[name]!;
        const output = mixed(targetFactors(schedule, t));
        x = x.map((v, k) =>
          n("prev.0") * (n("x0.0") * v + n("x0.1") * output[k]!) + n("prev.1") * v + n("prev.2") * output[k]!
        );
      });
      x.forEach((v, k) => assert.ok(Math.abs(v - x0[k]!) < 1e-9, `${v} is not ${x0[k]}`));
    },
  ));
});

/**
 * DPM-Solver++ (2M) as the paper has it (algorithm 2), on normal data N(mu, s^2), for which the best network and the
 * solution of the probability flow are known: `(x - alpha mu) / sqrt(alpha^2 s^2 + sigma^2)` does not change.
 *
 * @returns Results of the sampler's numbers and of the paper's formula, and the distance from the solution.
 */
function solveNormal(count: number, spacing: "log_snr" | "karras") {
  const [mu, s, start] = [0.7, 0.3, 1.2];
  const ends = [999, 0].map((t) => {
    const { signal, noise } = noiseLevel(schedule, t);
    return noise / signal;
  });
  const sigmas = Array.from({ length: count }, (_, k) => {
    const [most, least] = ends as [number, number], share = k / (count - 1);
    return spacing === "log_snr"
      ? most ** (1 - share) * least ** share
      : (most ** (1 / 7) * (1 - share) + least ** (1 / 7) * share) ** 7;
  });
  const levels = [...sigmas, 0].map((ratio) => ({
    alpha: 1 / Math.hypot(1, ratio),
    sigma: ratio / Math.hypot(1, ratio),
  }));
  const clean = (x: number, { alpha, sigma }: { alpha: number; sigma: number }) =>
    mu + alpha * s ** 2 / (alpha ** 2 * s ** 2 + sigma ** 2) * (x - alpha * mu);
  const lambda = ({ alpha, sigma }: { alpha: number; sigma: number }) => Math.log(alpha / sigma);
  const steps = SAMPLERS.dpmpp_2m.steps(schedule, count, { eta: 0, spacing });
  let [numbers, formula] = [start, start];
  let [last, before, error] = [0, 0, NaN];
  // The share of the spread in the sample stays the same on the way.
  const place = (x: number, { alpha, sigma }: { alpha: number; sigma: number }) =>
    (x - alpha * mu) / Math.hypot(alpha * s, sigma);
  for (const [k, level] of levels.slice(0, -1).entries()) {
    const [next, previous] = [levels[k + 1]!, levels[k - 1]];
    const n = (name: string) => steps[k]!.numbers[name]!;
    // The last step, which ends at the estimate of x_0, is of first order.
    if (k === count - 1) error = Math.abs(place(numbers, level) - place(start, levels[0]!));
    const x0 = clean(numbers, level);
    numbers = n("next.x") * numbers + n("next.x0") * x0 + n("next.last") * last;
    last = x0;

    const h = lambda(next) - lambda(level), now = clean(formula, level);
    const r = previous && next.sigma > 0 ? (lambda(level) - lambda(previous)) / h : Infinity;
    const D = (1 + 1 / (2 * r)) * now - before / (2 * r);
    formula = next.sigma / level.sigma * formula - next.alpha * (Math.exp(-h) - 1) * D;
    before = now;
  }
  return { numbers, formula, error, times: steps.map(({ t }) => t) };
}

Deno.test("DPM-Solver++ is the paper's algorithm 2 in f64, and of second order", () => {
  for (const spacing of ["log_snr", "karras"] as const) {
    const [ten, twenty, forty] = [10, 20, 40].map((count) => solveNormal(count, spacing));
    for (const { numbers, formula } of [ten!, twenty!, forty!]) assert.ok(Math.abs(numbers - formula) < 1e-12);
    // Half the steps' length is a quarter of the error.
    const gain = twenty!.error / forty!.error;
    assert.ok(twenty!.error < 0.02 && gain > 3 && gain < 6, `${spacing}: ${twenty!.error}, ${gain} times that of 40`);
    const { times } = forty!;
    assert.equal(times[0], 999);
    assert.equal(times.at(-1), 0);
    assert.ok(times.every((t, k) => t <= (times[k - 1] ?? 999)));
  }
  const one = SAMPLERS.dpmpp_2m.steps(schedule, 1, { eta: 0, spacing: "karras" });
  assert.deepEqual(one.map(({ t, numbers }) => [t, numbers["next.x"], numbers["next.x0"]]), [[999, 0, 1]]);
});

Deno.test("a strength makes the last steps of a run, from the noise of the first of them", () => {
  for (const [name, method] of Object.entries(SAMPLERS)) {
    for (const spacing of method.continuous ? [undefined, "karras"] as const : [undefined]) {
      const whole = method.steps(schedule, 12, { eta: 0, spacing });
      assert.deepEqual(method.steps(schedule, 12, { eta: 0, spacing, strength: 1 }), whole);
      const part = method.steps(schedule, 12, { eta: 0, spacing, strength: 0.5 });
      assert.equal(part.length, Math.floor(whole.length / 2), name);
      const same = whole.slice(-part.length);
      assert.deepEqual(part.map(({ t, level }) => ({ t, level })), same.map(({ t, level }) => ({ t, level })));
      // Only the first step differs, where there is a history: it has none yet.
      assert.deepEqual(part.slice(1), same.slice(1));
      assert.equal(part[0]!.numbers["next.last"] ?? 0, name === "dpmpp_2m" ? -0 : 0);
      for (const { t, level } of spacing ? [] : part) if (level) assert.deepEqual(level, noiseLevel(schedule, t));
      assert.equal(method.steps(schedule, 12, { eta: 0, strength: 0.01 }).length, 1, "one at least");
    }
  }
});

Deno.test("timesteps() refuses more steps than there are", () => {
  assert.throws(() => timesteps(schedule, 1001), { message: "Cannot sample in 1001 steps: the schedule has 1000" });
});

Deno.test("minSnrWeight() is the same weight of the clean sample whatever is predicted", () => {
  for (const t of [0, 100, 500, 999]) {
    const { signal, noise } = noiseLevel(schedule, t);
    const snr = (signal / noise) ** 2;
    const weight = (prediction_type: "epsilon" | "v_prediction" | "sample") =>
      minSnrWeight(makeSchedule({ ...LATENT_SCHEDULE, prediction_type }), t, 5);
    // An error d of the clean sample is one of d signal / noise in the noise, and of d / noise in the velocity.
    assert.ok(Math.abs(weight("sample") - Math.min(snr, 5)) < 1e-12);
    assert.ok(Math.abs(weight("epsilon") * snr - weight("sample")) < 1e-9);
    assert.ok(Math.abs(weight("v_prediction") / noise ** 2 - weight("sample")) < 1e-9);
  }
});
