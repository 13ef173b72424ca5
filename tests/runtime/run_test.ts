import assert from "node:assert/strict";
import { join } from "node:path";
import { readPipeline, type Registry } from "../../runtime/pipeline/file.ts";
import { planRun, runPipeline, StageError, type Summary } from "../../runtime/run/run.ts";
import { RunError, stageCosts } from "../../runtime/run/costs.ts";
import { type Device, DeviceLostError } from "../../engine/device.ts";
import { jsonReporter, type RunEvent, silent } from "../../runtime/run/progress.ts";
import type { AnyStage } from "../../runtime/stage.ts";
import { readLog, readRun } from "../../runtime/run/status.ts";
import type { Manifest } from "../../runtime/run/cache.ts";
import { newInterrupt, ran, registry } from "./fake_stages.ts";
import { bench, spawn } from "./run_pipeline.ts";

const statusOf = ({ stages }: Summary) => Object.fromEntries(Object.entries(stages).map(([id, s]) => [id, s.status]));

Deno.test("a run leaves whole folders, a summary and the resolved pipeline", async () => {
  using b = bench();
  const summary = await b.run();
  assert.deepEqual(ran, ["extra", "faces", "first", "second", "report"]);
  assert.deepEqual(JSON.parse(b.at("summary.json")), summary);
  assert.deepEqual(summary.results, [
    { stage: "extra", detector: "extra", dataset: "lines", nme_interocular: 0.375 },
    { stage: "faces", detector: "faces", dataset: "lines", nme_interocular: 0.25 },
  ]);
  assert.equal(b.at("first/metrics.jsonl").trim().split("\n").length, 4);
  assert.equal(b.at("report/all.txt"), "second first faces extra");
  assert.match(b.at("pipeline.yaml"), /count: 2\n/);
  const manifest: Manifest = JSON.parse(b.at("first/manifest.json"));
  assert.deepEqual([manifest.kind, manifest.adapter, manifest.output.files], ["model", null, 2]);
  const names = [...Deno.readDirSync(join(b.root, "test"))].map(({ name }) => name).sort();
  const folders = ["extra", "faces", "first", "report", "second"];
  assert.deepEqual(names, [".work", ...folders, "log.jsonl", "pipeline.yaml", "summary.json"].sort());
  const events = readLog(join(b.root, "test"));
  assert.deepEqual([events[0]!.event, events.at(-1)!.event], ["run", "end"]);
  assert.equal(events.filter(({ event }) => event === "done").length, 5);
  const state = readRun(join(b.root, "test"))!;
  assert.deepEqual([state.status, state.owner, state.file], ["done", null, b.file]);
  assert.deepEqual(state.stages.map(({ stage, status }) => [stage, status]), ran.map((id) => [id, "done"]));
});

Deno.test("a stage that is renamed makes the same again with its old name as stream", async () => {
  using b = bench(`
name: test
stages:
  old: { uses: fake/draw, with: { count: 2 } }
  new: { uses: fake/draw, stream: old, with: { count: 2 } }
  other: { uses: fake/draw, with: { count: 2 } }
`);
  await b.run();
  assert.equal(b.at("new/lines.txt"), b.at("old/lines.txt"));
  assert.notEqual(b.at("other/lines.txt"), b.at("old/lines.txt"));
});

Deno.test("a second run skips everything, and a change runs only what depends on it", async () => {
  using b = bench();
  await b.run();
  const again = await b.run();
  assert.deepEqual(ran, []);
  assert.deepEqual(new Set(Object.values(statusOf(again))), new Set(["skipped"]));
  assert.equal(again.results.length, 2);

  await b.run(["styles=[ink]"]);
  assert.deepEqual(ran, ["extra", "second", "report"]);
  const [extra, , , second] = planRun(await b.read(), b.root);
  assert.equal(extra!.run, 'option "styles" was ["ink"], now []');
  const [changed] = planRun(await b.read("styles=[oil]", "stages.extra.with.count=4", "seed=8"), b.root);
  assert.equal(changed!.run, 'the seed changed; option "count" was 3, now 4; option "styles" was ["ink"], now ["oil"]');
  assert.equal(second!.run, 'input "data" from stage "extra" changed');
});

