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
import { type Artifact, inputsOf, type Row, type StageContext } from "../stage.ts";
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
export function localExecutor(open: () => Promise<Device>): { make: StageExecutor; close(): Promise<void> } {
  let device: Promise<Device> | undefined;
  return {
    async make(job, signal, emit) {
      let run: StageRun | undefined;
      try {
        run = new StageRun(job, signal, emit, () => device ??= open());
        return await run.run();
      } catch (error) {
        throw new StageRunError(error, run?.resumed ?? false, run?.seconds() ?? 0);
      }
    },
    close: async () => (await device?.catch(() => undefined))?.destroy(),
  };
}

/** One try at a stage, from its context to its folder. */
class StageRun {
  readonly #started = performance.now();
  readonly #work: string;
  readonly #draft: string;
  readonly #earlier: number;
  /** True if an earlier attempt left something to go on from. */
  readonly resumed: boolean;
  #noted = 0;
  #progress: StageRunNote["progress"];
  readonly #summary: Row[] = [];
  readonly #log: string[] = [];
  #adapter: string | null = null;
  #memory: Device["memory"] | undefined;
  /** True if it begins with files of an earlier attempt. */
  readonly #resumes: boolean;
  #device: Promise<Device> | undefined;
  #selector = new TunedSelector({});
  #metrics: Deno.FsFile | undefined;

  constructor(
    private readonly job: StageJob,
    private readonly signal: AbortSignal,
    private readonly emit: (event: RunEvent) => void,
    private readonly open: () => Promise<Device>,
  ) {
    const { home, state: { stage, key } } = job;
    this.#draft = tempDirOf(home, stage.id);
    this.#work = join(home, ".work", stage.id);
    const before = readJson<StageRunNote>(join(this.#work, "attempt.json"));
    const earlier = before?.key === key ? before : undefined;
    this.resumed = earlier !== undefined;
    // Checkpoints of other options or inputs are of no use.
    if (!this.resumed) removeIfExists(this.#work);
    this.#earlier = earlier?.seconds ?? 0;
    const files = join(this.#work, "files");
    Deno.mkdirSync(files, { recursive: true });
    this.#resumes = [...Deno.readDirSync(files)].length > 0;
    this.#note();
    removeIfExists(this.#draft);
    Deno.mkdirSync(this.#draft);
  }

  /** Time spent on the stage, with earlier attempts. */
  seconds(): number {
    return Math.round(this.#earlier * 1000 + performance.now() - this.#started) / 1000;
  }

  async run(): Promise<Manifest> {
    const { stage, dir } = this.job.state;
    try {
      this.signal.throwIfAborted();
      await stage.spec.run(this.#context(), inputsOf(stage, this.#made()), stage.options);
      this.signal.throwIfAborted();
      this.#closeMetrics();
      const metrics = join(this.#work, "metrics.jsonl");
      if (exists(metrics)) Deno.copyFileSync(metrics, join(this.#draft, "metrics.jsonl"));
      const manifest = this.#manifest();
      writeAtomic(join(this.#draft, "manifest.json"), JSON.stringify(manifest, null, 2) + "\n");
      replaceFolder(this.#draft, resolve(dir));
      removeIfExists(this.#work);
      return manifest;
    } catch (error) {
      // First what takes space, as that may be what lacks.
      bestEffort(() => removeIfExists(this.#draft));
      bestEffort(() => this.#note());
      const path = join(this.#work, "error.txt");
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

  /** The artifacts that the stage needs. */
  #made(): Map<string, Artifact> {
    const { home, state: { stage } } = this.job;
    return new Map(stage.needs.map((id) => [id, { dir: join(home, id), stage: id }]));
  }

  #context(): StageContext {
    const { pipeline, state: { stage, recipe } } = this.job;
    return {
      id: stage.id,
      pipeline,
      dir: this.#draft,
      work: join(this.#work, "files"),
      seed: recipe.seed,
      signal: this.signal,
      device: () => this.#device ??= this.#openDevice(),
      progress: (done, total, told = {}) => {
        const fields = { ...told, ...(this.#memory && { gpu_bytes: this.#memory.live }) };
        this.#progress = { done, total, fields };
        this.emit({ event: "progress", stage: stage.id, done, total, fields });
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
      log: (line) => this.#say(line),
      summary: (record) => void this.#summary.push({ ...record }),
    };
  }

  #say(line: string): void {
    this.#log.push(line);
    this.emit({ event: "log", stage: this.job.state.stage.id, text: line });
  }

  /** The GPU, with the kernels that the stage is to run. */
  async #openDevice(): Promise<Device> {
    const device = await this.open();
    this.#adapter = device.name;
    this.#memory = device.memory;
    const path = join(this.#work, "tuned.json");
    let tuned: TunedKernels = {};
    if (this.#resumes) {
      // Another kernel may add up in another order: what goes on must end as if it had not been stopped.
      tuned = readIfUsable(path, device.name, (why) => this.#say(`${why}; the ops' own kernels are used`));
    } else if (this.job.tuning.mode !== "off") {
      tuned = await this.#tuned(device);
      writeTuned(path, device.name, tuned);
    }
    this.#selector = new TunedSelector(tuned);
    return { ...device, selector: this.#selector };
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
      tunables(await workOfStage((onPlan) => stageCosts({ stage, artifacts: this.#made() }, onPlan)), device),
      TUNED_PART,
    );
    let measured = 0;
    for await (const { known } of tuneAll(device, kernels, { path, signal: this.signal, note })) if (!known) measured++;
    if (measured) note(`tuned ${measured} kernels`);
    return readTuned(path, device.name);
  }

  #manifest(): Manifest {
    const { pipeline, state: { stage, key, recipe } } = this.job;
    const { used } = this.#selector;
    return {
      pipeline,
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
    const note: StageRunNote = {
      key: this.job.state.key,
      seconds: this.seconds(),
      ...(this.#progress && { progress: this.#progress }),
    };
    writeAtomic(join(this.#work, "attempt.json"), JSON.stringify(note));
    this.#noted = note.seconds;
  }

  /** Opens the metrics with the whole lines up to a step: a killed run may have left half a line and steps not saved. */
  #openMetrics(step: number): Deno.FsFile {
    const path = join(this.#work, "metrics.jsonl");
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
