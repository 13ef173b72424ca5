/**
 * The command `slurm`: a pipeline as jobs of a cluster, or as processes of this machine.
 *
 * @module
 */
import { Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type Job, jobsOf } from "../runtime/cluster/jobs.ts";
import { runJobs } from "../runtime/cluster/local.ts";
import { argumentsOf, type Execute, jobProbe, LAST, submit } from "../runtime/cluster/slurm.ts";
import { stagesOf, type Submission, writeSubmission } from "../runtime/run/submission.ts";
import type { Pipeline } from "../runtime/pipeline/file.ts";
import { formatTable, reporterFor } from "../runtime/run/progress.ts";
import { planRun } from "../runtime/run/run.ts";
import { runTask } from "../runtime/run/task.ts";
import type { Task } from "../runtime/run/task_files.ts";
import type { Shard } from "../runtime/stage.ts";
import { pipelineAt, setOption } from "./_pipeline.ts";
import { shellWord } from "../runtime/pipeline/shell.ts";
import { type Context, Exit, number, stopSignal, UsageError } from "./command.ts";
import { openChosen } from "./_device.ts";

/** Options that are sbatch's own, by their names here. */
const SBATCH = {
  partition: ["--partition <NAME>", "partition of the cluster"],
  account: ["--account <NAME>", "account that is charged"],
  qos: ["--qos <NAME>", "quality of service"],
  time: ["--time <TIME>", "time limit of each task, such as 4:00:00; a task that reaches it goes on in another job"],
  gpusPerTask: ["--gpus-per-task <N>", "GPUs of each task: 1, as a task computes on one"],
  cpusPerTask: ["--cpus-per-task <N>", "processor cores of each task"],
  mem: ["--mem <SIZE>", "memory of each task, such as 16G"],
  constraint: ["--constraint <FEATURES>", "features that nodes must have"],
} as const;

const root = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");

/** Folder of all runs. */
const RUNS = "runs";

/** Declares `slurm`. */
export const slurm = (context: Context) => {
  const command = new Command()
    .argument("<FILE>", "pipeline file, such as pipelines/full.yaml")
    .addOption(setOption())
    .addOption(
      new Option(
        "--shards <N>",
        "parts into which generation, rendering and detection are divided; with --local also the processes at once",
      ).argParser(number("a whole number from 1 to 1000", (n) => Number.isInteger(n) && n >= 1 && n <= 1000)).default(
        1,
      ),
    )
    .addOption(new Option("--local", "processes on this machine in place of Slurm's jobs"))
    .addOption(
      new Option(
        "--gpu <LIST>",
        "with --local or --task: GPU to compute on, its number in deno task doctor --list or a part of its name; several, " +
          "with commas between, take the processes in turn",
      ),
    )
    .addOption(
      new Option("--task <STAGE>", "make this stage in this process, as the jobs do; its inputs must be up to date"),
    )
    .addOption(
      new Option("--shard <I/N>", "with --task: do part I of the N parts of its work").argParser(shardOf),
    )
    .option("--sbatch <OPTION...>", "further options of sbatch, such as --sbatch=--exclusive");
  for (const [flags, doc] of Object.values(SBATCH)) command.option(flags, doc);
  return command
    .addHelpText(
      "after",
      "\nExample:\n  deno task slurm pipelines/full.yaml --partition gpu --gpus-per-task 1 --shards 16",
    )
    .action((file, options) => slurmFor(file, options, context));
};

interface SlurmOptions extends Partial<Record<keyof typeof SBATCH, unknown>> {
  readonly set?: readonly string[] | undefined;
  readonly shards: number;
  readonly local?: true | undefined;
  readonly gpu?: string | undefined;
  readonly task?: string | undefined;
  readonly shard?: Shard | undefined;
  readonly sbatch?: readonly string[] | undefined;
}

async function slurmFor(file: string, options: SlurmOptions, context: Context): Promise<void> {
  const { set = [], shards, local, gpu, task, shard, sbatch: more = [] } = options;
  const pipeline = await pipelineAt(file, options, context);
  const gpus = gpu?.split(",") ?? pipeline.device;
  if (task !== undefined) return await makeTask(pipeline, task, shard, gpus, context);
  if (shard) throw new UsageError("Cannot use --shard without --task, hint: --shards divides a pipeline");
  const plan = planRun(pipeline, RUNS);
  const jobs = jobsOf(plan, shards);
  const names = Object.keys(SBATCH) as (keyof typeof SBATCH)[];
  const sbatch = names.flatMap((name) =>
    options[name] === undefined ? [] : [`${SBATCH[name][0].split(" ")[0]}=${options[name]}`]
  );
  const isElsewhere = context.from !== undefined && resolve(context.from) !== Deno.cwd();
  const place: Place = {
    from: resolve(context.from ?? "."),
    args: [isElsewhere ? resolve(file) : file, ...set.flatMap((value) => ["--set", value])],
  };
  const flags = [
    ...shards > 1 ? ["--shards", `${shards}`] : [],
    ...local ? ["--local"] : [],
    ...gpu === undefined ? [] : ["--gpu", gpu],
    ...sbatch,
    ...more.map((option) => `--sbatch=${option}`),
  ];
  const record = {
    pipeline: pipeline.name,
    file: place.args[0] ?? file,
    command: ["slurm", ...place.args, ...flags].map(shellWord).join(" "),
    submitted: new Date().toISOString(),
    stages: stagesOf(plan),
  };
  if (local) await runLocally(pipeline, jobs, { processes: shards, gpus }, place, record, context);
  else await submitJobs(pipeline, jobs, [...sbatch, ...more], place, record, context);
}

