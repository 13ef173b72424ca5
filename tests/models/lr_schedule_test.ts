import assert from "node:assert";
import { constantSchedule, cosineSchedule, linearSchedule, stepSchedule } from "../../models/lr_schedule.ts";

Deno.test("schedules warm up, fall and step", () => {
  assert.deepEqual([0, 2, 4, 9].map(constantSchedule(4)), [0, 0.5, 1, 1]);
  assert.deepEqual([2, 4, 12, 20, 30].map(linearSchedule(20, 4)), [0.5, 1, 0.5, 0, 0]);
  assert.deepEqual([2, 4, 12, 20, 30].map((s) => +cosineSchedule(20, 4)(s).toFixed(9)), [0.5, 1, 0.5, 0, 0]);
  assert.deepEqual([2, 3, 5, 9].map((s) => +stepSchedule([3, 5])(s).toFixed(9)), [1, 0.1, 0.01, 0.01]);
});
