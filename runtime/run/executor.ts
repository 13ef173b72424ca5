/**
 * Makes stages, and parts of stages, in the calling thread: each stage into a folder that appears when it is whole.
 *
 * @module
 */
import { join, resolve } from "node:path";
import type { Device } from "../../engine/device.ts";
import { InputError } from "../../formats/input_error.ts";
import { exists, removeIfExists, writeAtomic } from "../../formats/files.ts";
import { inputsOf, type Row, type Shard, type StageContext } from "../stage.ts";
import { Attempt } from "./attempt.ts";
import { listFiles, type Manifest } from "./cache.ts";
import { replaceFolder, tempDirOf } from "./folder.ts";
import { noteOf, type ShardExecutor, type StageExecutor, type StageJob, StageRunError } from "./job.ts";
import { bestEffort } from "./outcome.ts";
import type { RunEvent } from "./progress.ts";

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

/** Files of the notes about parts of a stage. */
function partNotes(home: string, id: string): string[] {
  const dir = join(home, ".work", id);
  const names = exists(dir) ? [...Deno.readDirSync(dir)].map(({ name }) => name) : [];
  return names.filter((name) => /^\d+of\d+\.json$/.test(name)).map((name) => join(dir, name));
}

/** One attempt at a stage, from its context to its folder. */
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
      // Files are removed before notes are written, as the disk may be full.
      bestEffort(() => removeIfExists(this.#draft));
      bestEffort(() => this.note());
      const path = join(this.work, "error.txt");
      bestEffort(() => removeIfExists(path));
      // A mistake of the user needs no trace.
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

/** One attempt at a part of a stage, see {@linkcode Stage.shard}. The stage's folder of work is there and of its key. */
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
