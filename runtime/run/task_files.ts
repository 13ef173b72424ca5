/**
 * Files of tasks: stages of a pipeline, and parts of stages, that processes of their own make at the same time.
 *
 * In the run's folder, `.tasks/` has two files for each task: `NAME.lock`, see `lock.ts`, and `NAME.json`, see
 * {@linkcode TaskNote}. A task's name is the stage's id, with `.3of8` for a part of it.
 *
 * @module
 */
import { join } from "node:path";
import { readJsonIfUsable } from "../../formats/files.ts";
import type { Shard } from "../stage.ts";
import { type JobProbe, liveOwnerOf, type Owner } from "./lock.ts";

/** A part of a stage in names: its number from 1, such as `3of8`. */
export const shardName = ({ index, count }: Shard): string => `${index + 1}of${count}`;

/** A stage, or a part of it, that a process of its own makes. */
export interface Task {
  /** Id of the stage. */
  readonly stage: string;
  /** The part. */
  readonly shard?: Shard | undefined;
}

/** Outcome of a task, `.tasks/NAME.json`. */
export interface TaskNote {
  /** Key of the stage that it was for. */
  readonly key: string;
  /** `running` while the process lives, and for good if it was killed. */
  readonly status: "running" | "done" | "failed" | "interrupted";
  /** Reason that it did not end well. */
  readonly message?: string;
}

/** Name of a task: its files' names without their endings. */
export function taskName({ stage, shard }: Task): string {
  return shard ? `${stage}.${shardName(shard)}` : stage;
}

/** Folder of the tasks' files. */
export const tasksDir = (home: string): string => join(home, ".tasks");

/** Reads the notes of a task; undefined if it was not begun. */
export function readTask(home: string, name: string): TaskNote | undefined {
  return readJsonIfUsable<TaskNote>(join(tasksDir(home), `${name}.json`));
}

/** Locks of tasks whose processes live, by the tasks' names. */
export async function liveTasks(home: string, isJobAlive?: JobProbe): Promise<Map<string, Owner | null>> {
  const live = new Map<string, Owner | null>();
  for (const name of filesEnding(home, "lock")) {
    const owner = await liveOwnerOf(join(tasksDir(home), `${name}.lock`), isJobAlive);
    if (owner !== undefined) live.set(name, owner);
  }
  return live;
}

/** Names of the tasks that were begun. */
export function taskNames(home: string): string[] {
  return filesEnding(home, "json");
}

/** The part of a task's name that names the part of a stage, such as `3of8`; undefined if it is no part of the stage. */
export function partOf(name: string, stage: string): string | undefined {
  const rest = name.startsWith(`${stage}.`) ? name.slice(stage.length + 1) : "";
  return /^\d+of\d+$/.test(rest) ? rest : undefined;
}

/** Files of the tasks' folder with an ending, without it. */
function filesEnding(home: string, ending: string): string[] {
  try {
    const names = [...Deno.readDirSync(tasksDir(home))].map(({ name }) => name).sort();
    return names.filter((name) => !name.startsWith(".") && name.endsWith(`.${ending}`))
      .map((name) => name.slice(0, -ending.length - 1));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
