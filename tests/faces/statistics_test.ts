import assert from "node:assert/strict";
import { mean, median, roundTo } from "../../faces/statistics.ts";

Deno.test("mean(), median() and roundTo()", () => {
  assert.equal(mean(Float32Array.of(1, 2, 6)), 3);
  assert.ok(Number.isNaN(mean([])));
  assert.deepEqual([median([10, 9, 1]), median([4, 1, 3, 2])], [9, 2.5]);
  assert.deepEqual([roundTo(1.23456, 3), roundTo(-0.06, 1), roundTo(7, 4)], [1.235, -0.1, 7]);
});
