/** What a run meets on bad days: each time it says what is wrong and what to do, and a later run ends as if nothing had been. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { planRun, runPipeline, StageError } from "../../runtime/run/run.ts";
import { RunError } from "../../runtime/run/costs.ts";
import { exists } from "../../formats/files.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { silent } from "../../runtime/run/progress.ts";
import { LOG_BYTES, RunLog } from "../../runtime/run/folder.ts";
import { readLog, readRun } from "../../runtime/run/status.ts";
import { readSafetensors, writeSafetensors } from "../../formats/safetensors.ts";
import type { AnyStage } from "../../runtime/stage.ts";
import { ran, registry } from "./fake_stages.ts";
import { bench } from "./run_pipeline.ts";

const STAGES = ["extra", "faces", "first", "second", "report"];
const ARTIFACTS = [
  "extra/lines.txt",
  "faces/lines.txt",
  "first/model.txt",
  "first/metrics.jsonl",
  "second/model.txt",
  "second/metrics.jsonl",
  "report/all.txt",
];

Deno.test("a file of any stage that is cut short, changed, taken away or added is named and the stage made again", async () => {
  using b = bench();
  await b.run();
  const home = join(b.root, "test");
  const whole = new Map(ARTIFACTS.map((path) => [path, b.at(path)]));
  for (const path of ARTIFACTS) {
    const [file, text] = [join(home, path), whole.get(path)!];
    const [stage, name] = path.split("/") as [string, string];
    const harms = {
      [`${name} has ${text.length >> 1} bytes, not ${text.length}`]: () =>
        Deno.writeTextFileSync(file, text.slice(0, text.length >> 1)),
      [`${name} has other bytes`]: () => Deno.writeTextFileSync(file, `\0${text.slice(1)}`),
      [`${name} is missing`]: () => Deno.removeSync(file),
      "new.txt is new": () => Deno.writeTextFileSync(join(home, stage, "new.txt"), "new"),
    };
    for (const [message, harm] of Object.entries(harms)) {
      harm();
      const state = planRun(await b.read(), b.root).find((state) => state.stage.id === stage)!;
      assert.equal(state.run, `its folder was changed: ${message}`);
      await b.run();
      assert.ok(ran.includes(stage));
      for (const [path, text] of whole) assert.equal(b.at(path), text, `${path} after ${message}`);
    }
  }
});

Deno.test("whatever becomes of the manifest and the list of a stage's files, the stage is made again", async () => {
  using b = bench();
  await b.run();
  const home = join(b.root, "test");
  for (const stage of STAGES) {
    for (const name of ["manifest.json", "manifest.files.jsonl"]) {
      const file = join(home, stage, name);
      const bytes = Deno.readFileSync(file);
      for (const harmed of [bytes.slice(0, bytes.length >> 1), bytes.map(() => 0), new Uint8Array(), null]) {
        if (harmed) Deno.writeFileSync(file, harmed);
        else Deno.removeSync(file);
        await b.run();
        assert.ok(ran.includes(stage), `${stage}/${name}`);
        assert.equal(planRun(await b.read(), b.root).every(({ reason }) => reason === null), true);
      }
    }
  }
});

Deno.test("a checkpoint that was damaged is named with what to do, and the stage then begins anew", async () => {
  using b = bench();
  const spec = await registry["fake/draw"]!();
  const stopped = new Error("The machine went down");
  /** A stage with a checkpoint as trainings have it, which stops after writing one. */
  const run: AnyStage["run"] = async (ctx, inputs, options) => {
    const path = `${ctx.work}/state.safetensors`;
    if (!exists(path)) {
      await writeSafetensors(path, new Map([["w", { shape: [64], data: new Float32Array(64) }]]));
      throw stopped;
    }
    using file = await readSafetensors(path);
    await file.read("w");
    await spec.run(ctx, inputs, options);
  };
  const pipeline = await readPipeline(b.file, { ...registry, "fake/draw": () => Promise.resolve({ ...spec, run }) });
  const go = () =>
    runPipeline(pipeline, { root: b.root, until: "faces", reporter: silent, openDevice: () => assert.fail() });
  await assert.rejects(go(), { cause: stopped });
  const path = join(b.root, "test/.work/faces/files/state.safetensors");
  const bytes = Deno.readFileSync(path);
  const header = bytes.slice();
  header.fill(255, 0, 8);
  for (const harmed of [bytes.slice(0, bytes.length - 100), bytes.slice(0, 4), header, new Uint8Array()]) {
    Deno.writeFileSync(path, harmed);
    await assert.rejects(go(), (error) => {
      assert.ok(error instanceof StageError, String(error));
      assert.match(error.message, /^Cannot finish stage "faces" \(fake\/draw\): Cannot read .*state\.safetensors/);
      assert.match(
        error.message,
        /hint: it went on from a checkpoint; should that be damaged, remove .*\.work\/faces$/m,
      );
      return true;
    });
  }
  Deno.removeSync(join(b.root, "test/.work/faces"), { recursive: true });
  await assert.rejects(go(), { cause: stopped });
  assert.equal((await go()).stages["faces"]!.status, "done");
});

