import assert from "node:assert/strict";
import { join } from "node:path";
import { type ReadOptions, readPipeline, type Registry } from "../../runtime/pipeline/file.ts";
import { drawPipeline } from "../../runtime/pipeline/diagram.ts";
import { planRun, runPipeline, StageError, type Summary } from "../../runtime/run/run.ts";
import { RunError, stageCosts } from "../../runtime/run/costs.ts";
import type { Adapter } from "../../engine/adapters.ts";
import { type Device, DeviceLostError } from "../../engine/device.ts";
import { jsonReporter, type RunEvent, silent } from "../../runtime/run/progress.ts";
import type { AnyStage } from "../../runtime/stage.ts";
import { PipelineError } from "../../formats/yaml_tree.ts";
import { readLog, readRun } from "../../runtime/run/status.ts";
import type { Manifest } from "../../runtime/run/cache.ts";
import { newInterrupt, ran, registry } from "./fake_stages.ts";
import { bench, spawn } from "./run_pipeline.ts";

const statusOf = ({ stages }: Summary) => Object.fromEntries(Object.entries(stages).map(([id, s]) => [id, s.status]));

Deno.test("a pipeline is read in the order of its dependencies, with parameters of any type", async () => {
  using b = bench();
  const pipeline = await b.read("lines=5", "styles=[ink, oil]", "stages.second.with.lr=0.5", "seed=9");
  assert.deepEqual(pipeline.stages.map(({ id }) => id), ["extra", "faces", "first", "second", "report"]);
  const [extra, faces, , second, report] = pipeline.stages;
  assert.equal(pipeline.seed, 9);
  assert.equal(faces!.options["count"], 5);
  assert.deepEqual(extra!.options["styles"], ["ink", "oil"]);
  assert.equal(second!.options["lr"], 0.5);
  assert.deepEqual(second!.origins, {
    steps: `${b.file}:7`,
    lr: "--set stages.second.with.lr=0.5",
    sleep_ms: "default",
  });
  assert.deepEqual(new Set(report!.needs), new Set(["faces", "extra", "first", "second"]));
});

Deno.test("a pipeline that extends another changes what it names and takes out what it sets to null", async () => {
  using b = bench();
  const file = join(b.dir, "small.yaml");
  Deno.writeTextFileSync(file, "extends: test.yaml\nparams: { lines: 1 }\nstages: { second: null, extra: null }\n");
  const pipeline = await readPipeline(file, registry);
  assert.equal(pipeline.name, "small");
  assert.deepEqual(pipeline.stages.map(({ id }) => id), ["faces", "first", "report"]);
  assert.equal(pipeline.stages[0]!.options["count"], 1);
});

Deno.test("a matrix makes stages of a stage and of those that take from it, which share what does not vary", async () => {
  using b = bench(`
name: test
seed: 7
params: { looks: [ink, oil] }
stages:
  faces: { uses: fake/draw, matrix: { look: "\${looks}" }, with: { count: 2, domain: "\${look}" } }
  extra: { uses: fake/draw, with: { count: 3 } }
  net: { uses: fake/train, in: { data: faces }, matrix: { seed: [1, 2] }, with: { steps: 2 } }
  other: { uses: fake/train, in: { data: extra, init: net }, with: { steps: 1 } }
  some: { uses: fake/collect, in: { all: [net@*, extra, "other@look=oil,seed=2"] } }
  report: { uses: fake/collect, in: { all: "*" } }
`);
  const { stages } = await b.read();
  const byId = new Map(stages.map((stage) => [stage.id, stage]));
  const nets = ["ink", "oil"].flatMap((look) => [1, 2].map((seed) => `net@look=${look},seed=${seed}`));
  assert.deepEqual(stages.filter(({ of }) => of === "net").map(({ id }) => id), nets);
  assert.equal(byId.get("faces@look=oil")!.options["domain"], "oil");
  assert.deepEqual(byId.get("other@look=oil,seed=2")!.inputs, { data: ["extra"], init: ["net@look=oil,seed=2"] });
  assert.deepEqual(byId.get("some")!.needs, [...nets, "extra", "other@look=oil,seed=2"]);
  assert.equal(byId.get("report")!.needs.length, 2 + 1 + 4 + 4 + 1);
  await b.run([], { until: "net" });
  assert.equal(ran.length, 2 + 4);
  const seedOf = (id: string) => JSON.parse(b.at(`${id}/manifest.json`)).recipe.seed;
  assert.equal(seedOf(nets[0]!), seedOf(nets[2]!), "the same seed in each style");
  assert.notEqual(seedOf(nets[0]!), seedOf(nets[1]!));
  await b.run(["looks=[ink, oil, photo]"]);
  assert.deepEqual(ran.slice(0, 5), [
    "faces@look=photo",
    "extra",
    "net@look=photo,seed=1",
    "net@look=photo,seed=2",
    "other@look=ink,seed=1",
  ]);
  await b.run(["looks=[ink, oil, photo]"], { only: "net@look=ink,seed=2" });
  assert.deepEqual(ran, ["net@look=ink,seed=2"]);
});

