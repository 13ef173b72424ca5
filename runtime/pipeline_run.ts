/**
 * Runs a pipeline: stages that are not up to date, one after the other, each into a folder that appears when it is whole.
 *
 * A run's folder is `runs/<pipeline>/`:
 * - `<stage>/`: the artifact, with `manifest.json` and, if it has any, `metrics.jsonl`;
 * - `.<stage>.tmp/`: the artifact while it is made;
 * - `.work/<stage>/`: checkpoints and metrics of an unfinished stage;
 * - `summary.json`, `pipeline.yaml`: states and results, and the pipeline with everything resolved;
 * - `../.speeds.json`: how fast stages were on this machine, see `speed.ts`;
 * - `../.tuning/`: kernels that were tuned, a file for each adapter, see `choices.ts`;
 * - `log.jsonl`, `log.1.jsonl`, `.lock`: what happened when, what happened before, and the process that is running.
 *
 * @module
 */
import { join, resolve } from "node:path";
import { KnownChoices, readIfUsable, readTuned, type TunedKernels, tuningFile, writeTuned } from "./choices.ts";
import { type Device, DeviceLostError } from "./device.ts";
import { exists } from "./files.ts";
import type { Pipeline, PipelineStage } from "./pipeline_file.ts";
import { MemoryError } from "./plan.ts";
import type { Reporter } from "./progress.ts";
import {
  ignoreMissing,
  ownerOf,
  readJson,
  removeIfThere,
  replaceFolder,
  RunLog,
  takeLock,
  writeWhole,
} from "./run_folder.ts";
import { keepSpeed, workOf } from "./speed.ts";
import type { Artifact, Costs, Expected, Field, StageContext } from "./stage.ts";
import { listFiles, type Manifest, readManifest, type StageState, stageStates } from "./stage_cache.ts";
import { mostOf, tunables, tuneAll, TUNED_PART, workOfStage } from "./tune.ts";
import { suggest } from "./yaml_tree.ts";

/** Which stages to run. */
export interface Selection {
  /** Just this one, again if it is done; its inputs must be. */
  readonly only?: string | undefined;
  /** This one and all that depend on it, again if they are done. */
  readonly from?: string | undefined;
  /** This one and what it needs. */
  readonly until?: string | undefined;
}

/** How to run. */
export interface RunOptions extends Selection {
  /** Folder of all runs. */
  readonly root?: string;
  /** Aborted to stop after the step that is going on. */
  readonly signal?: AbortSignal;
  /** Is told what happens. */
  readonly reporter: Reporter;
  /**
   * Which kernels to run: `off` (the default) those of the ops alone, `cached` those that were tuned on the adapter,
   * `measure` the same after what a stage lacks is tuned, or those of a file: a manifest of a stage that ran with them.
   * A stage that goes on from a checkpoint keeps the kernels that it began with.
   */
  readonly tune?: string | undefined;
  /** Opens the GPU at a stage's first call of `ctx.device()`. */
  readonly openDevice: () => Promise<Device>;
}

/** A row of results. */
export type Row = Readonly<Record<string, Field>>;

