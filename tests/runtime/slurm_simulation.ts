/**
 * A pipeline of fake stages on a real Slurm, whose tasks are killed at random: what is made must be whole, and the same
 * bytes as without Slurm.
 *
 * ```sh
 * deno run -R -W -E --allow-run tests/runtime/slurm_simulation.ts --parts=64 --files=640 --sleep=2000 --kills=4
 * ```
 *
 * Its folder is made in `TMPDIR`, which all nodes must share. `--allow-run` without names is what `Deno.kill` needs.
 *
 * `--sleep` is the time of a file in milliseconds. Half of the killed tasks are cancelled by scancel, half end by SIGKILL;
 * the pipeline is submitted again for what then is missing.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { print } from "../../cli/command.ts";
import { jobsOf } from "../../runtime/cluster/jobs.ts";
import { type Execute, submit } from "../../runtime/cluster/slurm.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { formatSeconds } from "../../runtime/run/progress.ts";
import { planRun } from "../../runtime/run/run.ts";
import { readRun } from "../../runtime/run/status.ts";
import { stagesOf } from "../../runtime/run/submission.ts";
import { readTask } from "../../runtime/run/task_files.ts";
import { registry } from "./fake_stages.ts";
import { bench } from "./run_pipeline.ts";

const { values } = parseArgs({
  options: {
    parts: { type: "string", default: "64" },
    files: { type: "string", default: "640" },
    sleep: { type: "string", default: "2000" },
    kills: { type: "string", default: "4" },
  },
});
const [parts, files, kills] = [Number(values.parts), Number(values.files), Number(values.kills)];

const text = `
name: test
seed: 7
stages:
  faces: { uses: fake/draw, with: { count: 2 } }
  pairs: { uses: fake/parts, in: { data: faces }, with: { count: ${files}, sleep_ms: ${values.sleep} } }
  net: { uses: fake/train, in: { data: pairs }, matrix: { seed: [1, 2, 3] }, with: { steps: 10, sleep_ms: 100 } }
  report: { uses: fake/collect, in: { all: "*" } }
`;

const execute: Execute = async (program, args) => {
  const { code, stdout, stderr } = await new Deno.Command(program, { args: [...args] }).output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
};

using b = bench(text);
const home = join(b.root, "test");
const program = new URL("run_fake.ts", import.meta.url).pathname;
const permissions = ["--no-prompt", "-R", `-W=${b.dir}`, "-E", "--allow-sys=hostname", "--allow-run=squeue"];
const command = (name: string) => [Deno.execPath(), "run", "-q", ...permissions, program, name, b.file];

/** Submits what is missing; resolves to the ids of the jobs. */
async function send(): Promise<readonly string[]> {
  const plan = planRun(await readPipeline(b.file, registry), b.root);
  const record = {
    pipeline: "test",
    file: b.file,
    command: "",
    submitted: new Date().toISOString(),
    stages: stagesOf(plan),
  };
  const { jobs } = await submit(
    jobsOf(plan, parts),
    {
      from: b.dir,
      home,
      pipeline: "test",
      taskCommand: command("slurm"),
      lastCommand: command("run"),
      sbatch: ["--ntasks=1", "--mem=100"],
    },
    record,
    execute,
  );
  print(`submitted ${Object.keys(jobs).join(", ")}`);
  return Object.values(jobs);
}

/** The tasks of parts that are running now, as they are in Slurm: the job, and its process. */
async function running(): Promise<{ job: string; process: number }[]> {
  const { out } = await execute("squeue", [
    "--noheader",
    "--array",
    "--states=RUNNING",
    "--name=test/pairs.parts",
    "--format=%i",
  ]);
  return out.split("\n").filter(Boolean).flatMap((job) => {
    const part = Number(job.split("_")[1]) + 1;
    if (readTask(home, `pairs.${part}of${parts}`)?.status !== "running") return [];
    const owner = JSON.parse(Deno.readTextFileSync(join(home, `.tasks/pairs.${part}of${parts}.lock`)));
    return [{ job, process: owner.process }];
  });
}

const began = performance.now();
let left = kills;
do {
  const ids = await send();
  for (;;) {
    await setTimeout(2000);
    const { out } = await execute("squeue", ["--noheader", "--format=%T", `--jobs=${ids.join(",")}`]);
    if (!out.trim()) break;
    const tasks = left ? await running().catch(() => []) : [];
    if (!tasks.length) continue;
    const { job, process } = tasks[Math.floor(Math.random() * tasks.length)]!;
    if (left-- % 2) await execute("scancel", [job]);
    else Deno.kill(process, "SIGKILL");
    print(`killed ${job}; ${left} to go`);
  }
  const states = readRun(home)?.stages.map(({ stage, status }) => `${stage} ${status}`);
  print(`the queue is empty after ${formatSeconds((performance.now() - began) / 1000)}: ${states?.join(", ")}`);
} while (readRun(home)?.status !== "done");

using alone = bench(text.replace(`sleep_ms: ${values.sleep}`, "sleep_ms: 0"));
await alone.run();
for (let i = 0; i < files; i++) {
  assert.equal(b.at(`pairs/${i}`), Deno.readTextFileSync(join(alone.root, `test/pairs/${i}`)));
}
assert.equal(JSON.parse(b.at("pairs/manifest.json")).output.files, files + 1);
print(`${files} files of ${parts} tasks, ${kills} of them killed: whole, the same as of one process`);
