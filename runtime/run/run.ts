/**
 * Runs a pipeline: stages that are not up to date, as many side by side as it allows, each into a folder that appears
 * when it is whole.
 *
 * A run's folder is `runs/<pipeline>/`:
 * - `<stage>/`: the artifact, with `manifest.json` and, if it has any, `metrics.jsonl`;
 * - `.<stage>.tmp/`: the artifact while it is made;
 * - `.work/<stage>/`: checkpoints and metrics of an unfinished stage;
 * - `summary.json`, `pipeline.yaml`: states and results, and the pipeline with everything resolved;
 * - `../.speeds.json`: how fast stages were on this machine, see `timings.ts`;
 * - `../.tuning/`: kernels that were tuned, a file for each adapter, see `engine/tuning`;
 * - `.tasks/`: tasks that processes of their own do, see `task.ts`;
 * - `.slurm/`: scripts and outputs of Slurm's jobs, see `cluster/slurm.ts`;
 * - `log.jsonl`, `log.1.jsonl`, `.lock`: what happened when, what happened before, and the process that is running.
 *
 * @module
 */
import { join, resolve } from "node:path";
import { localExecutor } from "./executor.ts";
import { type StageExecutor, type StageJob, StageRunError } from "./job.ts";
import { lookUp } from "../../engine/lookup.ts";
import { readTuned } from "../../engine/tuning/tuning_cache.ts";
import type { Adapter } from "../../engine/adapters.ts";
import type { Device } from "../../engine/device.ts";
import { diskHint } from "../../formats/disk_error.ts";
import { exists, removeIfExists, writeAtomic } from "../../formats/files.ts";
import type { Pipeline } from "../pipeline/file.ts";
import type { Reporter } from "./progress.ts";
import { recover, RunLog } from "./folder.ts";
import { describeOwner, LockedError, type Owner, takeLock } from "./lock.ts";
import { removeSubmission } from "./submission.ts";
import { liveTasks, tasksDir } from "./task_files.ts";
import { bestEffort, describeFailure, explain, keepTime, messageOf } from "./outcome.ts";
import { type Artifact, type ArtifactInfo, inputsOf, type Row } from "../stage.ts";
import { type StageState, stageStates } from "./cache.ts";
import { RunError } from "./costs.ts";
import { StageThreads } from "./worker.ts";
import { suggest } from "../../formats/yaml_tree.ts";

/** Selection of the stages to run. */
export interface Selection {
  /** This stage alone, even if it is up to date; its inputs must be. */
  readonly only?: string | undefined;
  /** This stage and all that depend on it, even if they are up to date. */
  readonly from?: string | undefined;
  /** This stage and all that it needs. */
  readonly until?: string | undefined;
}

/** Options of {@linkcode runPipeline}. */
export interface RunOptions extends Selection {
  /** Folder of all runs. */
  readonly root?: string;
  /** Aborted to stop after the step that is going on. */
  readonly signal?: AbortSignal;
  /** Receives the events. */
  readonly reporter: Reporter;
  /**
   * Kernels to run: `off` (the default) those of the ops alone, `cached` those that were tuned on the adapter,
   * `measure` the same after tuning missing ones, or a file: the manifest of a stage, whose kernels are used again.
   * A stage that goes on from a checkpoint keeps the kernels that it began with.
   */
  readonly tune?: string | undefined;
  /** Opens the GPU at a stage's first call of `ctx.device()`; with `thread`, the devices of the threads are opened alike. */
  readonly openDevice: () => Promise<Device>;
  /** Name of the device that computes, for the event `run`. */
  readonly device?: string | undefined;
  /** Adapters that the threads open, shared out among them; without any, they open the one of `openDevice`. */
  readonly adapters?: readonly Adapter[] | undefined;
  /**
   * A module that calls `serveStages`, with the types of the pipeline's stages: what makes stages side by side, a thread
   * each. Without it they are made one after the other.
   */
  readonly thread?: URL;
  /** True if the process exits after the run: threads then end with it, as some drivers crash at the end of a thread. */
  readonly exits?: boolean;
}

/** Result of a run, `summary.json`. */
export interface Summary {
  /** Name of the pipeline. */
  readonly pipeline: string;
  /** `seconds` is the time it took to make the artifact, in this run or an earlier one. */
  readonly stages: Readonly<Record<string, { readonly status: Status; readonly seconds: number }>>;
  /** Rows about detectors, in the order of the stages. */
  readonly results: readonly Row[];
}