Deno.test("a stage reports its costs once its inputs are there", async () => {
  using b = bench();
  const costs = async () => {
    const plan = planRun(await b.read(), b.root);
    const all = await Promise.all(plan.map(async (state) => [state.stage.id, await stageCosts(state)]));
    return Object.fromEntries(all);
  };
  assert.deepEqual((await costs()).first, undefined);
  await b.run([], { until: "faces" });
  const { faces, first } = await costs();
  assert.deepEqual(faces, {});
  assert.deepEqual(first, { input_bytes: b.at("faces/lines.txt").length, steps: 4 });
});

Deno.test("a run prints its events for machines, one a line", async () => {
  using b = bench();
  let text = "";
  const out = {
    isTerminal: () => false,
    writeSync: (bytes: Uint8Array) => (text += new TextDecoder().decode(bytes)).length,
  };
  await b.run([], { until: "first", reporter: jsonReporter(out) });
  const events = text.trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(
    events.map(({ event, stage }) => stage ? `${event} ${stage}` : event),
    ["run", "stage faces", "done faces", "stage first", "progress first", "progress first", "done first", "end"],
  );
  const { time, ...first } = events[4];
  assert.match(time, /^\d{4}-\d\d-\d\dT/);
  assert.deepEqual(first, { event: "progress", stage: "first", done: 1, total: 4, fields: { loss: 1e-4 } });
});

Deno.test("a run of 10 stages that are up to date runs none of them", async () => {
  const draws = Array.from({ length: 9 }, (_, i) => `  draw${i}: { uses: fake/draw, with: { count: 512 } }\n`);
  using b = bench(`name: test\nstages:\n${draws.join("")}  report: { uses: fake/collect, in: { all: "*" } }\n`);
  await b.run();
  const { code, stdout } = await spawn(b, "run").output();
  assert.equal(code, 0);
  assert.match(new TextDecoder().decode(stdout), /\[10\/10\] report: up to date/);
});

Deno.test("progress reports the memory of the GPU once it is open", async () => {
  using b = bench();
  const withGpu = await withDraw(async (ctx) => {
    ctx.progress(1, 2, { loss: 3 });
    await ctx.device();
    ctx.progress(2, 2, { loss: 2 });
  });
  const told: unknown[] = [];
  const reporter = { event: (event: RunEvent) => void (event.event === "progress" && told.push(event.fields)) };
  const device = { name: "fake", memory: { live: 5e6, peak: 6e6 }, destroy() {} } as Device;
  const openDevice = () => Promise.resolve(device);
  await runPipeline(await readPipeline(b.file, withGpu), { root: b.root, until: "faces", reporter, openDevice });
  assert.deepEqual(told, [{ loss: 3 }, { loss: 2, gpu_bytes: 5e6 }]);
});

Deno.test("a folder that was changed by hand, or a file that a stage reads, makes the stage run again", async () => {
  using b = bench();
  const from = join(b.dir, "lines");
  Deno.mkdirSync(from);
  const set = [`stages.faces.with.from=${from}`];
  await b.run(set);
  await b.run(set);
  assert.deepEqual(ran, []);
  Deno.writeTextFileSync(join(from, "new.txt"), "x");
  await b.run(set);
  assert.deepEqual(ran, ["faces", "first", "second", "report"]);
  Deno.removeSync(join(b.root, "test/first/model.txt"));
  const { run } = planRun(await b.read(...set), b.root).find(({ stage }) => stage.id === "first")!;
  assert.equal(run, "its folder was changed: model.txt is missing");
});

Deno.test("of a folder that is read in part, a change of that part alone makes the stage run again", async () => {
  using b = bench();
  const network = join(b.dir, "network");
  const write = (name: string, text: string) => Deno.writeTextFileSync(join(network, name), text);
  Deno.mkdirSync(join(network, "parts"), { recursive: true });
  write("model.txt", "1");
  const set = [`stages.faces.with.network=${network}`];
  await b.run(set);
  write("README.md", "It learnt from lines.");
  await b.run(set);
  assert.deepEqual(ran, []);
  write("parts/a.txt", "1");
  await b.run(set);
  assert.deepEqual(ran, ["faces", "first", "second", "report"]);
  write("model.txt", "2");
  const { run } = planRun(await b.read(...set), b.root).find(({ stage }) => stage.id === "faces")!;
  assert.equal(run, `${join(network, "model.txt")} changed`);
});

