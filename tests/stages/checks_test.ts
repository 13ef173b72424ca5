import assert from "node:assert/strict";
import type { Artifact, ArtifactInfo } from "../../runtime/stage.ts";
import { optionsOf } from "../../formats/schema_describe.ts";
import { datasetsConflicts, groupConflicts, ifKnown, weightsConflict } from "../../stages/lib/checks.ts";
import { networksOf } from "../../stages/lib/artifacts.ts";
import { stages } from "../../stages/mod.ts";

/** An artifact that is yet to be made. */
const planned = (stage: string, info?: ArtifactInfo): Artifact => ({
  dir: ".unmade",
  stage,
  ...(info && { info: () => Promise.resolve(info) }),
});

Deno.test("datasets of which nothing is known contradict nothing", async () => {
  const known = planned("a", { size_px: 64, schema: "ibug68" });
  assert.deepEqual(await datasetsConflicts([planned("x"), known, planned("y")]), []);
  const other = planned("b", { size_px: 64, schema: "wflw98" });
  assert.deepEqual(await datasetsConflicts([planned("x"), known, other]), [
    { input: "data", reason: `landmarks of "a" and "b" differ in schema: ibug68 and wflw98` },
  ]);
  assert.equal(await ifKnown(() => networksOf(planned("model"))), undefined);
  await assert.rejects(ifKnown(() => Promise.reject(new TypeError("a bug"))), TypeError);
});

Deno.test("weights are as many as what they weigh, and not all 0", () => {
  assert.equal(weightsConflict("weights", undefined, 2, "datasets"), undefined);
  assert.equal(weightsConflict("weights", [0, 1], 2, "datasets"), undefined);
  assert.equal(weightsConflict("weights", [1], 2, "datasets")?.hint, "give one for each");
  assert.equal(weightsConflict("weights", [0, 0], 2, "datasets")?.reason, "all numbers are 0");
  assert.deepEqual(groupConflicts([16, 32], 8), [false]);
});

Deno.test("dataset/generate takes no more steps than the model's schedule has", async () => {
  const spec = await stages["dataset/generate"]!();
  const options = optionsOf(spec).parse({ per_style: 1, steps: 100, styles: ["ink"] });
  const networks = { ...await networksOf({ dir: "models/tiny" }), timesteps: 50 };
  const inputs = { model: planned("base", { networks }), landmarks: planned("faces"), detector: undefined };
  const found = (await spec.check!(options, inputs, new Set())).filter((one) => one);
  assert.deepEqual(found, [{ option: "steps", reason: `the schedule of "base" has 50 time steps` }]);
});
