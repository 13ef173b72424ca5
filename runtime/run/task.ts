/**
 * Stages of a pipeline, and parts of stages, made by processes of their own at the same time: on GPUs of one machine, or on
 * machines that share a file system.
 *
 * Parts of a stage write to its folder of work; the stage itself is made last, and finds there what they did.
 *
 * @module
 */
import { join, resolve } from "node:path";
import { setTimeout } from "node:timers/promises";
import { readJsonIfUsable, removeIfExists, writeAtomic } from "../../formats/files.ts";
import type { Device } from "../../engine/device.ts";
import type { Pipeline } from "../pipeline/file.ts";
import { RunError } from "./costs.ts";
import { localExecutor } from "./executor.ts";
import { noteOf, type StageJob, StageRunError, type StageRunNote } from "./job.ts";
import { describeOwner, type JobProbe, liveOwnerOf, LockedError, type Owner, takeLock } from "./lock.ts";
import type { Reporter } from "./progress.ts";
import { recover } from "./folder.ts";
import { describeFailure, keepTime } from "./outcome.ts";
import { planRun, StageError } from "./run.ts";
import { liveTasks, partOf, type Task, taskName, type TaskNote, tasksDir } from "./task_files.ts";

/** Options of {@linkcode runTask}. */
export interface TaskOptions {
  /** Folder of all runs. */
  readonly root?: string;
  /** Aborted to stop after the step that is going on. */
  readonly signal: AbortSignal;
  /** Receives the events. */
  readonly reporter: Reporter;
  /** See `RunOptions.tune`. */
  readonly tune?: string;
  /** Opens the GPU. */
  readonly openDevice: () => Promise<Device>;
  /** Asks Slurm about holders of locks on other machines. */
  readonly isJobAlive?: JobProbe | undefined;
}

/**
 * Makes a stage whose inputs are up to date, or does a part of its work. Does nothing if the stage is up to date.
 *
 * @throws {StageError} If it fails or is interrupted.
 * @throws {RunError} If its inputs are missing, or another process makes the same.
 */
export async function runTask(pipeline: Pipeline, task: Task, options: TaskOptions): Promise<void> {
  const { root = "runs", reporter, signal, isJobAlive } = options;
  const home = resolve(root, pipeline.name);
  const name = taskName(task);
  using _lock = await lockTask(home, task, isJobAlive);
  const planned = planRun(pipeline, root, { until: task.stage });
  const at = planned.findIndex(({ stage }) => stage.id === task.stage);
  const state = planned[at]!;
  const { stage, key, reason } = state;
  const count = { number: at + 1, of: planned.length };
  if (reason === null) return reporter.event({ event: "skip", stage: stage.id, ...count });
  const missing = planned.find(({ stage: { id }, reason }) => reason !== null && stage.needs.includes(id));
  if (missing) {
    throw new RunError(
      `Cannot make ${name} as its input from stage "${missing.stage.id}" is not up to date: ${missing.reason}`,
    );
  }
  const note = (outcome: Omit<TaskNote, "key">) =>
    writeAtomic(join(tasksDir(home), `${name}.json`), `${JSON.stringify({ key, ...outcome })}\n`);
  note({ status: "running" });
  reporter.event({ event: "stage", stage: stage.id, uses: stage.spec.id, reason, ...count });
  const job: StageJob = { state, pipeline: pipeline.name, home, tuning: { root, mode: options.tune ?? "off" } };
  const { make, makeShard, close } = localExecutor(options.openDevice);
  const began = performance.now();
  try {
    if (task.shard) {
      await prepareWork(home, task, key, isJobAlive);
      await makeShard(job, task.shard, signal, (event) => reporter.event(event));
    } else {
      recover([stage.id], home);
      await keepTime(root, state, await make(job, signal, (event) => reporter.event(event)));
    }
    note({ status: "done" });
    reporter.event({ event: "done", stage: stage.id, seconds: (performance.now() - began) / 1000 });
  } catch (error) {
    const { cause, resumed } = StageRunError.of(error);
    const status = signal.aborted ? "interrupted" : "failed";
    const message = signal.aborted
      ? `Stopped in ${name}, hint: the same command continues from there`
      : describeFailure(cause, state, join(root, pipeline.name), resumed);
    note({ status, message });
    throw new StageError(stage.id, status, message, cause);
  } finally {
    await close();
  }
}

/**
 * Takes a task's lock, beside those of other tasks but not of a whole run, nor of others that would write the same files.
 *
 * Each takes its own lock before it looks for the others', so that of two at once one sees the other.
 */
async function lockTask(home: string, task: Task, isJobAlive: JobProbe | undefined): Promise<Disposable> {
  const name = taskName(task);
  const refuse = (owner: Owner | null, other: string) =>
    new RunError(
      `Cannot make ${name} in ${home} as ${owner ? describeOwner(owner) : "another process"} is making ${other}, ` +
        "hint: wait for it, or stop it",
    );
  let lock: Disposable;
  try {
    lock = await takeLock(join(tasksDir(home), `${name}.lock`), isJobAlive);
  } catch (error) {
    throw error instanceof LockedError ? refuse(error.owner, "it") : error;
  }
  using taken = new DisposableStack();
  taken.use(lock);
  const run = await liveOwnerOf(join(home, ".lock"), isJobAlive);
  if (run !== undefined) throw refuse(run, "the whole pipeline");
  for (const [other, owner] of await liveTasks(home, isJobAlive)) {
    if (other !== name && excludes(task, other)) throw refuse(owner, other);
  }
  return taken.move();
}

/** True if a task must not run beside another of this name: the same stage whole, or in another number of parts. */
function excludes({ stage, shard }: Task, other: string): boolean {
  const part = partOf(other, stage);
  return shard ? other === stage || part !== undefined && !part.endsWith(`of${shard.count}`) : part !== undefined;
}

/** Interval and limit of waiting for another task to prepare the folder. */
const [POLL_MS, TIMEOUT_MS] = [50, 10_000];

/** Makes the folder of work that parts of a stage share; one of an earlier key is removed first. */
async function prepareWork(home: string, task: Task, key: string, isJobAlive: JobProbe | undefined): Promise<void> {
  const note = noteOf(home, task.stage);
  const isReady = () => readJsonIfUsable<StageRunNote>(note)?.key === key;
  for (let waited = 0; !isReady(); waited += POLL_MS) {
    try {
      using _lock = await takeLock(join(tasksDir(home), `.${task.stage}.prepare.lock`), isJobAlive);
      if (isReady()) return;
      const work = join(home, ".work", task.stage);
      removeIfExists(work);
      Deno.mkdirSync(join(work, "files"), { recursive: true });
      writeAtomic(note, JSON.stringify({ key, seconds: 0 } satisfies StageRunNote));
    } catch (error) {
      if (!(error instanceof LockedError) || waited > TIMEOUT_MS) throw error;
      await setTimeout(POLL_MS);
    }
  }
}