Deno.test("a file that was changed and kept its size is named and made again, one that was touched is not", async () => {
  using b = bench();
  await b.run();
  const file = join(b.root, "test/faces/lines.txt");
  const text = Deno.readTextFileSync(file);
  const touched = new Date(Date.now() - 3_600_000);
  Deno.utimeSync(file, touched, touched);
  await b.run();
  assert.deepEqual(ran, []);
  Deno.writeTextFileSync(file, `X${text.slice(1)}`);
  const [, faces] = planRun(await b.read(), b.root);
  assert.equal(faces!.run, "its folder was changed: lines.txt has other bytes");
  await assert.rejects(
    b.run([], { only: "first" }),
    /Cannot run only stage "first" as its input .* lines\.txt has other bytes, hint: use --until first/,
  );
  await b.run();
  assert.deepEqual(ran, ["faces", "first", "second", "report"]);
  assert.equal(Deno.readTextFileSync(file), text);
  Deno.writeTextFileSync(join(b.root, "test/faces/manifest.files.jsonl"), "");
  await b.run();
  assert.deepEqual(ran, ["faces", "first", "second", "report"]);
});

Deno.test("--only, --from and --until choose stages", async () => {
  using b = bench();
  await b.run([], { until: "first" });
  assert.deepEqual(ran, ["faces", "first"]);
  await assert.rejects(
    b.run([], { only: "second" }),
    /input from stage "extra" is not up to date: it has not been run/,
  );
  await b.run();
  assert.deepEqual(ran, ["extra", "second", "report"]);
  await b.run([], { only: "first" });
  assert.deepEqual(ran, ["first"]);
  await b.run([], { from: "extra" });
  assert.deepEqual(ran, ["extra", "second", "report"]);
  await assert.rejects(b.run([], { from: "frist" }), /no such stage, hint: did you mean "first"\?/);
});

Deno.test("a stage that fails is named, leaves no folder, and goes on from its checkpoint", async () => {
  using b = bench();
  await b.run([], { until: "first" });
  const whole = b.at("first/metrics.jsonl");
  const set = ["stages.first.with.stop_at=3"];
  const error = await b.run(set).then(() => assert.fail(), (error) => error);
  assert(error instanceof StageError);
  assert.match(
    error.message,
    /^Cannot finish stage "first" \(fake\/train\): Cannot go on at step 3\n {6}trace: .*error\.txt$/,
  );
  assert.deepEqual(JSON.parse(b.at("summary.json")).stages.first.status, "failed");
  assert.match(b.at(".work/first/error.txt"), /fake_stages\.ts/);
  const state = readRun(join(b.root, "test"))!;
  assert.equal(state.status, "failed");
  assert.equal(state.message, error.message);
  assert.deepEqual(state.stages.find(({ stage }) => stage === "first")!.progress!.done, 3);
  assert.equal(b.at("first/metrics.jsonl"), whole, "the old artifact is still there");
  await b.run(set);
  assert.deepEqual(ran, ["first", "second", "report"]);
  assert.equal(b.at("first/metrics.jsonl"), whole, "no step stands twice");
});

Deno.test("an interrupted stage goes on, and starts anew when its options changed meanwhile", async () => {
  using b = bench();
  const set = ["stages.first.with.abort_at=2"];
  const error = await b.run(set, { signal: newInterrupt().signal }).then(() => assert.fail(), (error) => error);
  assert(error instanceof StageError && error.status === "interrupted");
  const { stages } = JSON.parse(b.at("summary.json")) as Summary;
  assert.deepEqual([stages["first"]!.status, stages["second"]!.status], ["interrupted", "waiting"]);
  assert.equal(b.at(".work/first/files/step.json"), "2");
  await b.run([...set, "stages.first.with.lr=0.5"], { signal: newInterrupt().signal }).catch(() => {});
  assert.equal(b.at(".work/first/metrics.jsonl"), '{"step":1,"loss":0.5}\n{"step":2,"loss":0.25}\n');
  await b.run([...set, "stages.first.with.lr=0.5"], { until: "first" });
  assert.equal(b.at("first/metrics.jsonl").trim().split("\n").length, 4);
});

