import assert from "node:assert/strict";
import { join } from "node:path";
import { exists } from "../../formats/files.ts";
import { type Job, jobsOf } from "../../runtime/cluster/jobs.ts";
import { runJobs } from "../../runtime/cluster/local.ts";
import { type Execute, LAST, scriptOf, submit } from "../../runtime/cluster/slurm.ts";
import { RunError } from "../../runtime/run/costs.ts";
import { takeLock } from "../../runtime/run/lock.ts";
import { silent } from "../../runtime/run/progress.ts";
import { planRun, StageError } from "../../runtime/run/run.ts";
import { readRun } from "../../runtime/run/status.ts";
import { stagesOf, writeSubmission } from "../../runtime/run/submission.ts";
import { runTask } from "../../runtime/run/task.ts";
import { type Task, taskName } from "../../runtime/run/task_files.ts";
import { ran } from "./fake_stages.ts";
import { bench } from "./run_pipeline.ts";

const TEXT = `
name: test
seed: 7
params: { count: 10 }
stages:
  faces: { uses: fake/draw, with: { count: 2 } }
  pairs: { uses: fake/parts, in: { data: faces }, with: { count: \${count} } }
  net: { uses: fake/train, in: { data: pairs }, matrix: { seed: [1, 2] }, with: { steps: 2 } }
  report: { uses: fake/collect, in: { all: "*" } }
`;

/** A folder in which tasks of a pipeline are run as their processes do. */
function tasks() {
  const b = bench(TEXT);
  const home = join(b.root, "test");
  const plan = async (...set: string[]) => planRun(await b.read(...set), b.root);
  const run = async (task: Task, ...set: string[]) =>
    await runTask(await b.read(...set), task, {
      root: b.root,
      signal: new AbortController().signal,
      reporter: silent,
      openDevice: () => Promise.reject(new Error("Cannot open a GPU in this test")),
    });
  const part = (index: number, count = 3): Task => ({ stage: "pairs", shard: { index, count } });
  const record = async (...set: string[]) => ({
    pipeline: "test",
    file: b.file,
    command: `slurm ${b.file}`,
    submitted: "2001-02-03T04:05:06Z",
    stages: stagesOf(await plan(...set)),
    jobs: {},
  });
  return { ...b, home, plan, task: run, part, record, [Symbol.dispose]: () => b[Symbol.dispose]() };
}

/** Files of a finished stage, by name. */
function filesOf(dir: string): Record<string, string> {
  const names = [...Deno.readDirSync(dir)].map(({ name }) => name).filter((name) => !name.startsWith("manifest"));
  return Object.fromEntries(names.sort().map((name) => [name, Deno.readTextFileSync(join(dir, name))]));
}

const statusOf = (home: string) =>
  Object.fromEntries(readRun(home)?.stages.map(({ stage, status }) => [stage, status]) ?? []);

Deno.test("a stage put together from parts is that of one process", async () => {
  using b = tasks();
  using other = tasks();
  await other.run();
  await b.task({ stage: "faces" });
  ran.length = 0;
  for (const index of [2, 0, 1]) await b.task(b.part(index));
  await b.task({ stage: "pairs" });
  assert.deepEqual(ran, ["pairs 2", "pairs 0", "pairs 1", "pairs: 0 of 10"]);
  assert.deepEqual(filesOf(join(b.home, "pairs")), filesOf(join(other.home, "pairs")));
  assert(!exists(join(b.home, ".work/pairs")), "what the parts made is in the artifact");
  ran.length = 0;
  for (const task of [b.part(1), { stage: "pairs" }, { stage: "faces" }]) await b.task(task);
  assert.deepEqual(ran, [], "it is up to date");
});

Deno.test("parts that are missing are made by the stage itself, and parts of another recipe are not taken", async () => {
  using b = tasks();
  await b.task({ stage: "faces" });
  await b.task(b.part(0), "count=12");
  await b.task(b.part(1));
  ran.length = 0;
  await b.task({ stage: "pairs" });
  assert.deepEqual(ran, ["pairs: 7 of 10"], "part 2 of 3 has three of ten files");
});

