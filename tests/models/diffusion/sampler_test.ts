import assert from "node:assert/strict";
import { Sampler } from "../../../models/diffusion/sampler.ts";
import { LATENT_SCHEDULE, makeSchedule } from "../../../models/diffusion/schedule.ts";
import type { SamplerStep } from "../../../models/diffusion/samplers/method.ts";
import { SAMPLERS } from "../../../models/diffusion/samplers/registry.ts";
import { add } from "../../../ops/add.ts";
import { expandTo } from "../../../ops/expand.ts";
import { affine } from "../../../ops/affine.ts";
import { Graph } from "../../../engine/graph.ts";
import { Random } from "../../../engine/rng.ts";
import { gpuTest } from "../../gpu.ts";

/** A step of DDIM or DDPM in f64, by its numbers. */
function linear({ numbers }: SamplerStep, x: Float64Array, output: Float64Array, noise: Float32Array, clip: number) {
  const n = (name: string) => numbers[name]!;
  return x.map((v, i) => {
    const x0 = Math.max(-clip, Math.min(clip, n("x0.0") * v + n("x0.1") * output[i]!));
    return n("prev.0") * x0 + n("prev.1") * v + n("prev.2") * output[i]! + n("prev.3") * noise[i]!;
  });
}

gpuTest("Sampler makes the steps of DDIM, with guidance, fresh noise and clipping", async (device) => {
  const schedule = makeSchedule({ ...LATENT_SCHEDULE, clip_sample: true, clip_sample_range: 1.5 });
  const shape = [2, 3, 3, 4];
  const size = 72;
  const graph = new Graph();
  const shift = graph.input("shift", [4, 1, 1, 4]);
  const sampler = new Sampler(device, {
    graph,
    shape,
    once: { shift: affine(shift, 2) },
    predict: (x, _, { shift }) => add(affine(x, 0.5), expandTo(shift!, x.shape)),
    finish: (x) => affine(x, 10),
    guided: true,
    noisy: true,
    clip: 1.5,
  }, new Map());
  const random = new Random(3, "test");
  const start = random.fillNormal(new Float32Array(size));
  const noise = [0, 1, 2].map((k) => random.at(k + 1).fillNormal(new Float32Array(size)));
  const shifts = Float32Array.from({ length: 16 }, (_, k) => k / 16);
  const steps = SAMPLERS.ddim.steps(schedule, 3, { eta: 0.7 });

  for (const guidance of [1, 3]) {
    const got = await sampler.sample({ start, steps, inputs: { shift: shifts }, guidance, noise: (k) => noise[k]! });
    let x: Float64Array = Float64Array.from(start);
    steps.forEach((step, k) => {
      const half = (first: number) => x.map((v, i) => 0.5 * v + 2 * shifts[(first + Math.floor(i / 36)) * 4 + i % 4]!);
      const [cond, uncond] = [half(0), half(2)];
      x = linear(step, x, uncond.map((v, i) => v + guidance * (cond[i]! - v)), noise[k]!, 1.5);
    });
    x.forEach((v, k) => assert.ok(Math.abs(v * 10 - got[k]!) < 1e-4, `${k}: ${got[k]}, expected ${v * 10}`));
  }
  sampler.destroy();
});

gpuTest("a sampler forgets the run before, and each of them ends at x_0 with a perfect network", async (device) => {
  const schedule = makeSchedule({ ...LATENT_SCHEDULE, prediction_type: "sample", set_alpha_to_one: true });
  for (const [name, method] of Object.entries(SAMPLERS)) {
    const graph = new Graph();
    const truth = Float32Array.from({ length: 8 }, (_, k) => k / 4 - 1);
    const sampler = new Sampler(device, {
      method,
      graph,
      shape: [1, 1, 2, 4],
      once: {},
      predict: (x) => add(affine(x, 0), graph.constant(truth, x.shape)),
      guided: false,
      noisy: method.noisy({ eta: 0 }),
    }, new Map());
    const run = {
      steps: method.steps(schedule, 7, { eta: 0 }),
      inputs: {},
      noise: (k: number) => new Float32Array(8).fill(k / 7 - 0.4),
    };
    const start = (seed: number) => new Random(seed, name).fillNormal(new Float32Array(8));
    const first = await sampler.sample({ ...run, start: start(1) });
    await sampler.sample({ ...run, start: start(2) });
    assert.deepEqual(await sampler.sample({ ...run, start: start(1) }), first, name);
    // LDM's way ends at the first time step and not at none.
    const most = name === "ddim_ldm" ? 0.1 : 1e-5;
    first.forEach((v, k) => assert.ok(Math.abs(v - truth[k]!) < most, `${name}: ${v}, expected ${truth[k]}`));
    sampler.destroy();
  }
});