Deno.test("a log that is full goes on in a new file, which begins with the run and the stage", () => {
  const home = Deno.makeTempDirSync({ prefix: "facewright_" });
  try {
    Deno.writeTextFileSync(join(home, "log.jsonl"), "x".repeat(LOG_BYTES));
    Deno.writeTextFileSync(join(home, "summary.json"), '{ "stages": { "faces": { "status": "waiting" } } }');
    using log = new RunLog(home, silent);
    log.emit({ event: "run", pipeline: "test", file: "test.yaml", set: [], process: 1 });
    log.emit({ event: "stage", stage: "extra", uses: "fake/draw", reason: "new", number: 1, of: 2 });
    log.emit({ event: "stage", stage: "faces", uses: "fake/draw", reason: "new", number: 2, of: 2 });
    log.emit({ event: "done", stage: "extra", seconds: 1 });
    for (let k = 0; k < 40; k++) log.emit({ event: "log", stage: "faces", text: `${k} ${"y".repeat(LOG_BYTES / 16)}` });
    const sizes = ["log.jsonl", "log.1.jsonl"].map((name) => Deno.statSync(join(home, name)).size);
    assert.ok(sizes.every((size) => size <= LOG_BYTES), `${sizes}`);
    const events = readLog(home);
    assert.deepEqual(events.slice(0, 2).map(({ event }) => event), ["run", "stage"]);
    const last = events.at(-1)!;
    assert.ok(last.event === "log" && last.text.startsWith("39 "));
    const { file, status, stages } = readRun(home)!;
    assert.deepEqual([file, status, stages[0]!.status], ["test.yaml", "killed", "killed"]);
  } finally {
    Deno.removeSync(home, { recursive: true });
  }
});

Deno.test("a clock that was moved back changes nothing", async () => {
  using b = bench();
  await b.run([], { until: "first" });
  await b.run(["stages.second.with.stop_at=2"]).catch(() => {});
  // To a clock that is an hour late, all of it was made in the future.
  const home = join(b.root, "test");
  const ahead = new Date(Date.now() + 3_600_000);
  const visit = (dir: string) => {
    for (const { name, isDirectory } of [...Deno.readDirSync(dir)]) {
      if (isDirectory) visit(join(dir, name));
      else {
        const [path, year] = [join(dir, name), new Date().getFullYear()];
        const { mtime } = Deno.statSync(path);
        // Dates in files; those of the files themselves stay, by which changes are known.
        const text = Deno.readTextFileSync(path);
        Deno.writeTextFileSync(path, text.replaceAll(`"${year}-`, `"${year + 1}-`));
        Deno.utimeSync(path, mtime!, mtime!);
      }
    }
    Deno.utimeSync(dir, ahead, ahead);
  };
  visit(home);
  assert.equal(readRun(home)!.status, "failed");
  await b.run(["stages.second.with.stop_at=2"]);
  assert.deepEqual(ran, ["second", "report"], "what was done is done, and what was begun goes on");
  assert.equal(b.at("second/metrics.jsonl").trim().split("\n").length, 3);
  assert.ok(readRun(home)!.stages.every(({ seconds }) => seconds >= 0));
});