/** `skipped` is done before, `waiting` not begun. */
export type Status = "done" | "skipped" | "failed" | "interrupted" | "waiting";

/** A stage that did not finish. */
export class StageError extends Error {
  /** The class. */
  override readonly name = "StageError";

  /** Names the stage, and whether it failed or was stopped. */
  constructor(readonly stage: string, readonly status: "failed" | "interrupted", message: string, cause: unknown) {
    super(message, { cause });
  }
}

/** A stage with its state and whether this run makes it. */
export interface PlannedStage extends StageState {
  /** Reason that it will run; null if it will not. */
  readonly run: string | null;
  /** Each stage's artifact, made or not. */
  readonly artifacts: ReadonlyMap<string, Artifact>;
}

/**
 * Plans a run. Reads only.
 *
 * @throws {RunError} If the selection names a stage that is not there, or one whose inputs are missing.
 */
export function planRun(pipeline: Pipeline, root: string, { only, from, until }: Selection = {}): PlannedStage[] {
  const ids = pipeline.stages.map(({ id }) => id);
  // The name of a stage with a matrix stands for all that it made.
  const named = (name: string) =>
    pipeline.stages.filter(({ id, of }) => id === name || of === name).map(({ id }) => id);
  for (const id of [only, from, until]) {
    if (id === undefined || named(id).length) continue;
    const hint = suggest(id, [...new Set(pipeline.stages.map(({ of }) => of))], "its stages");
    throw new RunError(`Cannot choose stage "${id}" as ${pipeline.file} has no such stage, hint: ${hint}`);
  }
  const needs = new Map(pipeline.stages.map((stage) => [stage.id, stage.needs]));
  const needsOf = (id: string) => lookUp(needs, id, "stages");
  const before = (id: string): Set<string> => new Set([id, ...needsOf(id).flatMap((need) => [...before(need)])]);
  const wanted = only !== undefined
    ? new Set(named(only))
    : until !== undefined
    ? new Set(named(until).flatMap((id) => [...before(id)]))
    : new Set(ids);
  const states = stageStates(pipeline, root);
  const again = (id: string) =>
    only !== undefined ? wanted.has(id) : from !== undefined && named(from).some((first) => before(id).has(first));
  const artifacts = new Map<string, Artifact>();
  for (const { stage, dir, reason } of states) {
    const { id, spec } = stage;
    let known: Promise<ArtifactInfo> | undefined;
    const describe = async () => await spec.describeOutput?.(stage.options, inputsOf(stage, artifacts)) ?? {};
    const info = () => known ??= describe();
    artifacts.set(id, { dir: resolve(dir), stage: id, ...(reason !== null && { info }) });
  }
  const planned = states.map((state) => {
    const { id } = state.stage;
    const run = !wanted.has(id) ? null : again(id) ? state.reason ?? "you asked for it" : state.reason;
    return { ...state, run, artifacts };
  });
  const inputs = only !== undefined ? named(only).flatMap(needsOf) : [];
  const missing = states.find(({ stage, reason }) => reason !== null && inputs.includes(stage.id));
  if (missing) {
    const why = `its input from stage "${missing.stage.id}" is not up to date: ${missing.reason}`;
    throw new RunError(`Cannot run only stage "${only}" as ${why}, hint: use --until ${only}`);
  }
  return planned;
}

/**
 * Runs a pipeline.
 *
 * @returns The summary, when every chosen stage is done.
 * @throws {StageError} If a stage fails or is interrupted; `summary.json` and the other stages' folders are good then.
 * @throws {RunError} If another run of the pipeline is going on.
 */
