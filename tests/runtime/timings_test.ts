import assert from "node:assert/strict";
import { join } from "node:path";
import { estimate, formatDuration, readTimings, recordTiming, workOf } from "../../runtime/run/timings.ts";
import { ran } from "./fake_stages.ts";
import { bench, spawn } from "./run_pipeline.ts";

const training = { step_flops: 1e9, steps: 600, gpu_bytes: 1 };

Deno.test("a time is estimated from stages of the same kind, else of another kind, else not at all", () => {
  const root = Deno.makeTempDirSync({ prefix: "facewright_" });
  try {
    assert.equal(estimate("diffusion/train", training, readTimings(root)), undefined);
    recordTiming(root, "gpu", "bench", { seconds: 60, flops: 60e9 });
    assert.deepEqual(estimate("diffusion/train", training, readTimings(root)), { seconds: 600, rough: true });
    recordTiming(root, "gpu", "diffusion/train", { seconds: 100, ...workOf({ step_flops: 1e9, steps: 50 }) });
    recordTiming(root, null, "dataset/import", { seconds: 90 });
    recordTiming(root, "gpu", "faces/render", { seconds: 10, images: 100 });
    const speeds = readTimings(root)!;
    assert.equal(speeds.adapter, "gpu");
    const told = (uses: string, costs = {}) => estimate(uses, costs, speeds);
    assert.deepEqual(told("diffusion/train", training), { seconds: 1200, rough: false });
    assert.deepEqual(told("detector/train", training), { seconds: 600, rough: true }, "the bench before other stages");
    assert.deepEqual(told("dataset/import"), { seconds: 90, rough: false });
    assert.deepEqual(told("faces/render", { images: 1000 }), { seconds: 100, rough: false });
    assert.equal(told("report/html"), undefined);
    // Another adapter has figures of its own.
    recordTiming(root, "other", "bench", { seconds: 60, flops: 600e9 });
    assert.deepEqual(estimate("diffusion/train", training, readTimings(root)), { seconds: 60, rough: true });
    // What was short does not take the place of what was long.
    recordTiming(root, "gpu", "diffusion/train", { seconds: 3, flops: 1 });
    assert.equal(readTimings(root)!.known["gpu"]!["diffusion/train"]!.seconds, 100);
    Deno.writeTextFileSync(join(root, ".speeds.json"), "{");
    assert.equal(readTimings(root), undefined);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
});

Deno.test("durations are written as people write them", () => {
  const said = [0.2, 45, 61, 600, 7200, 100 * 3600, 400 * 86400].map(formatDuration);
  assert.deepEqual(said, [
    "about 1 s",
    "about 45 s",
    "about 1 min",
    "about 10 min",
    "about 2 h",
    "about 4.2 days",
    "about 400 days",
  ]);
});

Deno.test("a run records the times of its stages, and a plan estimates the time of a run from them", async () => {
  using b = bench();
  const plan = async () => new TextDecoder().decode((await spawn(b, "plan").output()).stdout);
  assert.match(
    await plan(),
    /first +fake\/train +faces +- +unknown +run: .*[^]*time: unknown, hint: run deno task bench/,
  );
  await b.run(["stages.first.with.sleep_ms=600"], { until: "first" });
  assert.deepEqual(ran, ["faces", "first"]);
  const { seconds } = readTimings(b.root)!.known["none"]!["fake/train"]!;
  assert.ok(seconds >= 2.4, `${seconds}`);
  const text = await plan();
  assert.match(text, /first +fake\/train +faces +\S+( s)? +about \d+ s +run:/);
  assert.match(text, /time: about \d+ s, without extra, second, report, by what stages took on none/);
});

Deno.test("of stages side by side a plan counts those that the others wait for", async () => {
  using b = bench(`
name: test
stages:
  faces: { uses: fake/draw, with: { count: 2 } }
  left: { uses: fake/train, in: { data: faces }, with: { steps: 2 } }
  right: { uses: fake/train, in: { data: faces }, with: { steps: 2 } }
  last: { uses: fake/train, in: { data: faces, init: right }, with: { steps: 2 } }
`);
  await b.run([], { until: "faces" });
  recordTiming(b.root, "none", "fake/train", { seconds: 60 });
  const plan = async (jobs: number) =>
    new TextDecoder().decode((await spawn(b, "plan", `jobs=${jobs}`).output()).stdout);
  assert.match(await plan(1), /time: about 3 min/);
  assert.match(await plan(2), /time: about 2 min/);
  assert.match(await plan(3), /time: about 2 min/);
});

Deno.test("a plan names the inputs of a stage in a few words", async () => {
  using b = bench(`
name: test
stages:
  faces: { uses: fake/draw, with: { count: 2 } }
  net: { uses: fake/train, in: { data: faces }, matrix: { seed: [1, 2, 3] }, with: { steps: 2 } }
  all: { uses: fake/collect, in: { all: "*" } }
`);
  const { stdout } = await spawn(b, "plan").output();
  assert.match(new TextDecoder().decode(stdout), /all +fake\/collect +faces net@\* +-/);
});