Deno.test("the manifest of a stage from parts has their GPUs and kernels", async () => {
  using b = tasks();
  await b.task({ stage: "faces" });
  for (const index of [0, 1, 2]) {
    await b.task(b.part(index));
    const path = join(b.home, `.work/pairs/${index + 1}of3.json`);
    const note = JSON.parse(Deno.readTextFileSync(path));
    const used = { adapter: index < 2 ? "a" : "b", tuned: { [`kernel ${index}`]: { tile: [8, 8] } } };
    Deno.writeTextFileSync(path, JSON.stringify({ ...note, ...used }));
  }
  await b.task({ stage: "pairs" });
  const { adapter, tuned, log } = JSON.parse(b.at("pairs/manifest.json"));
  assert.deepEqual([adapter, Object.keys(tuned).sort()], ["a", ["kernel 0", "kernel 1", "kernel 2"]]);
  assert(log.includes("parts were made on different GPUs: a; b"), log.join("\n"));
});

Deno.test("a task refuses what another process makes, or what needs more", async () => {
  using b = tasks();
  await assert.rejects(
    () => b.task(b.part(0)),
    /Cannot make pairs.1of3 as its input from stage "faces" is not up to date/,
  );
  await b.task({ stage: "faces" });
  const hold = (name: string) => takeLock(join(b.home, name));
  const refused = async (task: Task, held: string, message: RegExp) => {
    using _lock = await hold(held);
    await assert.rejects(() => b.task(task), (error) => error instanceof RunError && message.test(error.message));
  };
  await refused(b.part(0), ".tasks/pairs.1of3.lock", /process \d+ \(since .*\) is making it/);
  await refused(b.part(0), ".tasks/pairs.lock", /is making pairs, hint/);
  await refused(b.part(0), ".tasks/pairs.2of4.lock", /is making pairs\.2of4/);
  await refused({ stage: "pairs" }, ".tasks/pairs.2of4.lock", /is making pairs\.2of4/);
  await refused({ stage: "pairs" }, ".lock", /is making the whole pipeline/);
  {
    using _lock = await hold(".tasks/pairs.2of3.lock");
    await b.task(b.part(0));
    await assert.rejects(() => b.run(), /Cannot run pipeline "test" as process \d+ .* is making pairs\.2of3/);
  }
  await b.run();
  assert(!exists(join(b.home, ".tasks")));
});

Deno.test("jobs have the dependencies of the graph; parts, and variants of a matrix, are side by side", async () => {
  using b = tasks();
  const shown = (jobs: readonly Job[]) => jobs.map(({ name, tasks, needs }) => [name, tasks.map(taskName), needs]);
  assert.deepEqual(shown(jobsOf(await b.plan(), 2)), [
    ["faces", ["faces"], []],
    ["pairs.parts", ["pairs.1of2", "pairs.2of2"], ["faces"]],
    ["pairs", ["pairs"], ["pairs.parts"]],
    ["net", ["net@seed=1", "net@seed=2"], ["pairs"]],
    ["report", ["report"], ["faces", "pairs", "net"]],
  ]);
  await b.task({ stage: "faces" });
  await b.task({ stage: "pairs" });
  assert.deepEqual(shown(jobsOf(await b.plan(), 2)), [
    ["net", ["net@seed=1", "net@seed=2"], []],
    ["report", ["report"], ["net"]],
  ], "what is up to date is left out");
  assert.throws(() => jobsOf([...plansOf(2000)], 1), /job would have 2000 tasks: at most 1000 are allowed/);
  function* plansOf(count: number) {
    const [plan] = planned;
    for (let i = 0; i < count; i++) {
      yield { ...plan!, run: "it has not been run", stage: { ...plan!.stage, id: `net@${i}` } };
    }
  }
});