Deno.test("a pipeline reads nothing outside of the project but what the command line names", async () => {
  using b = bench();
  using other = bench();
  const set = [`stages.faces.with.from=${other.dir}`];
  await b.read(...set);
  // Making links takes more permissions than the tests have.
  const link = `Deno.symlinkSync(${JSON.stringify(other.dir)}, ${JSON.stringify(join(b.dir, "link"))})`;
  new Deno.Command("deno", { args: ["eval", link] }).outputSync();
  for (const path of [other.dir, join(b.dir, "link"), join(b.dir, "..", other.dir.split("/").at(-1)!)]) {
    const file = join(b.dir, "sly.yaml");
    Deno.writeTextFileSync(file, `stages:\n  faces: { uses: fake/draw, with: { count: 1, from: "${path}" } }\n`);
    await assert.rejects(readPipeline(file, registry), (error) => {
      assert(error instanceof PipelineError);
      const [where, what] = ["sly\\.yaml:2:53", `it leads to ${other.dir}, outside of the project`];
      assert.match(error.message, new RegExp(`${where}: Cannot read "from" in stage "faces" as ${what}: current`));
      assert.match(error.message, /hint: only the command line may name it: --set stages\.faces\.with\.from=/);
      return true;
    });
    await readPipeline(file, registry, { roots: [other.dir] });
  }
  Deno.writeTextFileSync(join(b.dir, "sly.yaml"), `extends: ${"../".repeat(9)}${other.file}\n`);
  await assert.rejects(readPipeline(join(b.dir, "sly.yaml"), registry), /Cannot extend ".*" as it leads to .*outside/);
});

Deno.test("a wrong --set is an error at its own text", async () => {
  using b = bench();
  const message = (set: string) => b.read(set).then(() => "", (error) => error.message.split("\n\n")[0]);
  assert.equal(
    await message("line=3"),
    `--set:1:1: Cannot set "line" as the pipeline has no such parameter\n    1 | line=3\n      | ^\n        hint: did you mean "lines"? (options are set by stages.STAGE.with.OPTION=VALUE)`,
  );
  assert.match(await message("lines=many"), /^--set:1:7: Cannot read "count" in stage "faces" as it must be a whole/);
  assert.match(await message("stages.thrid.with.lr=1"), /no stage "thrid"/);
  assert.match(await message("lines"), /as it is not key=value/);
});

Deno.test("required parameters are asked for in a run, and left open in validation", async () => {
  const [file, faces] = ["tests/errors/required.yaml", "tests"];
  const open = await readPipeline(file, registry, { allowUnset: true });
  assert.deepEqual(open.unset, { faces: "a folder of photographs" });
  const given = await readPipeline(file, registry, { set: [`faces=${faces}`] });
  assert.equal(given.stages[0]!.options["from"], faces);
  assert.deepEqual(given.unset, {});
});

