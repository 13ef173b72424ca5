/**
 * An attempt at a stage or at a part of it: the context that the stage gets, the time, the notes and the GPU.
 *
 * @module
 */
import { join } from "node:path";
import type { Device } from "../../engine/device.ts";
import { mostOf, tunables, tuneAll, TUNED_PART, workOfStage } from "../../engine/tuning/tune.ts";
import {
  readIfUsable,
  readTuned,
  type TunedKernels,
  TunedSelector,
  tuningFile,
  writeTuned,
} from "../../engine/tuning/tuning_cache.ts";
import { readJsonIfUsable, writeAtomic } from "../../formats/files.ts";
import { counted } from "../../formats/numbers.ts";
import type { Artifact, ShardContext } from "../stage.ts";
import { stageCosts } from "./costs.ts";
import type { StageJob, StageRunNote } from "./job.ts";
import type { RunEvent } from "./progress.ts";

/** Interval of notes: a killed run loses at most the time and progress since the last one. */
const NOTE_EVERY_SECONDS = 1;

/** An attempt at a stage or at a part of it: its time and notes, and the GPU with the kernels that the stage is to run. */
export abstract class Attempt {
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
      const note = readJsonIfUsable<StageRunNote>(path);
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
      progress: (done, total, given = {}) => {
        const fields = { ...given, ...(this.#memory && { gpu_bytes: this.#memory.live }) };
        this.#progress = { done, total, fields };
        this.emit({ event: "progress", stage: stage.id, done, total, fields });
        if (this.seconds() - this.#noted > NOTE_EVERY_SECONDS) this.note();
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
      // Another kernel may sum in another order, and a stage that goes on must end with the same bytes as one that was not stopped.
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
    if (measured) note(`tuned ${counted(measured, "kernel")}`);
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