Deno.test("a second run of the same pipeline is refused while the first goes on", async () => {
  using b = bench();
  const slow: Registry = {
    ...registry,
    "fake/draw": async () => {
      const spec: AnyStage = await registry["fake/draw"]!();
      return {
        ...spec,
        async run(ctx) {
          const { status, owner, stages } = readRun(join(b.root, "test"))!;
          assert.deepEqual([status, owner!.process, stages[0]!.status], ["running", Deno.pid, "waiting"]);
          assert.equal(stages.find(({ stage }) => stage === "faces")!.status, "running");
          await assert.rejects(
            b.run(),
            (error) => error instanceof RunError && /as process \d+ .* is running it/.test(error.message),
          );
          await Deno.writeTextFile(`${ctx.dir}/lines.txt`, "");
        },
      };
    },
  };
  const pipeline = await readPipeline(b.file, slow);
  await runPipeline(pipeline, { root: b.root, until: "faces", reporter: silent, openDevice: () => assert.fail() });
});

/** The stages with one of another kind of run in the place of fake/draw. */
async function withDraw(run: AnyStage["run"]): Promise<Registry> {
  const spec = await registry["fake/draw"]!();
  return { ...registry, "fake/draw": () => Promise.resolve({ ...spec, run }) };
}

Deno.test("a full disk and a lost device are named with what to do, and the next run succeeds", async () => {
  using b = bench();
  const full = Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" });
  const lost = new DeviceLostError("The GPU was lost (unknown): driver reset");
  const options = { root: b.root, until: "faces", reporter: silent, openDevice: () => assert.fail() };
  for (
    const [error, message] of [
      [full, /^Cannot finish stage "faces" \(fake\/draw\): No space left .*, hint: free space on that disk;/],
      [lost, /The GPU was lost .*\n {6}hint: the same command continues from the last checkpoint/],
    ] as const
  ) {
    const failing = await withDraw(async (ctx) => {
      await Deno.writeTextFile(`${ctx.dir}/half.txt`, "half");
      throw error;
    });
    await assert.rejects(
      runPipeline(await readPipeline(b.file, failing), options),
      (error) => error instanceof StageError && message.test(error.message),
    );
    assert.deepEqual([...Deno.readDirSync(join(b.root, "test"))].filter(({ name }) => name.includes("faces")), []);
  }
  assert.deepEqual(statusOf(await b.run([], { until: "faces" })).faces, "done");
});

Deno.test("a run's folder that cannot be written is named", async () => {
  using b = bench();
  Deno.mkdirSync(b.root);
  Deno.writeTextFileSync(join(b.root, "test"), "a file in its place");
  await assert.rejects(
    b.run(),
    (error) => error instanceof RunError && /^Cannot run pipeline "test" in .*: Not a directory/.test(error.message),
  );
  Deno.removeSync(join(b.root, "test"));
  Deno.mkdirSync(join(b.root, "test/log.jsonl"), { recursive: true });
  await assert.rejects(
    b.run(),
    (error) => error instanceof RunError && /^Cannot run pipeline "test" in /.test(error.message),
  );
  Deno.removeSync(join(b.root, "test/log.jsonl"));
  await b.run();
});

Deno.test("broken files of a run are passed over, or made again", async () => {
  using b = bench();
  await b.run(["stages.first.with.stop_at=3"]).catch(() => {});
  const home = join(b.root, "test");
  const metrics = join(home, ".work/first/metrics.jsonl");
  Deno.writeTextFileSync(metrics, `${Deno.readTextFileSync(metrics)}\0\0\0\n{"step":`);
  Deno.writeTextFileSync(join(home, "summary.json"), "{");
  Deno.writeTextFileSync(join(home, "log.jsonl"), '{"event":"run"', { append: true });
  Deno.writeTextFileSync(join(home, ".lock"), "what");
  assert.equal(readRun(home), undefined);
  await b.run(["stages.first.with.stop_at=3"]);
  assert.equal(b.at("first/metrics.jsonl").trim().split("\n").length, 4);
  assert.equal(readRun(home)!.status, "done");
  for (const id of ["extra", "faces", "first", "second", "report"]) {
    const file = join(home, id, "manifest.json");
    Deno.writeTextFileSync(file, Deno.readTextFileSync(file).slice(0, 100));
    await b.run();
    assert(ran.includes(id), id);
  }
  Deno.writeTextFileSync(join(home, "first/model.txt"), "cut");
  await b.run();
  assert(ran.includes("first"));
});

Deno.test("a replacement that was cut off between its renames is ended by the next run", async () => {
  using b = bench();
  await b.run();
  const home = join(b.root, "test");
  Deno.renameSync(join(home, "first"), join(home, ".first.tmp"));
  await b.run();
  assert.deepEqual(ran, []);
  assert.equal(b.at("first/metrics.jsonl").trim().split("\n").length, 4);
});
