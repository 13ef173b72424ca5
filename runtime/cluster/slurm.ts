/**
 * Slurm: a script and a job for each part of a pipeline, with the dependencies of the graph.
 *
 * Job arrays do the tasks of a job side by side (https://slurm.schedmd.com/job_array.html). A task that is stopped (a time
 * limit, preemption) or killed goes back to the queue and continues; one that fails is not tried again, and what depends
 * on it is cancelled.
 *
 * @module
 */
import { join } from "node:path";
import { makeFolderOf, writeAtomic } from "../../formats/files.ts";
import { RunError } from "../run/costs.ts";
import type { JobProbe } from "../run/lock.ts";
import type { Task } from "../run/task_files.ts";
import type { Job } from "./jobs.ts";
import { readSubmission, type Submission, writeSubmission } from "../run/submission.ts";

/** Runs a program; resolves to its exit code and what it printed. Missing programs give code 127. */
export type Execute = (
  program: string,
  args: readonly string[],
) => Promise<{ readonly code: number; readonly out: string; readonly err: string }>;

/** Settings that all jobs of a submission share. */
export interface SlurmSettings {
  /** Folder in which the commands run. */
  readonly from: string;
  /** The run's folder. */
  readonly home: string;
  /** Name of the pipeline. */
  readonly pipeline: string;
  /** Shell command of a task but for its arguments. */
  readonly taskCommand: readonly string[];
  /** Shell command at the end, when all stages are up to date. */
  readonly lastCommand: readonly string[];
  /** Options of sbatch for each job, such as `--partition=gpu`. */
  readonly sbatch: readonly string[];
}

/** The last job: a run of the whole pipeline, which finds everything up to date and writes the summary. */
export const LAST = "summary";

/** Most times that a task which was stopped or killed goes back to the queue. */
const MOST_REQUEUES = 20;

/** Time before the end of a job's time limit at which its task gets the signal to stop, seconds. */
const NOTICE_S = 120;

/** Folder of the scripts and outputs of a run's jobs. It outlives the run, as the last job prints its results there. */
export const slurmDir = (home: string): string => join(home, ".slurm");

/** Writes the batch script of a job; its tasks are those of an array. */
export function scriptOf(job: Pick<Job, "name" | "tasks">, settings: SlurmSettings): string {
  const { from, home, pipeline, taskCommand, lastCommand, sbatch } = settings;
  const isArray = job.tasks.length > 1;
  const output = join(slurmDir(home), `${job.name}-${isArray ? "%A_%a" : "%j"}.out`);
  const options = [
    `--job-name=${pipeline}/${job.name}`,
    `--output=${output}`,
    "--open-mode=append",
    "--requeue",
    `--signal=B:TERM@${NOTICE_S}`,
    ...isArray ? [`--array=0-${job.tasks.length - 1}`] : [],
    ...sbatch,
  ];
  const command = job.tasks.length ? taskCommand : lastCommand;
  const cases = job.tasks.map((task, index) => `  ${index}) set -- ${quoted(argumentsOf(task))} ;;`);
  return `#!/usr/bin/env bash
${options.map((option) => `#SBATCH ${option}`).join("\n")}
cd ${quote(from)} || exit 1
case \${SLURM_ARRAY_TASK_ID:-0} in
${cases.length ? cases.join("\n") : "  *) set -- ;;"}
esac
# The shell waits for the command and passes Slurm's notice on, so that it stops at a checkpoint.
trap 'kill -TERM "$child" 2>/dev/null' TERM
${quoted(command)} "$@" &
child=$!
wait "$child"; code=$?
while kill -0 "$child" 2>/dev/null; do wait "$child"; code=$?; done
# Stopped at a checkpoint, or killed: it goes on from there, unless the job itself was cancelled.
case $code in
  130 | 137 | 143)
    id=\${SLURM_ARRAY_JOB_ID:+\${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
    id=\${id:-$SLURM_JOB_ID}
    if [ "\${SLURM_RESTART_COUNT:-0}" -lt ${MOST_REQUEUES} ] && [ "$(squeue --noheader --jobs="$id" --format=%T)" = RUNNING ]; then
      scontrol requeue "$id"
    fi
    ;;
esac
exit "$code"
`;
}

/** The arguments of a task. */
export function argumentsOf({ stage, shard }: Task): string[] {
  return ["--task", stage, ...shard ? ["--shard", `${shard.index + 1}/${shard.count}`] : []];
}

/**
 * Writes the scripts of jobs and submits them, each after those that it needs.
 *
 * @param jobs In an order in which each comes after those that it needs.
 * @param record The submission but for the ids of its jobs.
 * @returns The submission.
 * @throws {RunError} If jobs of an earlier submission are in the queue, or Slurm refuses one; those before it are cancelled.
 */
export async function submit(
  jobs: readonly Job[],
  settings: SlurmSettings,
  record: Omit<Submission, "jobs">,
  execute: Execute,
): Promise<Submission> {
  const { home } = settings;
  const before = readSubmission(home);
  const isAlive = jobProbe(execute);
  const alive: string[] = [];
  for (const id of Object.values(before?.jobs ?? {})) if (await isAlive(id)) alive.push(id);
  if (alive.length) {
    throw new RunError(
      `Cannot submit pipeline "${record.pipeline}" as jobs of an earlier submission are in the queue: ${
        alive.join(", ")
      }, ` +
        `hint: wait for them, or scancel ${alive.join(" ")}`,
    );
  }
  const ids: Record<string, string> = {};
  const needed = new Set(jobs.flatMap(({ needs }) => needs));
  const last: Job = { name: LAST, tasks: [], needs: jobs.map(({ name }) => name).filter((name) => !needed.has(name)) };
  for (const job of [...jobs, last]) {
    const script = join(slurmDir(home), `${job.name}.sh`);
    makeFolderOf(script);
    writeAtomic(script, scriptOf(job, settings));
    const after = job.needs.map((name) => ids[name]);
    const args = [
      "--parsable",
      ...after.length ? [`--dependency=afterok:${after.join(":")}`, "--kill-on-invalid-dep=yes"] : [],
      script,
    ];
    const { code, out, err } = await execute("sbatch", args);
    const id = /^(\d+)/.exec(out)?.[1];
    if (code !== 0 || id === undefined) {
      const submitted = Object.values(ids);
      if (submitted.length) await execute("scancel", submitted);
      const why = code === 127 ? "there is no sbatch on this machine" : err.trim() || out.trim();
      throw new RunError(
        `Cannot submit job "${job.name}": ${why}` +
          (submitted.length ? `; jobs ${submitted.join(", ")}, submitted before it, are cancelled` : "") +
          (code === 127 ? ", hint: run it on a login node of the cluster, or with --local" : ""),
      );
    }
    ids[job.name] = id;
    writeSubmission(home, { ...record, jobs: ids });
  }
  return { ...record, jobs: ids };
}

/** Asks squeue about jobs. */
export function jobProbe(execute: Execute): JobProbe {
  return async (job) => {
    const { code, out, err } = await execute("squeue", ["--noheader", "--format=%T", `--jobs=${job}`]);
    // Slurm forgets jobs some minutes after their end.
    if (code !== 0) return /invalid job id/i.test(err) ? false : undefined;
    return out.trim() !== "";
  };
}

/** A word of a shell command. */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

const quoted = (words: readonly string[]) => words.map(quote).join(" ");