const planned = await (async () => {
  using b = tasks();
  return await b.plan();
})();

Deno.test("a script names the tasks of its array, stops at notice and goes back to the queue", () => {
  const settings = {
    from: "/home/ann's",
    home: "/runs/test",
    pipeline: "test",
    taskCommand: ["/fw/denow", "task", "slurm", "a b.yaml"],
    lastCommand: ["/fw/denow", "task", "run", "a b.yaml"],
    sbatch: ["--partition=gpu"],
  };
  const tasks = [0, 1].map((index): Task => ({ stage: "net@seed=1", shard: { index, count: 2 } }));
  const script = scriptOf({ name: "net.parts", tasks }, settings);
  for (
    const line of [
      "#!/usr/bin/env bash",
      "#SBATCH --job-name=test/net.parts",
      "#SBATCH --output=/runs/test/.slurm/net.parts-%A_%a.out",
      "#SBATCH --array=0-1",
      "#SBATCH --partition=gpu",
      "cd '/home/ann'\\''s' || exit 1",
      "  1) set -- --task net@seed=1 --shard 2/2 ;;",
      "/fw/denow task slurm 'a b.yaml' \"$@\" &",
    ]
  ) assert(script.split("\n").includes(line), line);
  const last = scriptOf({ name: LAST, tasks: [] }, settings);
  assert(last.includes(`/fw/denow task run 'a b.yaml' "$@" &`) && !last.includes("--array"));
});

/** A Slurm that takes jobs as long as `refuses` does not fit, and knows which are in the queue. */
function fakeSlurm(refuses?: RegExp) {
  const calls: string[][] = [];
  const queue = new Set<string>();
  const execute: Execute = (program, args) => {
    calls.push([program, ...args]);
    const answer = (out: string, err = "", code = 0) => Promise.resolve({ code, out, err });
    if (program === "squeue") {
      const id = args.at(-1)!.replace("--jobs=", "");
      return queue.has(id) ? answer("PENDING\n") : answer("", "slurm_load_jobs error: Invalid job id specified\n", 1);
    }
    if (program === "scancel") { for (const id of args) queue.delete(id); }
    if (program !== "sbatch") return answer("");
    if (refuses?.test(args.at(-1)!)) return answer("", "sbatch: error: invalid partition\n", 1);
    const id = String(101 + calls.filter(([name]) => name === "sbatch").length - 1);
    queue.add(id);
    return answer(`${id};cluster\n`);
  };
  return { calls, queue, execute };
}

Deno.test("jobs are submitted after those that they need, once, or not at all", async () => {
  using b = tasks();
  const settings = { from: b.dir, home: b.home, pipeline: "test", taskCommand: ["t"], lastCommand: ["r"], sbatch: [] };
  const jobs = jobsOf(await b.plan(), 2);
  const record = await b.record();
  const broken = fakeSlurm(/net\.sh$/);
  await assert.rejects(
    () => submit(jobs, settings, record, broken.execute),
    /Cannot submit job "net": sbatch: error: invalid partition; jobs 101, 102, 103, submitted before it, are cancelled/,
  );
  assert.equal(broken.queue.size, 0);
  const slurm = fakeSlurm();
  const { jobs: ids } = await submit(jobs, settings, record, slurm.execute);
  assert.deepEqual(ids, {
    faces: "101",
    "pairs.parts": "102",
    pairs: "103",
    net: "104",
    report: "105",
    summary: "106",
  });
  const after = slurm.calls.filter(([program]) => program === "sbatch")
    .map((args) => args.find((arg) => arg.startsWith("--dependency")) ?? null);
  const afterok = (...ids: number[]) => `--dependency=afterok:${ids.join(":")}`;
  assert.deepEqual(after, [null, afterok(101), afterok(102), afterok(103), afterok(101, 103, 104), afterok(105)]);
  await assert.rejects(
    () => submit(jobs, settings, record, slurm.execute),
    /jobs of an earlier submission are in the queue: 101, 102, .*hint: wait for them, or scancel 101 102/,
  );
  slurm.queue.clear();
  await submit(jobs, settings, record, slurm.execute);
  const none: Execute = () => Promise.resolve({ code: 127, out: "", err: "" });
  using other = tasks();
  await assert.rejects(
    () => submit(jobs, { ...settings, home: other.home }, record, none),
    /Cannot submit job "faces": there is no sbatch on this machine, hint: .* --local/,
  );
});

