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
