/**
 * Runs a pipeline: stages that are not up to date, one after the other, each into a folder that appears when it is whole.
 *
 * A run's folder is `runs/<pipeline>/`:
 * - `<stage>/`: the artifact, with `manifest.json` and, if it has any, `metrics.jsonl`;
 * - `.<stage>.tmp/`: the artifact while it is made;
 * - `.work/<stage>/`: checkpoints and metrics of an unfinished stage;
 * - `summary.json`, `pipeline.yaml`: states and results, and the pipeline with everything resolved.
 *
 * @module
 */
import { join, resolve } from "node:path";
import type { Device } from "./device.ts";
import type { Pipeline, PipelineStage } from "./pipeline_file.ts";
import { formatSeconds, type Reporter } from "./progress.ts";
import type { Artifact, Costs, Field, StageContext } from "./stage.ts";
import { folderSize, type Manifest, readManifest, type StageState, stageStates } from "./stage_cache.ts";
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
}

/**
 * What a run would do. Reads only.
 *
 * @throws {RunError} If the selection names a stage that is not there, or one whose inputs are missing.
 */
export function planRun(pipeline: Pipeline, root: string, { only, from, until }: Selection = {}): PlannedStage[] {
  const ids = pipeline.stages.map(({ id }) => id);
  for (const id of [only, from, until]) {
    if (id === undefined || ids.includes(id)) continue;
    const hint = suggest(id, ids, "its stages");
    throw new RunError(`Cannot choose stage "${id}" as ${pipeline.file} has no such stage, hint: ${hint}`);
  }
  const needs = new Map(pipeline.stages.map((stage) => [stage.id, stage.needs]));
  const before = (id: string): Set<string> => new Set([id, ...needs.get(id)!.flatMap((need) => [...before(need)])]);
  const wanted = only !== undefined ? new Set([only]) : until !== undefined ? before(until) : new Set(ids);
  const states = stageStates(pipeline, root);
  const again = (id: string) => id === only || from !== undefined && before(id).has(from);
  const planned = states.map((state) => {
    const { id } = state.stage;
    const run = !wanted.has(id) ? null : again(id) ? state.reason ?? "you asked for it" : state.reason;
    return { ...state, run };
  });
  const missing = only && states.find(({ stage, reason }) => reason !== null && needs.get(only)!.includes(stage.id));
  if (missing) {
    const why = `its input from stage "${missing.stage.id}" is not up to date: ${missing.reason}`;
    throw new RunError(`Cannot run only stage "${only}" as ${why}, hint: use --until ${only}`);
  }
  return planned;
}

/**
 * What a run of a stage takes, as far as its type tells; undefined if that depends on an input that is not there yet.
 */
export async function stageCosts({ stage, dir }: StageState): Promise<Costs | undefined> {
  try {
    return await stage.spec.cost?.(stage.options as never, inputsOf(stage, resolve(dir, ".."))) ?? {};
  } catch (error) {
    ignoreMissing(error);
    return undefined;
  }
}

/** A stage's inputs as its type takes them. */
function inputsOf(stage: PipelineStage, home: string): never {
  const artifact = (id: string): Artifact => ({ dir: join(home, id), stage: id });
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
  planRun(pipeline, root, options);
  using _lock = lockRun(pipeline.name, home);
  // Only now, as the run before may just have ended.
  recover(pipeline, home);
  const plan = planRun(pipeline, root, options);
  writeWhole(join(home, "pipeline.yaml"), pipeline.resolved);

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
  try {
    for (const [index, planned] of plan.entries()) {
      const { stage: { id, spec } } = planned;
      const count = `[${index + 1}/${plan.length}]`;
      if (planned.run === null) {
        if (planned.reason === null) reporter.line(`${count} ${id}: up to date`);
        continue;
      }
      reporter.line(`${count} ${id} (${spec.id}): ${planned.run}`);
      write();
      const attempt = new Attempt(pipeline.name, home, planned, signal, reporter, gpu);
      try {
        const manifest = await attempt.run();
        status.set(id, { status: "done", seconds: manifest.seconds });
        rows.set(id, manifest.summary);
        reporter.line(`      done in ${formatSeconds(manifest.seconds)}`);
      } catch (error) {
        const stopped = signal.aborted ? "interrupted" : "failed";
        status.set(id, { status: stopped, seconds: attempt.seconds() });
        const reason = error instanceof Error ? error.message : String(error);
        const message = stopped === "interrupted"
          ? `Stopped in stage "${id}", hint: the same command goes on from there`
          : `Cannot finish stage "${id}" (${spec.id}): ${reason}\n      trace: ${
            join(root, pipeline.name, ".work", id, "error.txt")
          }`;
        throw new StageError(id, stopped, message, error);
      }
    }
  } finally {
    write();
    await gpu.close();
  }
  return write();
}

/** A killed run forgets no more of its time than this. */
const noteEverySeconds = 15;