Deno.test("stages of optional parameters are left out, with what takes from them alone", async () => {
  using b = bench();
  const file = join(b.dir, "optional.yaml");
  Deno.writeTextFileSync(
    file,
    `params: { guest: { optional: "lines of another tool" } }
stages:
  own: { uses: fake/draw, with: { count: 1, styles: ["$\${guest}"] } }
  guest: { uses: fake/draw, with: { count: "\${guest}" } }
  twice: { uses: fake/train, in: { data: guest }, matrix: { seed: [1, 2] }, with: { steps: 1 } }
  alone: { uses: fake/train, in: { data: guest }, with: { steps: 1 } }
  mixed: { uses: fake/train, in: { data: own, init: alone }, with: { steps: 1 } }
  list: { uses: fake/collect, in: { all: [own, mixed, "twice@*"] } }
  rest: { uses: fake/collect, in: { all: "*" } }
`,
  );
  const needs = async (options: ReadOptions) => {
    const { stages, unset } = await readPipeline(file, registry, options);
    assert.deepEqual(unset, {});
    return Object.fromEntries(stages.map(({ id, needs }) => [id, needs.toSorted().join(" ")]));
  };
  const own = { own: "", list: "own", rest: "list own" };
  assert.deepEqual(await needs({}), own);
  assert.deepEqual(await needs({ allowUnset: true }), own);
  const all = {
    own: "",
    guest: "",
    "twice@seed=1": "guest",
    "twice@seed=2": "guest",
    alone: "guest",
    mixed: "alone own",
    list: "mixed own twice@seed=1 twice@seed=2",
    rest: "alone guest list mixed own twice@seed=1 twice@seed=2",
  };
  assert.deepEqual(await needs({ set: ["guest=2"] }), all);
  assert.deepEqual(await needs({ keepOptional: true }), all);
});

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

Deno.test("a pipeline is drawn with a box for each stage and a line for each input", async () => {
  using b = bench();
  const pipeline = await b.read();
  const svg = drawPipeline({ ...pipeline, name: "a <b>" }, new Set(["first"]));
  assert.match(svg, /<title>a &lt;b&gt;<\/title>/);
  assert.equal(svg.match(/<path /g)!.length, 4, "of the report's only the last");
  assert.equal(svg.match(/stroke-dasharray/g)!.length, 1);
  for (const { id } of pipeline.stages) assert(svg.includes(`>${id}</text>`), id);
  assert.doesNotMatch(svg, /NaN|undefined/);
});