/** The folder in which the user called the command, and the arguments that jobs take too. */
interface Place {
  readonly from: string;
  readonly args: readonly string[];
}

type SubmissionRecord = Omit<Submission, "jobs">;

async function makeTask(
  pipeline: Pipeline,
  stage: string,
  shard: Shard | undefined,
  gpus: readonly string[],
  context: Context,
): Promise<void> {
  const found = pipeline.stages.find(({ id }) => id === stage);
  if (!found) throw new UsageError(`Cannot make stage "${stage}" as ${pipeline.file} has no such stage`);
  if (shard && !found.spec.shard) {
    throw new UsageError(`Cannot divide stage "${stage}" as ${found.spec.id} has no parts`);
  }
  const { signal, release } = stopSignal();
  try {
    await runTask(pipeline, { stage, shard }, {
      root: RUNS,
      signal,
      reporter: reporterFor(Deno.stdout),
      tune: "cached",
      openDevice: () => openChosen(gpus[0], context),
      isJobAlive: jobProbe(execute),
    });
  } finally {
    release();
  }
}

async function submitJobs(
  pipeline: Pipeline,
  jobs: readonly Job[],
  sbatch: readonly string[],
  { from, args }: Place,
  record: SubmissionRecord,
  { print }: Context,
): Promise<void> {
  const denow = `${root}/denow`;
  const { jobs: ids } = await submit(
    jobs,
    {
      from,
      home: resolve(RUNS, pipeline.name),
      pipeline: pipeline.name,
      taskCommand: [denow, "task", "-q", "slurm", ...args],
      lastCommand: [denow, "task", "-q", "run", ...args],
      sbatch,
    },
    record,
    execute,
  );
  const rows = [...jobs, { name: LAST, tasks: [null], needs: [] }].map(({ name, tasks }) => ({
    job: ids[name] ?? "",
    name,
    tasks: tasks.length,
  }));
  print(formatTable(rows));
  print(`\nstate: deno task status ${RUNS}/${pipeline.name}`);
  print(`output: ${RUNS}/${pipeline.name}/.slurm`);
}

async function runLocally(
  pipeline: Pipeline,
  jobs: readonly Job[],
  { processes, gpus }: { readonly processes: number; readonly gpus: readonly string[] },
  place: Place,
  record: SubmissionRecord,
  { note }: Context,
): Promise<void> {
  writeSubmission(resolve(RUNS, pipeline.name), { ...record, jobs: {} });
  const { signal, release } = stopSignal();
  try {
    const failed = await runJobs(jobs, processes, (task, lane) => {
      note(describe(task));
      const gpu = gpus.length ? ["--gpu", gpus[lane % gpus.length] ?? ""] : [];
      return start(["slurm", ...place.args, ...argumentsOf(task), ...gpu], place.from, signal);
    });
    for (const { task, code } of failed) note(`${task} ended with exit code ${code}`);
    if (failed.length) throw new Exit(signal.aborted ? 130 : 1);
    // Everything is up to date: the run writes the summary and prints the results.
    const code = await start(["run", ...place.args], place.from, signal);
    if (code !== 0) throw new Exit(code);
  } finally {
    release();
  }
}

const describe = ({ stage, shard }: Task) => shard ? `${stage}, part ${shard.index + 1} of ${shard.count}` : stage;

/** Runs a task of deno.json in a process; resolves to its exit code. */
async function start(args: readonly string[], cwd: string, signal: AbortSignal): Promise<number> {
  if (signal.aborted) return 130;
  const child = new Deno.Command("deno", {
    args: ["task", "-q", "--config", `${root}/deno.json`, ...args],
    cwd,
    stdin: "null",
  }).spawn();
  const stop = () => child.kill("SIGTERM");
  signal.addEventListener("abort", stop);
  const { code } = await child.status;
  signal.removeEventListener("abort", stop);
  return code;
}

/** Runs one of Slurm's programs. */
const execute: Execute = async (program, args) => {
  try {
    const { code, stdout, stderr } = await new Deno.Command(program, { args: [...args], stdin: "null" }).output();
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    return { code, out: out ?? "", err: err ?? "" };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable) {
      return { code: 127, out: "", err: "" };
    }
    throw error;
  }
};

/** Reads `3/8` as the third of eight parts. */
function shardOf(text: string): Shard {
  const [, index, count] = /^(\d+)\/(\d+)$/.exec(text)?.map(Number) ?? [];
  if (index !== undefined && count !== undefined && index >= 1 && index <= count) return { index: index - 1, count };
  throw new InvalidArgumentError("It must be a part and their number, such as 3/8.");
}