/** How a run ended, `summary.json`. */
export interface Summary {
  /** Name of the pipeline. */
  readonly pipeline: string;
  /** `seconds` is the time it took to make the artifact, in this run or an earlier one. */
  readonly stages: Readonly<Record<string, { readonly status: Status; readonly seconds: number }>>;
  /** What stages tell about detectors, in the order of the stages. */
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

/** A run that cannot begin: another one is going on, or a stage was asked for that is not there. */
export class RunError extends Error {
  /** The class. */
  override readonly name = "RunError";
}

/** A stage with its state and whether this run makes it. */
export interface PlannedStage extends StageState {
  /** Why it will run; null if it will not. */
  readonly run: string | null;
  /** Each stage's artifact, made or not. */
  readonly artifacts: ReadonlyMap<string, Artifact>;
}

/**
 * What a run would do. Reads only.
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
    const hint = suggest(id, ids, "its stages");
    throw new RunError(`Cannot choose stage "${id}" as ${pipeline.file} has no such stage, hint: ${hint}`);
  }
  const needs = new Map(pipeline.stages.map((stage) => [stage.id, stage.needs]));
  const before = (id: string): Set<string> => new Set([id, ...needs.get(id)!.flatMap((need) => [...before(need)])]);
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
    let known: Promise<Expected> | undefined;
    const expect = async () => await spec.expects?.(stage.options as never, inputsOf(stage, artifacts)) ?? {};
    const expected = () => known ??= expect();
    artifacts.set(id, { dir: resolve(dir), stage: id, ...(reason !== null && { expected }) });
  }
  const planned = states.map((state) => {
    const { id } = state.stage;
    const run = !wanted.has(id) ? null : again(id) ? state.reason ?? "you asked for it" : state.reason;
    return { ...state, run, artifacts };
  });
  const inputs = only !== undefined ? named(only).flatMap((id) => needs.get(id)!) : [];
  const missing = states.find(({ stage, reason }) => reason !== null && inputs.includes(stage.id));
  if (missing) {
    const why = `its input from stage "${missing.stage.id}" is not up to date: ${missing.reason}`;
    throw new RunError(`Cannot run only stage "${only}" as ${why}, hint: use --until ${only}`);
  }
  return planned;
}

/**
 * What a run of a stage takes, as far as its type tells; undefined if that depends on an input that is not there yet.
 *
 * @throws {RunError} If that is more memory than its options allow.
 */
export async function stageCosts(
  { stage, artifacts }: Pick<PlannedStage, "stage" | "artifacts">,
): Promise<Costs | undefined> {
  try {
    return await stage.spec.cost?.(stage.options as never, inputsOf(stage, artifacts)) ?? {};
  } catch (error) {
    if (error instanceof MemoryError) throw new RunError(`Stage "${stage.id}": ${error.message}`);
    ignoreMissing(error);
    return undefined;
  }
}

/** A stage's inputs as its type takes them. */
function inputsOf(stage: PipelineStage, artifacts: ReadonlyMap<string, Artifact>): never {
  const artifact = (id: string) => artifacts.get(id)!;
  const inputs = Object.keys(stage.spec.inputs).map((key) => {
    const name = key.replace(/[?*]$/, "");
    const from = stage.inputs[name]?.map(artifact);
    return [name, key.endsWith("*") ? from ?? [] : from?.[0]];
  });
  return Object.fromEntries(inputs) as never;
}

/**
 * Runs a pipeline.
 *
 * @returns The summary, when every chosen stage is done.
 * @throws {StageError} If a stage fails or is interrupted; `summary.json` and the other stages' folders are good then.
 * @throws {RunError} If another run of the pipeline is going on.
 */
export async function runPipeline(pipeline: Pipeline, options: RunOptions): Promise<Summary> {
  const { root = "runs", reporter, signal = new AbortController().signal } = options;
  const home = resolve(root, pipeline.name);
  const prepare = <T>(act: () => T) => explained(pipeline, home, act);
  prepare(() => planRun(pipeline, root, options));
  const tuning = { root, mode: options.tune ?? "off" };
  checkTuning(tuning.mode);
  using _lock = await lockRun(pipeline.name, home);
  // Only now, as the run before may just have ended.
  prepare(() => recover(pipeline, home));
  const plan = prepare(() => planRun(pipeline, root, options));
  prepare(() => writeWhole(join(home, "pipeline.yaml"), pipeline.resolved));
  using log = prepare(() => new RunLog(home, reporter));

  const gpu = sharedDevice(options.openDevice);
  const status = new Map<string, { status: Status; seconds: number }>();
  const rows = new Map<string, readonly Row[]>();
  for (const { stage, manifest, reason, run } of plan) {
    const good = manifest && reason === null;
    status.set(stage.id, {
      status: good && run === null ? "skipped" : "waiting",
      seconds: good ? manifest.seconds : 0,
    });
    rows.set(stage.id, good ? manifest.summary : []);
  }
  const write = (): Summary => {
    const results = [...rows].flatMap(([stage, list]) =>
      list.filter((row) => "detector" in row).map((row) => ({ stage, ...row }))
    );
    const summary: Summary = { pipeline: pipeline.name, stages: Object.fromEntries(status), results };
    writeWhole(join(home, "summary.json"), JSON.stringify(summary, null, 2) + "\n");
    return summary;
  };
  let at = plan[0]?.stage.id ?? "";
  try {
    log.tell({ event: "run", pipeline: pipeline.name, file: pipeline.file, process: Deno.pid });
    for (const [index, planned] of plan.entries()) {
      const { stage: { id, spec } } = planned;
      at = id;
      const count = { number: index + 1, of: plan.length };
      if (planned.run === null) {
        if (planned.reason === null) log.tell({ event: "skip", stage: id, ...count });
        continue;
      }
      log.tell({ event: "stage", stage: id, uses: spec.id, reason: planned.run, ...count });
      write();
      let attempt: Attempt | undefined;
      try {
        attempt = new Attempt(pipeline.name, home, planned, signal, log, gpu, tuning);
        const manifest = await attempt.run();
        status.set(id, { status: "done", seconds: manifest.seconds });
        rows.set(id, manifest.summary);
        log.tell({ event: "done", stage: id, seconds: manifest.seconds });
        await keepTime(root, planned, manifest);
      } catch (error) {
        const stopped = signal.aborted ? "interrupted" : "failed";
        status.set(id, { status: stopped, seconds: attempt?.seconds() ?? 0 });
        const message = stopped === "interrupted"
          ? `Stopped in stage "${id}", hint: the same command goes on from there`
          : describeFailure(error, planned, join(root, pipeline.name), attempt?.resumed ?? false);
        throw new StageError(id, stopped, message, error);
      }
    }
    const summary = write();
    log.tell({ event: "end", status: "done" });
    return summary;
  } catch (thrown) {
    const error = thrown instanceof StageError || !hintOf(thrown) ? thrown : new StageError(
      at,
      "failed",
      `Cannot go on with pipeline "${pipeline.name}" in ${home}: ${explain(thrown)}`,
      thrown,
    );
    const { status, stage = "" } = error instanceof StageError ? error : { status: "failed" as const };
    // The disk may be what failed: the error itself must get through.
    attemptTo(() => write());
    attemptTo(() => log.tell({ event: "end", status, stage, message: messageOf(error) }));
    throw error;
  } finally {
    await gpu.close();
  }
}

/** Words for what `tune` may be beside a file. */
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

/** What took less says nothing about speed. */
const LEAST_SECONDS = 2;

/** Keeps what a stage took, for estimates. */
async function keepTime(root: string, planned: PlannedStage, { adapter, seconds }: Manifest): Promise<void> {
  if (seconds < LEAST_SECONDS) return;
  try {
    keepSpeed(root, adapter, planned.stage.spec.id, { seconds, ...workOf(await stageCosts(planned) ?? {}) });
  } catch { /* the artifact is what counts */ }
}

/** Does what a run begins with; the disk's errors become those of the run. */
function explained<T>({ name }: Pipeline, home: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof RunError) throw error;
    throw new RunError(`Cannot run pipeline "${name}" in ${home}: ${explain(error)}`);
  }
}

