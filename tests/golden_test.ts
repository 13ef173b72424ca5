import assert from "node:assert/strict";
import { runGolden } from "../cli/golden/main.ts";
import { goldenError } from "../cli/golden/case.ts";

Deno.test({
  name: "the cases of tests/golden agree with their peers",
  sanitizeResources: false,
  sanitizeOps: false,
  async fn() {
    const lines: string[] = [];
    const code = await runGolden(new URL("golden", import.meta.url).pathname, { print: (line) => lines.push(line) });
    assert.equal(code, 0, lines.filter((line) => line.startsWith("FAIL")).join("\n"));
    assert.match(lines.at(-1)!, /^[1-9]\d* passed, 0 failed, \d+ skipped$/);
  },
});

Deno.test("goldenError() is relative to the largest value, with a floor, and never passes NaN", () => {
  assert.equal(goldenError([1, 2], [1, 2], 2), 0);
  assert.equal(goldenError([1, 2.5], [1, 2], 2), 0.25);
  assert.equal(goldenError([0.5], [0], 100), 0.5);
  assert.equal(goldenError([NaN], [1], 1), Infinity);
  assert.equal(goldenError([1, 2], [1], 1), Infinity);
});