Deno.test("the state of a submitted pipeline comes from its tasks", async () => {
  using b = tasks();
  const failing = "stages.pairs.with.fail_at=4";
  const waiting = {
    faces: "waiting",
    pairs: "waiting",
    "net@seed=1": "waiting",
    "net@seed=2": "waiting",
    report: "waiting",
  };
  writeSubmission(b.home, await b.record(failing));
  assert.deepEqual(statusOf(b.home), waiting);
  assert.equal(readRun(b.home)?.updated, "2001-02-03T04:05:06.000Z", "the submission is the last news");
  await b.task({ stage: "faces" });
  await b.task(b.part(0), failing);
  assert.deepEqual(statusOf(b.home), { ...waiting, faces: "done", pairs: "running" });
  assert.deepEqual(readRun(b.home)?.stages[1]?.progress, { done: 4, total: 4, fields: {} });
  const noted = join(b.home, ".tasks/pairs.1of3.json");
  Deno.utimeSync(noted, 2e9, 2e9);
  assert.equal(readRun(b.home)?.updated, "2033-05-18T03:33:20.000Z", "the newest note is the last news");
  await assert.rejects(() => b.task(b.part(1), failing), StageError);
  const cancelled = { pairs: "failed", "net@seed=1": "cancelled", "net@seed=2": "cancelled", report: "cancelled" };
  assert.deepEqual(statusOf(b.home), { faces: "done", ...cancelled });
  const state = readRun(b.home)!;
  assert.equal(state.status, "failed");
  assert.match(state.message!, /Cannot finish stage "pairs" \(fake\/parts\): Cannot write file 4/);
  // The second submission, without the mistake.
  writeSubmission(b.home, await b.record());
  assert.deepEqual(statusOf(b.home), { ...waiting, faces: "done" });
  for (const task of [b.part(0), b.part(1), b.part(2), { stage: "pairs" }]) await b.task(task);
  assert.deepEqual(statusOf(b.home), { ...waiting, faces: "done", pairs: "done" });
  await b.run();
  assert.equal(readRun(b.home)?.status, "done");
});

Deno.test("local jobs: as many at once as there are lanes, needs first, none after a failure", async () => {
  const jobs: Job[] = [
    { name: "a", tasks: [{ stage: "a" }], needs: [] },
    { name: "b", tasks: [0, 1, 2].map((index) => ({ stage: "b", shard: { index, count: 3 } })), needs: ["a"] },
    { name: "c", tasks: [{ stage: "c" }], needs: [] },
    { name: "d", tasks: [{ stage: "d" }], needs: ["b", "c"] },
  ];
  const run = async (failing?: string) => {
    const order: string[] = [], lanes = new Set<number>();
    let most = 0;
    const failed = await runJobs(jobs, 2, async (task, lane) => {
      assert(!lanes.has(lane) && lane < 2);
      lanes.add(lane);
      most = Math.max(most, lanes.size);
      order.push(taskName(task));
      await Promise.resolve();
      lanes.delete(lane);
      return taskName(task) === failing ? 1 : 0;
    });
    return { order, failed, most };
  };
  const { order, failed, most } = await run();
  assert.deepEqual([order, failed, most], [["a", "c", "b.1of3", "b.2of3", "b.3of3", "d"], [], 2]);
  const broken = await run("b.1of3");
  assert.deepEqual(broken.failed, [{ task: "b.1of3", code: 1 }]);
  assert(!broken.order.includes("d"));
});
