/**
 * One try at a stage: its context, its checkpoints and notes, and the folder that appears when it is whole.
 *
 * @module
 */
import { join, resolve } from "node:path";
import {
  readIfUsable,
  readTuned,
  type TunedKernels,
  TunedSelector,
  tuningFile,
  writeTuned,
} from "../../engine/tuning/tuning_cache.ts";
import type { Device } from "../../engine/device.ts";
import { InputError } from "../../formats/input_error.ts";
import { exists, readJson, removeIfExists, writeAtomic } from "../../formats/files.ts";
import type { RunEvent } from "./progress.ts";
import { replaceFolder, tempDirOf } from "./folder.ts";
import { shardName } from "./task_files.ts";
import { type Artifact, inputsOf, type Row, type Shard, type ShardContext, type StageContext } from "../stage.ts";
import { listFiles, type Manifest, type StageState } from "./cache.ts";
import { stageCosts } from "./costs.ts";
import { mostOf, tunables, tuneAll, TUNED_PART, workOfStage } from "../../engine/tuning/tune.ts";

/** A killed run forgets no more of its time and progress than this. */
const noteEverySeconds = 1;

/** State of an unfinished stage, `.work/<stage>/attempt.json`. */
export interface StageRunNote {
  /** Key of the stage, so that a later attempt knows whether it may go on. */
  readonly key: string;
  /** Time of all attempts together. */
  readonly seconds: number;
  /** Progress as last reported. */
  readonly progress?: { readonly done: number; readonly total: number; readonly fields: Row };
  /** The GPU, if it used one. */
  readonly adapter?: string;
  /** Tuned kernels that it ran, if any. */
  readonly tuned?: TunedKernels;
}

/** A stage that is to be made, and where. */
export interface StageJob {
  /** The stage and its state. */
  readonly state: Pick<StageState, "stage" | "key" | "recipe" | "dir">;
  /** Name of the pipeline. */
  readonly pipeline: string;
  /** Folder of the run. */
  readonly home: string;
  /** Folder of all runs, and which kernels to run, see `RunOptions.tune`. */
  readonly tuning: { readonly root: string; readonly mode: string };
}

/** Makes a stage, once or more: each time into a folder that appears when it is whole. */
export type StageExecutor = (
  job: StageJob,
  signal: AbortSignal,
  emit: (event: RunEvent) => void,
) => Promise<Manifest>;

/**
 * Does a part of a stage's work, see {@linkcode Stage.shard}, into the stage's folder of work, which is there and of its
 * key.
 */
export type ShardExecutor = (
  job: StageJob,
  shard: Shard,
  signal: AbortSignal,
  emit: (event: RunEvent) => void,
) => Promise<void>;

/** Error of a stage that was not made, with the time and progress of its attempt. */
export class StageRunError extends Error {
  /** The class. */
  override readonly name = "AttemptError";

  /** The cause is what was thrown; `resumed` is whether an earlier attempt left a checkpoint. */
  constructor(cause: unknown, readonly resumed: boolean, readonly seconds: number) {
    super("Cannot make a stage", { cause });
  }

  /** An error as one of an attempt, which it may be. */
  static of(error: unknown): StageRunError {
    return error instanceof StageRunError ? error : new StageRunError(error, false, 0);
  }
}

/**
 * Creates an executor that runs stages one after the other, in the calling thread.
 *
 * @param open Opens the GPU; called for the first stage that asks for it.
 */
export function localExecutor(
  open: () => Promise<Device>,
): { make: StageExecutor; makeShard: ShardExecutor; close(): Promise<void> } {
  let device: Promise<Device> | undefined;
  const openOnce = () => device ??= open();
  const attempt = async <T>(begin: () => Attempt & { run(): Promise<T> }): Promise<T> => {
    let run: Attempt & { run(): Promise<T> } | undefined;
    try {
      run = begin();
      return await run.run();
    } catch (error) {
      throw new StageRunError(error, run?.resumed ?? false, run?.seconds() ?? 0);
    }
  };
  return {
    make: (job, signal, emit) => attempt(() => new StageRun(job, signal, emit, openOnce)),
    makeShard: (job, shard, signal, emit) => attempt(() => new ShardRun(job, shard, signal, emit, openOnce)),
    close: async () => (await device?.catch(() => undefined))?.destroy(),
  };
}