/** Runs a command, which takes more permissions than the tests have; returns true if it succeeded. */
function command(name: string, ...args: string[]): boolean {
  const script = `Deno.exit(new Deno.Command(${JSON.stringify(name)}, { args: ${
    JSON.stringify(args)
  } }).outputSync().code)`;
  return new Deno.Command("deno", { args: ["eval", script], stderr: "null" }).outputSync().code === 0;
}

/** A small disk of memory; undefined where mounting is not allowed. */
function smallDisk(bytes: number) {
  const dir = Deno.makeTempDirSync({ prefix: "facewright_" });
  const mounted = command("mount", "-t", "tmpfs", "-o", `size=${bytes}`, "none", dir);
  const release = () => {
    if (mounted) command("umount", "-l", dir);
    Deno.removeSync(dir, { recursive: true });
  };
  if (!mounted) return void release();
  return { dir, remount: (how: string) => command("mount", "-o", `remount,${how}`, dir), [Symbol.dispose]: release };
}

const PAGE = 4096;

Deno.test("a disk that is full, at whatever moment, is named; with space again the run ends as on any other", async (t) => {
  using disk = smallDisk(128 * PAGE);
  if (!disk) return void await t.step({ name: "skipped: no disk may be mounted here", ignore: true, fn() {} });
  using other = bench();
  await other.run();
  const met = new Set<string>();
  for (let left = 0; left <= 40; left += 2) {
    const b = bench(undefined, Deno.makeTempDirSync({ dir: disk.dir }));
    const filler = join(disk.dir, "filler");
    fill(filler, left);
    let code = "done";
    try {
      await b.run();
    } catch (error) {
      assert.ok(error instanceof RunError || error instanceof StageError, String((error as Error).stack));
      assert.match(error.message, /No space left on device[^]*hint: free space on that disk/, `${left} pages left`);
      code = error.name;
    }
    met.add(code);
    Deno.removeSync(filler);
    await b.run();
    for (const path of ARTIFACTS) assert.equal(b.at(path), other.at(path), `${path}, ${left} pages left`);
    const names = [...Deno.readDirSync(join(b.root, "test"))].map(({ name }) => name);
    assert.deepEqual(names.filter((name) => /\.(tmp|old)$/.test(name)), []);
    b[Symbol.dispose]();
  }
  assert.deepEqual([...met], ["RunError", "StageError", "done"]);
});

/** Fills a disk but for some pages. */
function fill(path: string, left: number): void {
  using file = Deno.openSync(path, { write: true, create: true });
  let pages = 0;
  try {
    for (const page = new Uint8Array(PAGE); file.writeSync(page) === PAGE; pages++);
  } catch { /* it is full */ }
  file.truncateSync(Math.max(0, pages - left) * PAGE);
}

Deno.test("a disk that cannot be written is named, and what is there can be read", async (t) => {
  using disk = smallDisk(512 * PAGE);
  if (!disk) return void await t.step({ name: "skipped: no disk may be mounted here", ignore: true, fn() {} });
  const b = bench(undefined, Deno.makeTempDirSync({ dir: disk.dir }));
  await b.run([], { until: "first" });
  assert.ok(disk.remount("ro"));
  await assert.rejects(
    b.run(),
    (error) =>
      error instanceof RunError && /Read-only file system.*hint: the disk is mounted read-only/.test(error.message),
  );
  assert.equal(readRun(join(b.root, "test"))!.status, "done");
  assert.deepEqual(planRun(await b.read(), b.root).map(({ run }) => run === null), [false, true, true, false, false]);
  assert.ok(disk.remount("rw"));
  await b.run();
  assert.deepEqual(ran, ["extra", "second", "report"]);
});