/** One try at a stage, from its context to its folder. */
class Attempt {
  readonly #started = performance.now();
  readonly #work: string;
  readonly #draft: string;
  readonly #earlier: number;
  #noted = 0;
  readonly #summary: Row[] = [];
  readonly #log: string[] = [];
  #adapter: string | null = null;
  #metrics: Deno.FsFile | undefined;

  constructor(
    private readonly pipeline: string,
    private readonly home: string,
    private readonly state: PlannedStage,
    private readonly signal: AbortSignal,
    private readonly reporter: Reporter,
    private readonly gpu: SharedDevice,
  ) {
    const { stage, key } = state;
    this.#draft = draftOf(home, stage.id);
    this.#work = join(home, ".work", stage.id);
    const before = readJson<{ key: string; seconds: number }>(join(this.#work, "attempt.json"));
    // Checkpoints of other options or inputs are of no use.
    if (before?.key !== key) removeIfThere(this.#work);
    this.#earlier = before?.key === key ? before.seconds : 0;
    Deno.mkdirSync(join(this.#work, "files"), { recursive: true });
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
      await stage.spec.run(this.#context(), inputsOf(stage, this.home), stage.options as never);
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
      this.#note();
      removeIfThere(this.#draft);
      if (!this.signal.aborted) {
        const trace = error instanceof Error ? error.stack ?? error.message : String(error);
        Deno.writeTextFileSync(join(this.#work, "error.txt"), `${trace}\n`);
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
      device: async () => {
        const device = await this.gpu.open();
        this.#adapter = device.name;
        return device;
      },
      progress: (done, total, fields = {}) => {
        this.reporter.update(stage.id, done, total, fields);
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
      log: (line) => {
        this.#log.push(line);
        this.reporter.line(`      ${line}`);
      },
      summary: (record) => void this.#summary.push({ ...record }),
    };
  }

  #manifest(): Manifest {
    const { stage, key, recipe } = this.state;
    return {
      pipeline: this.pipeline,
      stage: stage.id,
      kind: stage.spec.output,
      key,
      recipe,
      origins: stage.origins,
      adapter: this.#adapter,
      deno: Deno.version.deno,
      finished: new Date().toISOString(),
      seconds: this.seconds(),
      output: folderSize(this.#draft),
      summary: this.#summary,
      log: this.#log,
    };
  }

  /** Keeps key and time, so that a later attempt knows whether it may go on. */
  #note(): void {
    const note = { key: this.state.key, seconds: this.seconds() };
    writeWhole(join(this.#work, "attempt.json"), JSON.stringify(note));
    this.#noted = note.seconds;
  }

  /** Opens the metrics with the whole lines up to a step: a killed run may have left half a line and steps not saved. */
  #openMetrics(step: number): Deno.FsFile {
    const path = join(this.#work, "metrics.jsonl");
    const lines = exists(path) ? Deno.readTextFileSync(path).split("\n").slice(0, -1) : [];
    const kept = lines.filter((line) => JSON.parse(line).step <= step);
    writeWhole(path, kept.map((line) => `${line}\n`).join(""));
    return Deno.openSync(path, { append: true });
  }

  #closeMetrics(): void {
    this.#metrics?.close();
    this.#metrics = undefined;
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

/** Takes the run's lock. The kernel frees it with the process, however that ends, so no lock is ever stale. */
function lockRun(name: string, home: string): Disposable {
  let file: Deno.FsFile;
  try {
    Deno.mkdirSync(home, { recursive: true });
    file = Deno.openSync(join(home, ".lock"), { read: true, write: true, create: true });
  } catch (error) {
    throw new RunError(`Cannot run pipeline "${name}" as ${home} cannot be written: ${(error as Error).message}`);
  }
  if (!file.tryLockSync(true)) {
    file.close();
    const owner = Deno.readTextFileSync(join(home, ".lock")).trim() || "another process";
    throw new RunError(
      `Cannot run pipeline "${name}" as ${owner} is running it in ${home}, hint: wait for it, or give a copy of the ` +
        "file another name",
    );
  }
  file.truncateSync();
  file.writeSync(new TextEncoder().encode(`process ${Deno.pid} (since ${new Date().toISOString()})\n`));
  return { [Symbol.dispose]: () => file.close() };
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

/** Puts a whole folder in the place of another. */
function replaceFolder(from: string, to: string): void {
  const old = `${from}.old`;
  removeIfThere(old);
  if (exists(to)) Deno.renameSync(to, old);
  Deno.renameSync(from, to);
  removeIfThere(old);
}

/** Writes a file that is either the old or the new one at any moment. */
function writeWhole(path: string, text: string): void {
  Deno.writeTextFileSync(`${path}.tmp`, text);
  Deno.renameSync(`${path}.tmp`, path);
}

const draftOf = (home: string, id: string) => join(home, `.${id}.tmp`);

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    ignoreMissing(error);
    return false;
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    ignoreMissing(error);
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(Deno.readTextFileSync(path));
  } catch (error) {
    if (!(error instanceof SyntaxError)) ignoreMissing(error);
    return undefined;
  }
}