/** A try at a stage or at a part of it: its time and notes, and the GPU with the kernels that the stage is to run. */
abstract class Attempt {
  readonly #started = performance.now();
  /** Folder of the stage's checkpoints and notes. */
  protected readonly work: string;
  /** Time of earlier attempts, seconds. */
  protected readonly earlier: number;
  /** True if an earlier attempt left something to go on from. */
  readonly resumed: boolean;
  #noted = 0;
  #progress: StageRunNote["progress"];
  /** Lines that the stage printed. */
  protected readonly log: string[] = [];
  /** The GPU's name, once it is open; before that the one of earlier attempts. */
  protected adapter: string | null;
  #memory: Device["memory"] | undefined;
  #device: Promise<Device> | undefined;
  /** Kernels that it was given, and those of them that it ran. */
  protected selector = new TunedSelector({});
  readonly #tunedEarlier: TunedKernels;

  /**
   * @param notes The file of its notes.
   * @param parts Files of the notes of parts of the same work.
   */
  constructor(
    protected readonly job: StageJob,
    protected readonly signal: AbortSignal,
    private readonly emit: (event: RunEvent) => void,
    private readonly open: () => Promise<Device>,
    private readonly notes: string,
    parts: readonly string[] = [],
  ) {
    const { home, state: { stage, key } } = job;
    this.work = join(home, ".work", stage.id);
    const earlier = [notes, ...parts].flatMap((path) => {
      const note = readJson<StageRunNote>(path);
      return note?.key === key ? [{ path, ...note }] : [];
    });
    this.resumed = earlier.some(({ path }) => path === notes);
    this.earlier = earlier.reduce((sum, { seconds }) => sum + seconds, 0);
    const adapters = [...new Set(earlier.flatMap(({ adapter }) => adapter ?? []))];
    this.adapter = adapters[0] ?? null;
    this.#tunedEarlier = Object.assign({}, ...earlier.map(({ tuned }) => tuned));
    if (adapters.length > 1) this.#say(`parts were made on different GPUs: ${adapters.join("; ")}`);
  }