export async function runPipeline(pipeline: Pipeline, options: RunOptions): Promise<Summary> {
  const { root = "runs", reporter, signal = new AbortController().signal, device, adapters = [] } = options;
  checkSpread(pipeline, adapters);
  const home = resolve(root, pipeline.name);
  const prepare = <T>(act: () => T) => explained(pipeline, home, act);
  prepare(() => planRun(pipeline, root, options));
  const tuning = { root, mode: options.tune ?? "off" };
  checkTuning(tuning.mode);
  using _lock = await lockRun(pipeline.name, home);
  // A pipeline that was divided among processes is now made by this one.
  prepare(() => removeSubmission(home));
  // Recovery comes after the lock, as the run before may just have ended.
  prepare(() => recover(pipeline.stages.map(({ id }) => id), home));
  const plan = prepare(() => planRun(pipeline, root, options));
  prepare(() => writeAtomic(join(home, "pipeline.yaml"), pipeline.resolved));
  using log = prepare(() => new RunLog(home, reporter));

  const lanes = openLanes(pipeline.jobs, options);
  // A stage that fails stops the other running ones, as the user does all.
  const failure = new AbortController();
  const stop = AbortSignal.any([signal, failure.signal]);
  const summary = new SummaryFile(home, pipeline.name, plan);
  const going: Going = { pipeline: pipeline.name, root, home, tuning, lanes: lanes.free, stop, summary, log };
  let at = plan[0]?.stage.id ?? "";
  const make = async (planned: PlannedStage, index: number): Promise<void> => {
    at = planned.stage.id;
    await makeStage(planned, { number: index + 1, of: plan.length }, going);
  };
  try {
    log.emit({
      event: "run",
      pipeline: pipeline.name,
      file: pipeline.file,
      set: pipeline.set,
      process: Deno.pid,
      ...device && { device },
    });
    await sideBySide(plan, lanes.free.length, make, () => failure.abort());
    const written = summary.write();
    bestEffort(() => removeIfExists(tasksDir(home)));
    log.emit({ event: "end", status: "done" });
    return written;
  } catch (thrown) {
    const error = thrown instanceof StageError || diskHint(thrown) === undefined ? thrown : new StageError(
      at,
      "failed",
      `Cannot go on with pipeline "${pipeline.name}" in ${home}: ${explain(thrown)}`,
      thrown,
    );
    const { status, stage = "" } = error instanceof StageError ? error : { status: "failed" as const };
    // The disk may be what failed: the error itself must get through.
    bestEffort(() => summary.write());
    bestEffort(() => log.emit({ event: "end", status, stage, message: messageOf(error) }));
    throw error;
  } finally {
    await lanes.close();
  }
}

/** A run that is going on. */
interface Going extends Pick<StageJob, "pipeline" | "home" | "tuning"> {
  /** Folder of all runs, as it was given. */
  readonly root: string;
  /** Executors that are free. */
  readonly lanes: StageExecutor[];
  /** Aborted by the user, or when a stage fails. */
  readonly stop: AbortSignal;
  readonly summary: SummaryFile;
  readonly log: RunLog;
}

/**
 * Makes a stage, unless the run leaves it as it is.
 *
 * @throws {StageError} If it fails or is interrupted.
 */
async function makeStage(
  planned: PlannedStage,
  count: { readonly number: number; readonly of: number },
  { pipeline, root, home, tuning, lanes, stop, summary, log }: Going,
): Promise<void> {
  const { stage: { id, spec } } = planned;
  if (planned.run === null) {
    if (planned.reason === null) log.emit({ event: "skip", stage: id, ...count });
    return;
  }
  log.emit({ event: "stage", stage: id, uses: spec.id, reason: planned.run, ...count });
  summary.write();
  const lane = lanes.pop()!;
  try {
    const manifest = await lane({ state: planned, pipeline, home, tuning }, stop, (event) => log.emit(event));
    summary.set(id, { status: "done", seconds: manifest.seconds }, manifest.summary);
    log.emit({ event: "done", stage: id, seconds: manifest.seconds });
    await keepTime(root, planned, manifest);
  } catch (error) {
    const { cause, resumed, seconds } = StageRunError.of(error);
    const stopped = stop.aborted ? "interrupted" : "failed";
    summary.set(id, { status: stopped, seconds });
    const message = stopped === "interrupted"
      ? `Stopped in stage "${id}", hint: the same command continues from there`
      : describeFailure(cause, planned, join(root, pipeline), resumed);
    throw new StageError(id, stopped, message, cause);
  } finally {
    lanes.push(lane);
  }
}

/** @throws {RunError} If there are more adapters than stages that run side by side. */
function checkSpread({ name, jobs }: Pipeline, adapters: readonly Adapter[]): void {
  if (adapters.length <= Math.max(1, jobs)) return;
  const hint = `--set jobs=${adapters.length} runs as many stages side by side, a GPU each`;
  throw new RunError(`Cannot run "${name}" on ${adapters.length} GPUs as its jobs are ${jobs}, hint: ${hint}`);
}

/** States and results of a run, and the file that has them. */
class SummaryFile {
  readonly #status = new Map<string, { status: Status; seconds: number }>();
  readonly #rows = new Map<string, readonly Row[]>();

