/**
 * Jobs of making a stage or a part of it: what an executor gets, keeps notes of and throws.
 *
 * @module
 */
import { join } from "node:path";
import type { TunedKernels } from "../../engine/tuning/tuning_cache.ts";
import type { Row, Shard } from "../stage.ts";
import type { Manifest, StageState } from "./cache.ts";
import type { RunEvent } from "./progress.ts";
import { shardName } from "./task_files.ts";

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
  override readonly name = "StageRunError";

  /** The cause is what was thrown; `resumed` is whether an earlier attempt left a checkpoint. */
  constructor(cause: unknown, readonly resumed: boolean, readonly seconds: number) {
    super("Cannot make a stage", { cause });
  }

  /** An error as one of an attempt, which it may be. */
  static of(error: unknown): StageRunError {
    return error instanceof StageRunError ? error : new StageRunError(error, false, 0);
  }
}

/** File of the notes about a stage, or a part of it. */
export function noteOf(home: string, id: string, shard?: Shard): string {
  return join(home, ".work", id, shard ? `${shardName(shard)}.json` : "attempt.json");
}
