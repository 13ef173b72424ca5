import assert from "node:assert/strict";
import { repetitionsFor } from "../../engine/tuning/repetitions.ts";

/** Runs of `run_ms` and a wait of 12 ms; `counts` are those that were timed. */
function clock(run_ms: number) {
  const counts: number[] = [];
  const time = (count: number) => {
    counts.push(count);
    return Promise.resolve(12 + count * run_ms);
  };
  return { counts, time };
}

Deno.test("a timing of short runs is mostly runs and not the wait, even on a fast card", async () => {
  for (const run_ms of [0.01, 0.07, 1, 30]) {
    const { time } = clock(run_ms);
    const count = await repetitionsFor(80, time);
    const elapsed = await time(count);
    assert.ok(elapsed >= 64 && count * run_ms / elapsed > 0.8, `${count} runs of ${run_ms} ms in ${elapsed} ms`);
    assert.ok(elapsed < 300, `${elapsed} ms`);
  }
});

Deno.test("a run that is long enough by itself is timed once", async () => {
  const { counts, time } = clock(500);
  assert.equal(await repetitionsFor(80, time), 1);
  assert.deepEqual(counts, [1]);
});