  /** Tuned kernels that this and earlier attempts ran. */
  protected get tuned(): TunedKernels {
    return { ...this.#tunedEarlier, ...this.selector.used };
  }

  /** Time spent, with earlier attempts. */
  seconds(): number {
    return Math.round(this.earlier * 1000 + performance.now() - this.#started) / 1000;
  }

  /** True if the kernels are those that an earlier attempt began with. */
  protected abstract get keepsKernels(): boolean;

  protected shardContext(): ShardContext {
    const { pipeline, state: { stage, recipe } } = this.job;
    return {
      id: stage.id,
      pipeline,
      work: join(this.work, "files"),
      seed: recipe.seed,
      signal: this.signal,
      device: () => this.#device ??= this.#openDevice(),
      progress: (done, total, told = {}) => {
        const fields = { ...told, ...(this.#memory && { gpu_bytes: this.#memory.live }) };
        this.#progress = { done, total, fields };
        this.emit({ event: "progress", stage: stage.id, done, total, fields });
        if (this.seconds() - this.#noted > noteEverySeconds) this.note();
      },
      log: (line) => this.#say(line),
    };
  }

  /** The artifacts that the stage needs. */
  protected inputs(): Map<string, Artifact> {
    const { home, state: { stage } } = this.job;
    return new Map(stage.needs.map((id) => [id, { dir: join(home, id), stage: id }]));
  }

  #say(line: string): void {
    this.log.push(line);
    this.emit({ event: "log", stage: this.job.state.stage.id, text: line });
  }

  /** The GPU, with the kernels that the stage is to run. */
  async #openDevice(): Promise<Device> {
    const device = await this.open();
    this.adapter = device.name;
    this.#memory = device.memory;
    const path = join(this.work, "tuned.json");
    let tuned: TunedKernels = {};
    if (this.keepsKernels) {
      // Another kernel may add up in another order: what goes on must end as if it had not been stopped.
      tuned = readIfUsable(path, device.name, (why) => this.#say(`${why}; the ops' own kernels are used`));
    } else if (this.job.tuning.mode !== "off") {
      tuned = await this.#tuned(device);
      writeTuned(path, device.name, tuned);
    }
    this.selector = new TunedSelector(tuned);
    return { ...device, selector: this.selector };
  }

  async #tuned(device: Device): Promise<TunedKernels> {
    const { tuning: { root, mode }, state: { stage } } = this.job;
    if (mode !== "cached" && mode !== "measure") return readTuned(mode, device.name);
    const path = tuningFile(root, device.name);
    const note = (line: string) => this.#say(line);
    if (mode === "cached") {
      return readIfUsable(path, device.name, (why) => note(`${why}, hint: deno task tune writes it anew`));
    }
    const kernels = mostOf(
      tunables(await workOfStage((onPlan) => stageCosts({ stage, artifacts: this.inputs() }, onPlan)), device),
      TUNED_PART,
    );
    let measured = 0;
    for await (const { known } of tuneAll(device, kernels, { path, signal: this.signal, note })) if (!known) measured++;
    if (measured) note(`tuned ${measured} kernels`);
    return readTuned(path, device.name);
  }

  protected note(): void {
    const note: StageRunNote = {
      key: this.job.state.key,
      seconds: this.seconds(),
      ...(this.#progress && { progress: this.#progress }),
      ...(this.adapter !== null && { adapter: this.adapter }),
      ...(Object.keys(this.tuned).length && { tuned: this.tuned }),
    };
    writeAtomic(this.notes, JSON.stringify(note));
    this.#noted = note.seconds;
  }
}

/** Files of the notes about parts of a stage. */
function partNotes(home: string, id: string): string[] {
  const dir = join(home, ".work", id);
  const names = exists(dir) ? [...Deno.readDirSync(dir)].map(({ name }) => name) : [];
  return names.filter((name) => /^\d+of\d+\.json$/.test(name)).map((name) => join(dir, name));
}

/** File of the notes about a stage, or a part of it. */
export function noteOf(home: string, id: string, shard?: Shard): string {
  return join(home, ".work", id, shard ? `${shardName(shard)}.json` : "attempt.json");
}

/** One try at a stage, from its context to its folder. */
class StageRun extends Attempt {
  readonly #draft: string;
  readonly #summary: Row[] = [];
  protected override readonly keepsKernels: boolean;
  #metrics: Deno.FsFile | undefined;

  constructor(job: StageJob, signal: AbortSignal, emit: (event: RunEvent) => void, open: () => Promise<Device>) {
    super(job, signal, emit, open, noteOf(job.home, job.state.stage.id), partNotes(job.home, job.state.stage.id));
    this.#draft = tempDirOf(job.home, job.state.stage.id);
    // Checkpoints of other options or inputs are of no use.
    if (!this.resumed) removeIfExists(this.work);
    const files = join(this.work, "files");
    Deno.mkdirSync(files, { recursive: true });
    this.keepsKernels = [...Deno.readDirSync(files)].length > 0;
    this.note();
    removeIfExists(this.#draft);
    Deno.mkdirSync(this.#draft);
  }

  async run(): Promise<Manifest> {
    const { stage, dir } = this.job.state;
    try {
      this.signal.throwIfAborted();
      await stage.spec.run(this.#context(), inputsOf(stage, this.inputs()), stage.options);
      this.signal.throwIfAborted();
      this.#closeMetrics();
      const metrics = join(this.work, "metrics.jsonl");
      if (exists(metrics)) Deno.copyFileSync(metrics, join(this.#draft, "metrics.jsonl"));
      const manifest = this.#manifest();
      writeAtomic(join(this.#draft, "manifest.json"), JSON.stringify(manifest, null, 2) + "\n");
      replaceFolder(this.#draft, resolve(dir));
      removeIfExists(this.work);
      return manifest;
    } catch (error) {
      // First what takes space, as that may be what lacks.
      bestEffort(() => removeIfExists(this.#draft));
      bestEffort(() => this.note());
      const path = join(this.work, "error.txt");
      bestEffort(() => removeIfExists(path));
      // The message of a mistake says all; of anything else the trace is kept.
      if (!this.signal.aborted && !(error instanceof InputError)) {
        const trace = error instanceof Error ? error.stack ?? error.message : String(error);
        bestEffort(() => writeAtomic(path, `${trace}\n`));
      }
      throw error;
    } finally {
      this.#closeMetrics();
    }
  }

  #context(): StageContext {
    return {
      ...this.shardContext(),
      dir: this.#draft,
      metric: (record) => {
        this.#metrics ??= this.#openMetrics(-Infinity);
        this.#metrics.writeSync(new TextEncoder().encode(JSON.stringify(record) + "\n"));
      },
      resumeMetrics: (step) => {
        this.#closeMetrics();
        this.#metrics = this.#openMetrics(step);
        this.note();
      },
      summary: (record) => void this.#summary.push({ ...record }),
    };
  }

  #manifest(): Manifest {
    const { pipeline, state: { stage, key, recipe } } = this.job;
    return {
      pipeline,
      stage: stage.id,
      kind: stage.spec.output,
      key,
      recipe,
      origins: stage.origins,
      adapter: this.adapter,
      ...(Object.keys(this.tuned).length && { tuned: this.tuned }),
      deno: Deno.version.deno,
      finished: new Date().toISOString(),
      seconds: this.seconds(),
      output: listFiles(this.#draft),
      summary: this.#summary,
      log: this.log,
    };
  }

  /** Opens the metrics with the whole lines up to a step: a killed run may have left half a line and steps not saved. */
  #openMetrics(step: number): Deno.FsFile {
    const path = join(this.work, "metrics.jsonl");
    const lines = exists(path) ? Deno.readTextFileSync(path).split("\n").slice(0, -1) : [];
    const kept = lines.filter((line) => stepOf(line) <= step);
    writeAtomic(path, kept.map((line) => `${line}\n`).join(""));
    return Deno.openSync(path, { append: true });
  }

  #closeMetrics(): void {
    this.#metrics?.close();
    this.#metrics = undefined;
  }
}

/** One try at a part of a stage, see {@linkcode Stage.shard}. The stage's folder of work is there and of its key. */
class ShardRun extends Attempt {
  readonly #shard: Shard;

  constructor(
    job: StageJob,
    shard: Shard,
    signal: AbortSignal,
    emit: (event: RunEvent) => void,
    open: () => Promise<Device>,
  ) {
    super(job, signal, emit, open, noteOf(job.home, job.state.stage.id, shard));
    this.#shard = shard;
    this.note();
  }

  protected override get keepsKernels(): boolean {
    return exists(join(this.work, "tuned.json"));
  }

  async run(): Promise<void> {
    const { stage } = this.job.state;
    try {
      await stage.spec.shard!(this.shardContext(), inputsOf(stage, this.inputs()), stage.options, this.#shard);
      this.signal.throwIfAborted();
    } finally {
      bestEffort(() => this.note());
    }
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

/** Runs an action whose failure does not matter. */
export function bestEffort(act: () => void): void {
  try {
    act();
  } catch { /* an earlier error is reported */ }
}