  constructor(private readonly home: string, private readonly pipeline: string, plan: readonly PlannedStage[]) {
    for (const { stage, manifest, reason, run } of plan) {
      const good = manifest && reason === null;
      const status = good && run === null ? "skipped" : "waiting";
      this.set(stage.id, { status, seconds: good ? manifest.seconds : 0 }, good ? manifest.summary : []);
    }
  }

  /** Sets the state of a stage, and its rows once there are some. */
  set(id: string, state: { status: Status; seconds: number }, rows?: readonly Row[]): void {
    this.#status.set(id, state);
    if (rows) this.#rows.set(id, rows);
  }

  /** Writes `summary.json`. */
  write(): Summary {
    const results = [...this.#rows].flatMap(([stage, list]) =>
      list.filter((row) => "detector" in row).map((row) => ({ stage, ...row }))
    );
    const summary: Summary = { pipeline: this.pipeline, stages: Object.fromEntries(this.#status), results };
    writeAtomic(join(this.home, "summary.json"), JSON.stringify(summary, null, 2) + "\n");
    return summary;
  }
}

/** Opens an executor for each stage that runs side by side. */
function openLanes(
  jobs: number,
  { thread, exits, openDevice, adapters = [] }: RunOptions,
): { free: StageExecutor[]; close(): Promise<void> } {
  if (!thread || jobs === 1) {
    const { make, close } = localExecutor(openDevice);
    return { free: [make], close };
  }
  const threads = new StageThreads(thread, jobs, openDevice, adapters);
  return { free: [...threads.executors], close: () => threads.close(exits) };
}

/**
 * Makes each stage once those that it needs are made: at most `jobs` at once, earlier ones first.
 *
 * @param stop Called when one fails; no other is begun then.
 * @throws The first error, after the other running stages have ended.
 */
async function sideBySide(
  plan: readonly PlannedStage[],
  jobs: number,
  make: (planned: PlannedStage, index: number) => Promise<void>,
  stop: () => void,
): Promise<void> {
  const waiting = [...plan.entries()];
  const missing = new Set(plan.map(({ stage }) => stage.id));
  const going = new Set<Promise<void>>();
  const errors: unknown[] = [];
  const begin = (index: number, planned: PlannedStage) => {
    const end: Promise<void> = make(planned, index).then(
      () => void missing.delete(planned.stage.id),
      (error) => {
        errors.push(error);
        stop();
      },
    ).finally(() => going.delete(end));
    going.add(end);
  };
  while (waiting.length || going.size) {
    const ready = errors.length || going.size === jobs
      ? -1
      : waiting.findIndex(([, { stage }]) => !stage.needs.some((id) => missing.has(id)));
    if (ready >= 0) waiting.splice(ready, 1).forEach(([index, planned]) => begin(index, planned));
    else if (going.size) await Promise.race(going);
    else break;
  }
  if (errors.length) throw errors[0];
}

/** Values of `tune` other than a file. */
const TUNE_MODES = ["off", "cached", "measure"];

/** @throws {RunError} If kernels are to be taken from what has none. */
function checkTuning(mode: string): void {
  if (TUNE_MODES.includes(mode)) return;
  try {
    if (!exists(mode)) throw new Error("there is no such file");
    readTuned(mode);
  } catch (error) {
    throw new RunError(
      `Cannot run with --tune=${mode}: ${messageOf(error)}, hint: it is ${TUNE_MODES.join(", ")} or a manifest.json`,
    );
  }
}

/** Prepares a run; errors of the disk become errors of the run. */
function explained<T>({ name }: Pipeline, home: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof RunError) throw error;
    throw new RunError(`Cannot run pipeline "${name}" in ${home}: ${explain(error)}`);
  }
}

async function lockRun(name: string, home: string): Promise<Disposable> {
  const refuse = (owner: Owner | null, doing: string) => {
    const who = owner ? describeOwner(owner) : "another process";
    return new RunError(
      `Cannot run pipeline "${name}" as ${who} is ${doing} in ${home}, hint: wait for it, or give a copy of the file ` +
        "another name",
    );
  };
  using taken = new DisposableStack();
  try {
    taken.use(await takeLock(join(home, ".lock")));
  } catch (error) {
    if (error instanceof LockedError) throw refuse(error.owner, "running it");
    throw new RunError(`Cannot run pipeline "${name}" as ${home} cannot be written: ${explain(error)}`);
  }
  for (const [task, owner] of await liveTasks(home)) throw refuse(owner, `making ${task}`);
  return taken.move();
}