async function lockRun(name: string, home: string): Promise<Disposable> {
  let lock: Disposable | undefined;
  try {
    lock = await takeLock(home);
  } catch (error) {
    throw new RunError(`Cannot run pipeline "${name}" as ${home} cannot be written: ${explain(error)}`);
  }
  if (lock) return lock;
  const owner = ownerOf(home);
  throw new RunError(
    `Cannot run pipeline "${name}" as ${
      owner ? `process ${owner.process} (since ${owner.since})` : "another process"
    } is ` +
      `running it in ${home}, hint: wait for it, or give a copy of the file another name`,
  );
}

function describeFailure(error: unknown, { stage }: PlannedStage, home: string, resumed: boolean): string {
  const work = join(home, ".work", stage.id);
  const lines = [`Cannot finish stage "${stage.id}" (${stage.spec.id}): ${explain(error)}`];
  if (error instanceof DeviceLostError) lines.push("hint: the same command goes on from the last checkpoint");
  else if (resumed) lines.push(`hint: it went on from a checkpoint; should that be damaged, remove ${work}`);
  if (exists(join(work, "error.txt"))) lines.push(`trace: ${join(work, "error.txt")}`);
  return lines.join("\n      ");
}

/** What to do about a disk that cannot be written, by the error's code. */
const DISK_HINTS: Readonly<Record<string, string>> = {
  ENOSPC: "free space on that disk; the same command goes on from the last checkpoint",
  EDQUOT: "free space within your quota; the same command goes on from the last checkpoint",
  EROFS: "the disk is mounted read-only; make it writable, or run elsewhere",
  EACCES: "make the folder writable for you, or run elsewhere",
  EPERM: "make the folder writable for you, or run elsewhere",
};

const hintOf = (error: unknown) => DISK_HINTS[(error as { code?: string } | null)?.code ?? ""];

/** An error's message; of a disk that cannot be written also what to do. */
function explain(error: unknown): string {
  const hint = hintOf(error);
  return messageOf(error) + (hint ? `, hint: ${hint}` : "");
}

const messageOf = (error: unknown) => error instanceof Error ? error.message : String(error);

/** Does what is of no more use if it fails. */
function attemptTo(act: () => void): void {
  try {
    act();
  } catch { /* something else went wrong before, which is told */ }
}

