import assert from "node:assert/strict";
import { z } from "zod";
import { scheduleConflicts } from "../../stages/lib/checks.ts";
import { learningRate, trainingOptions } from "../../stages/lib/training.ts";

const options = z.strictObject(trainingOptions);
const rates = (more: object, steps: number[]) => {
  const given = { steps: 100, batch_size: 1, lr: 0.5, warmup_steps: 10, ...more };
  return steps.map(learningRate(options.parse(given))).map((rate) => Number(rate.toPrecision(6)));
};

Deno.test("learningRate() rises, and then falls by a cosine, by milestones or not at all", () => {
  assert.deepEqual(rates({}, [0, 5, 10, 55, 100]), [0, 0.25, 0.5, 0.25, 0]);
  assert.deepEqual(rates({ lr_schedule: "constant" }, [5, 10, 99]), [0.25, 0.5, 0.5]);
  const milestones = { lr_schedule: "step", milestones: [40, 70] };
  assert.deepEqual(rates(milestones, [5, 39, 40, 69, 70, 99]), [0.25, 0.5, 0.05, 0.05, 0.005, 0.005]);
  assert.deepEqual(rates({ ...milestones, gamma: 0.5 }, [39, 40, 70]), [0.5, 0.25, 0.125]);
});

Deno.test("a schedule says what does not belong together", () => {
  const wrong = (more: object) =>
    scheduleConflicts(options.parse({ steps: 100, batch_size: 1, lr: 0.5, ...more })).filter((one) => one)
      .map((one) => one && `${one.option}: ${one.reason}`);
  assert.deepEqual(wrong({}), []);
  assert.deepEqual(wrong({ lr_schedule: "step", milestones: [40], gamma: 0.5 }), []);
  assert.deepEqual(wrong({ lr_schedule: "step" }), [`lr_schedule: "milestones" is missing`]);
  assert.deepEqual(wrong({ lr_schedule: "step", milestones: [40, 100] }), [
    "milestones,1: this step is never reached: steps is 100",
  ]);
  assert.deepEqual(wrong({ milestones: [3], gamma: 0.1 }), [
    `milestones: lr_schedule is "cosine"`,
    `gamma: lr_schedule is "cosine"`,
  ]);
  assert.equal(
    options.safeParse({ steps: 1, batch_size: 1, lr: 1, lr_schedule: "step", milestones: [] }).success,
    false,
  );
});