Deno.test("a stage tells what it takes once its inputs are there", async () => {
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

Deno.test("a run tells machines what happens, an event a line", async () => {
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

Deno.test("progress tells the memory of the GPU once it is open", async () => {
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

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

for (const jobs of [1, 2]) {
  Deno.test(`a killed process leaves nothing half-written, and Ctrl-C and SIGTERM exit with 130, with jobs ${jobs}`, async () => {
    using b = bench();
    // It waits in its second step until it is told to go on.
    const go = join(b.dir, "go");
    const slow = ["stages.first.with.wait_at=2", `stages.first.with.wait_for=${go}`, `jobs=${jobs}`];
    for (const [signal, code] of [["SIGKILL", 137], ["SIGINT", 130], ["SIGTERM", 130]] as const) {
      const child = spawn(b, "run", ...slow);
      const reader = child.stdout.getReader();
      let printed = "";
      while (!printed.includes("first (fake/train)")) printed += new TextDecoder().decode((await reader.read()).value);
      reader.releaseLock();
      child.kill(signal);
      const { code: ended, stderr } = await child.output();
      assert.equal(ended, code, new TextDecoder().decode(stderr));
      const { status, stages } = readRun(join(b.root, "test"))!;
      const told = signal === "SIGKILL" ? "killed" : "interrupted";
      assert.deepEqual([status, stages.find(({ stage }) => stage === "first")!.status], [told, told]);
      await assert.rejects(Deno.stat(join(b.root, "test/first")), Deno.errors.NotFound);
    }
    // The second Ctrl-C does not wait for the step.
    const stuck = spawn(b, "run", "stages.first.with.sleep_ms=100000", `jobs=${jobs}`);
    const reader = stuck.stderr.getReader();
    while (readLog(join(b.root, "test")).at(-1)!.event !== "progress") await sleep(20);
    stuck.kill("SIGINT");
    await reader.read();
    reader.releaseLock();
    stuck.kill("SIGINT");
    assert.equal((await stuck.output()).code, 130);

    Deno.writeTextFileSync(go, "");
    const { code, stdout } = await spawn(b, "run", ...slow).output();
    assert.equal(code, 0);
    assert.match(new TextDecoder().decode(stdout), /\[2\/5\] faces: up to date\n[^]*\nstage +detector[^]*summary: /);
    assert.equal(b.at("first/metrics.jsonl").trim().split("\n").length, 4);
  });
}

/** How often a run is killed; `deno task torture` does it more often. */
const kills = Number(/^--kills=(\d+)$/.exec(Deno.args[0] ?? "")?.[1] ?? 20);
const steps = 2 * kills;

const thread = new URL("fake_stage_thread.ts", import.meta.url);

Deno.test("stages that need nothing of each other go on side by side, as many as jobs allows", async () => {
  const watched = async (jobs: number) => {
    // Each waits half-way until as many as should go on side by side are there.
    using b = bench();
    const go = (id: string) => join(b.dir, `go_${id}`);
    const train = (id: string) =>
      `{ uses: fake/train, in: { data: faces }, with: { steps: 4, wait_at: 2, wait_for: ${go(id)} } }`;
    Deno.writeTextFileSync(
      b.file,
      `
name: test
jobs: ${jobs}
stages:
  faces: { uses: fake/draw, with: { count: 2 } }
  left: ${train("left")}
  right: ${train("right")}
  report: { uses: fake/collect, in: { all: [left, right] } }
`,
    );
    const going = new Set<string>();
    const seen: string[] = [], waiting: string[] = [];
    let most = 0;
    const reporter = {
      event(event: RunEvent) {
        if (event.event === "stage") going.add(event.stage);
        if (event.event === "done") going.delete(event.stage);
        most = Math.max(most, going.size);
        if (event.event !== "progress" || event.done !== 2) return;
        if (waiting.push(event.stage) < jobs) return;
        const running = readRun(join(b.root, "test"))!.stages.filter(({ status }) => status === "running");
        seen.push(running.map(({ stage }) => stage).join(" "));
        for (const stage of waiting.splice(0)) Deno.writeTextFileSync(go(stage), "");
      },
    };
    const { stages, results } = await b.run([], { reporter, thread });
    assert.deepEqual(Object.values(stages).map(({ status }) => status), ["done", "done", "done", "done"]);
    assert.equal(results.length, 1);
    const files = ["left/model.txt", "right/metrics.jsonl", "report/all.txt"].map(b.at);
    await b.run([], { thread });
    assert.deepEqual(ran, []);
    return { most, seen, files: files.map((text) => text.replaceAll(b.dir, "")) };
  };
  const [alone, both] = [await watched(1), await watched(2)];
  assert.deepEqual([alone.most, alone.seen], [1, ["left", "right"]]);
  assert.deepEqual([both.most, both.seen], [2, ["left right"]]);
  assert.deepEqual(both.files, alone.files);
});

/** Two stages that wait for each other with their threads held up: they end only if each has its own. */
function meeting(left: string, right: string) {
  const b = bench();
  const place = join(b.dir, "place");
  Deno.mkdirSync(place);
  const meet = (then: string) => `{ uses: fake/meet, in: { data: faces }, with: { place: ${place}, then: ${then} } }`;
  const faces = "{ uses: fake/draw, with: { count: 2 } }";
  Deno.writeTextFileSync(
    b.file,
    `name: test\njobs: 2\nstages: { faces: ${faces}, left: ${meet(left)}, right: ${meet(right)} }\n`,
  );
  return b;
}

Deno.test("stages side by side have a thread and a device each, opened like one that is opened before", async () => {
  using b = meeting("device", "device");
  const events: string[] = [];
  const like = { storage: "texture", tiled: false, staged: true } as const;
  const openDevice = () => {
    events.push("open");
    return Promise.resolve({ ...like, name: "first", destroy: () => void events.push("close") } as unknown as Device);
  };
  await b.run([], { thread, openDevice });
  assert.deepEqual(events, ["open", "close"]);
  for (const id of ["left", "right"]) {
    assert.equal(b.at(`${id}/device.txt`), JSON.stringify(like));
    assert.equal(JSON.parse(b.at(`${id}/manifest.json`)).adapter, JSON.stringify(like));
  }
});

Deno.test("stages side by side share out the adapters of a run, which must not be more", async () => {
  using b = meeting("device", "device");
  const adapters = ["one", "two"].map((description) => ({ description })) as unknown as Adapter[];
  await b.run([], { thread, adapters });
  const used = ["left", "right"].map((id) => JSON.parse(b.at(`${id}/device.txt`)).adapter.description);
  assert.deepEqual(used.sort(), ["one", "two"]);
  await assert.rejects(
    b.run([], { thread, adapters: [...adapters, ...adapters] }),
    /on 4 GPUs as its jobs are 2, hint/,
  );
});

Deno.test("a stage that fails stops those beside it, and is the one that is named, with what to do", async () => {
  const endings = [
    ["throw", /stage "left" \(fake\/meet\): Cannot go on\n.*trace: .*error\.txt/],
    ["full disk", /No space left, hint: free space on that disk/],
    ["crash", /The thread of the stage failed: .*thrown by no call/],
    ["device", /stage "left" \(fake\/meet\): Cannot open a GPU in this test/],
  ] as const;
  for (const [then, message] of endings) {
    using b = meeting(then, "wait");
    await assert.rejects(b.run([], { thread }), (error: unknown) => {
      assert.ok(error instanceof StageError, String(error));
      assert.equal(error.status, "failed");
      assert.match(error.message.replaceAll("\n", "\n "), message);
      return true;
    });
  }
});

Deno.test("stages side by side stop at a checkpoint when one fails, and go on from there", async () => {
  // Left fails once right has begun, and right waits until it is stopped.
  using b = bench();
  const [begun, go] = [join(b.dir, "begun"), join(b.dir, "go")];
  Deno.writeTextFileSync(
    b.file,
    `
name: test
jobs: 2
stages:
  faces: { uses: fake/draw, with: { count: 2 } }
  left: { uses: fake/train, in: { data: faces }, with: { steps: 40, wait_at: 9, wait_for: ${begun}, stop_at: 10 } }
  right: { uses: fake/train, in: { data: faces }, with: { steps: 400, wait_at: 20, wait_for: ${go} } }
  report: { uses: fake/collect, in: { all: [left, right] } }
`,
  );
  const reporter = {
    event(event: RunEvent) {
      if (event.event === "progress" && event.stage === "right" && event.done >= 2) Deno.writeTextFileSync(begun, "");
    },
  };
  await assert.rejects(b.run([], { thread, reporter }), { stage: "left", status: "failed" });
  const { stages } = JSON.parse(b.at("summary.json"));
  const states = ["left", "right", "report"].map((id) => stages[id].status);
  assert.deepEqual(states, ["failed", "interrupted", "waiting"]);
  assert.ok(Number(b.at(".work/right/files/step.json")) <= 20);
  assert.ok(stages.left.seconds > 0);
  Deno.writeTextFileSync(go, "");
  await b.run([], { thread });
  assert.equal(b.at("report/all.txt"), "left right");
  assert.equal(b.at("right/metrics.jsonl").trim().split("\n").length, 400);
});

Deno.test("a run killed at any moments ends with the same bytes as one that was not", async () => {
  using killed = bench();
  using whole = bench();
  const sets = ["first", "second"].flatMap((
    id,
  ) => [`stages.${id}.with.steps=${steps}`, `stages.${id}.with.sleep_ms=5`]);
  await whole.run(sets);
  sets.push("jobs=2");
  const moments = Array.from({ length: kills }, () => Math.round(50 + 600 * Math.random()));
  for (const ms of moments) {
    const child = spawn(killed, "run", ...sets);
    await sleep(ms);
    try {
      child.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it had ended
    }
    await child.output();
  }
  const { code, stderr } = await spawn(killed, "run", ...sets).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  for (
    const path of [
      "faces/lines.txt",
      "first/metrics.jsonl",
      "first/model.txt",
      "second/metrics.jsonl",
      "report/all.txt",
    ]
  ) {
    assert.equal(killed.at(path), whole.at(path), `${path}, killed after ${moments} ms`);
  }
  const names = [...Deno.readDirSync(join(killed.root, "test"))].map(({ name }) => name);
  assert.deepEqual(names.filter((name) => /\.(tmp|old)$/.test(name)), []);
});