/** A killed run forgets no more of its time and progress than this. */
const noteEverySeconds = 1;

/** What is kept of a stage on its way, `.work/<stage>/attempt.json`. */
export interface AttemptNote {
  /** Key of the stage, so that a later attempt knows whether it may go on. */
  readonly key: string;
  /** Time of all attempts together. */
  readonly seconds: number;
  /** How far it is, as last told. */
  readonly progress?: { readonly done: number; readonly total: number; readonly fields: Row };
}

/** One try at a stage, from its context to its folder. */
class Attempt {
  readonly #started = performance.now();
  readonly #work: string;
  readonly #draft: string;
  readonly #earlier: number;
  /** Whether an attempt before left something to go on from. */
  readonly resumed: boolean;
  #noted = 0;
  #progress: AttemptNote["progress"];
  readonly #summary: Row[] = [];
  readonly #log: string[] = [];
  #adapter: string | null = null;
  #memory: Device["memory"] | undefined;
  /** Whether it begins with what an attempt before left. */
  readonly #goesOn: boolean;
  #device: Promise<Device> | undefined;
  #choices = new KnownChoices({});
  #metrics: Deno.FsFile | undefined;

  constructor(
    private readonly pipeline: string,
    private readonly home: string,
    private readonly state: PlannedStage,
    private readonly signal: AbortSignal,
    private readonly log: RunLog,
    private readonly gpu: SharedDevice,
    private readonly tuning: { readonly root: string; readonly mode: string },
  ) {
    const { stage, key } = state;
    this.#draft = draftOf(home, stage.id);
    this.#work = join(home, ".work", stage.id);
    const before = readJson<AttemptNote>(join(this.#work, "attempt.json"));
    this.resumed = before?.key === key;
    // Checkpoints of other options or inputs are of no use.
    if (!this.resumed) removeIfThere(this.#work);
    this.#earlier = this.resumed ? before!.seconds : 0;
    const files = join(this.#work, "files");
    Deno.mkdirSync(files, { recursive: true });
    this.#goesOn = [...Deno.readDirSync(files)].length > 0;
    this.#note();
    removeIfThere(this.#draft);
    Deno.mkdirSync(this.#draft);
  }

  /** Time spent on the stage, with earlier attempts. */
  seconds(): number {
    return Math.round(this.#earlier * 1000 + performance.now() - this.#started) / 1000;
  }

  async run(): Promise<Manifest> {
    const { stage, dir } = this.state;
    try {
      this.signal.throwIfAborted();
      const made = new Map(stage.needs.map((id): [string, Artifact] => [id, { dir: join(this.home, id), stage: id }]));
      await stage.spec.run(this.#context(), inputsOf(stage, made), stage.options as never);
      this.signal.throwIfAborted();
      this.#closeMetrics();
      const metrics = join(this.#work, "metrics.jsonl");
      if (exists(metrics)) Deno.copyFileSync(metrics, join(this.#draft, "metrics.jsonl"));
      const manifest = this.#manifest();
      writeWhole(join(this.#draft, "manifest.json"), JSON.stringify(manifest, null, 2) + "\n");
      replaceFolder(this.#draft, resolve(dir));
      removeIfThere(this.#work);
      return manifest;
    } catch (error) {
      // First what takes space, as that may be what lacks.
      attemptTo(() => removeIfThere(this.#draft));
      attemptTo(() => this.#note());
      if (!this.signal.aborted) {
        const trace = error instanceof Error ? error.stack ?? error.message : String(error);
        attemptTo(() => writeWhole(join(this.#work, "error.txt"), `${trace}\n`));
      }
      throw error;
    } finally {
      this.#closeMetrics();
    }
  }

  #context(): StageContext {
    const { stage, recipe } = this.state;
    return {
      id: stage.id,
      pipeline: this.pipeline,
      dir: this.#draft,
      work: join(this.#work, "files"),
      seed: recipe.seed,
      signal: this.signal,
      device: () => this.#device ??= this.#openDevice(),
      progress: (done, total, told = {}) => {
        const fields = { ...told, ...(this.#memory && { gpu_bytes: this.#memory.live }) };
        this.#progress = { done, total, fields };
        this.log.tell({ event: "progress", stage: stage.id, done, total, fields });
        if (this.seconds() - this.#noted > noteEverySeconds) this.#note();
      },
      metric: (record) => {
        this.#metrics ??= this.#openMetrics(-Infinity);
        this.#metrics.writeSync(new TextEncoder().encode(JSON.stringify(record) + "\n"));
      },
      resumeMetrics: (step) => {
        this.#closeMetrics();
        this.#metrics = this.#openMetrics(step);
        this.#note();
      },
      log: (line) => this.#tell(line),
      summary: (record) => void this.#summary.push({ ...record }),
    };
  }

  #tell(line: string): void {
    this.#log.push(line);
    this.log.tell({ event: "log", stage: this.state.stage.id, text: line });
  }

  /** The GPU, with the kernels that the stage is to run. */
  async #openDevice(): Promise<Device> {
    const device = await this.gpu.open();
    this.#adapter = device.name;
    this.#memory = device.memory;
    const path = join(this.#work, "tuned.json");
    let tuned: TunedKernels = {};
    if (this.#goesOn) {
      // Another kernel may add up in another order: what goes on must end as if it had not been stopped.
      tuned = readIfUsable(path, device.name, (why) => this.#tell(`${why}; the ops' own kernels are used`));
    } else if (this.tuning.mode !== "off") {
      tuned = await this.#tuned(device);
      writeTuned(path, device.name, tuned);
    }
    this.#choices = new KnownChoices(tuned);
    return { ...device, choices: this.#choices };
  }

  async #tuned(device: Device): Promise<TunedKernels> {
    const { root, mode } = this.tuning;
    if (mode !== "cached" && mode !== "measure") return readTuned(mode, device.name);
    const path = tuningFile(root, device.name);
    const note = (line: string) => this.#tell(line);
    if (mode === "cached") {
      return readIfUsable(path, device.name, (why) => note(`${why}, hint: deno task tune writes it anew`));
    }
    const kernels = mostOf(tunables(await workOfStage(() => stageCosts(this.state)), device), TUNED_PART);
    let measured = 0;
    for await (const { known } of tuneAll(device, kernels, { path, signal: this.signal, note })) if (!known) measured++;
    if (measured) note(`tuned ${measured} kernels`);
    return readTuned(path, device.name);
  }

  #manifest(): Manifest {
    const { stage, key, recipe } = this.state;
    const { used } = this.#choices;
    return {
      pipeline: this.pipeline,
      stage: stage.id,
      kind: stage.spec.output,
      key,
      recipe,
      origins: stage.origins,
      adapter: this.#adapter,
      ...(Object.keys(used).length && { tuned: used }),
      deno: Deno.version.deno,
      finished: new Date().toISOString(),
      seconds: this.seconds(),
      output: listFiles(this.#draft),
      summary: this.#summary,
      log: this.#log,
    };
  }

  #note(): void {
    const note: AttemptNote = {
      key: this.state.key,
      seconds: this.seconds(),
      ...(this.#progress && { progress: this.#progress }),
    };
    writeWhole(join(this.#work, "attempt.json"), JSON.stringify(note));
    this.#noted = note.seconds;
  }

  /** Opens the metrics with the whole lines up to a step: a killed run may have left half a line and steps not saved. */
  #openMetrics(step: number): Deno.FsFile {
    const path = join(this.#work, "metrics.jsonl");
    const lines = exists(path) ? Deno.readTextFileSync(path).split("\n").slice(0, -1) : [];
    const kept = lines.filter((line) => stepOf(line) <= step);
    writeWhole(path, kept.map((line) => `${line}\n`).join(""));
    return Deno.openSync(path, { append: true });
  }

  #closeMetrics(): void {
    this.#metrics?.close();
    this.#metrics = undefined;
  }
}

/** The step of a line of metrics; of a line that is broken, one that no run reaches. */
function stepOf(line: string): number {
  try {
    return Number(JSON.parse(line).step);
  } catch {
    return Infinity;
  }
}

/** The GPU of a run, opened at most once. */
interface SharedDevice {
  open(): Promise<Device>;
  close(): Promise<void>;
}

function sharedDevice(openDevice: () => Promise<Device>): SharedDevice {
  let device: Promise<Device> | undefined;
  return {
    open: () => device ??= openDevice(),
    close: async () => (await device?.catch(() => undefined))?.destroy(),
  };
}

/** Ends a replacement that was cut off between its two renames. */
function recover(pipeline: Pipeline, home: string): void {
  for (const { id } of pipeline.stages) {
    const [draft, dir] = [draftOf(home, id), join(home, id)];
    if (readManifest(draft)) {
      replaceFolder(draft, dir);
      removeIfThere(join(home, ".work", id));
    }
    removeIfThere(draft);
    removeIfThere(`${draft}.old`);
  }
}

const draftOf = (home: string, id: string) => join(home, `.${id}.tmp`);
