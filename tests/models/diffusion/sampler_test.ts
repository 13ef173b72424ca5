import assert from "node:assert/strict";
import { Sampler } from "../../../models/diffusion/sampler.ts";
import { applyStep, ddimSteps, guide, LATENT_SCHEDULE, makeSchedule } from "../../../models/diffusion/schedule.ts";
import { add } from "../../../ops/add.ts";
import { expandTo } from "../../../ops/expand.ts";
import { affine } from "../../../ops/affine.ts";
import { Graph } from "../../../engine/graph.ts";
import { Random } from "../../../engine/rng.ts";
import { gpuTest } from "../../gpu.ts";

gpuTest("Sampler gives what applyStep() gives, with guidance, fresh noise and clipping", async (device) => {
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
  const steps = ddimSteps(schedule, 3, 0.7);

  for (const guidance of [1, 3]) {
    const got = await sampler.sample({ start, steps, inputs: { shift: shifts }, guidance, noise: (k) => noise[k]! });
    let x: Float64Array = Float64Array.from(start);
    steps.forEach(({ coefficients }, k) => {
      const half = (first: number) => x.map((v, i) => 0.5 * v + 2 * shifts[(first + Math.floor(i / 36)) * 4 + i % 4]!);
      x = applyStep(coefficients, x, guide(half(0), half(2), guidance), noise[k]!).prev;
    });
    x.forEach((v, k) => assert.ok(Math.abs(v * 10 - got[k]!) < 1e-4, `${k}: ${got[k]}, expected ${v * 10}`));
  }
  sampler.destroy();
});
