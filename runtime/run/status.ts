/**
 * The state of a run by its folder, whether the process lives or not. Reads only.
 *
 * @module
 */
import { join } from "node:path";
import type { StageRunNote } from "./job.ts";
import type { Status, Summary } from "./run.ts";
import type { RunEvent } from "./progress.ts";
import { LOG_BYTES, type Owner, ownerOf } from "./folder.ts";
import { ignoreMissing, readJson } from "../../formats/files.ts";
import type { Field } from "../stage.ts";

/** A stage of a run on disk. */
export interface StageProgress {
  /** Its id. */
  readonly stage: string;
  /** Status as in `summary.json`; `running`, or `killed` when its process is gone without a word. */
  readonly status: Status | "running" | "killed";
  /** Time spent on it, in this run or an earlier one. */
  readonly seconds: number;
  /** Progress, while it runs. */
  readonly progress?: StageRunNote["progress"];
}

/** A run on disk. */
export interface RunState {
  /** Name of the pipeline. */
  readonly pipeline: string;
  /** `killed`: the process is gone and had no time to say so. */
  readonly status: "running" | "done" | "failed" | "interrupted" | "killed";
  /** The process that is running; null when there is none, or it is not known yet. */
  readonly owner: Owner | null;
  /** The pipeline's file, as the command named it. */
  readonly file: string | null;
  /** Time of the last event, ISO 8601. */
  readonly updated: string | null;
  /** Reason that it stopped. */
  readonly message: string | null;
  /** Stages, in the order in which they run. */
  readonly stages: readonly StageProgress[];
  /** Results of the stages that are done. */
  readonly results: readonly Readonly<Record<string, Field>>[];
}

/** An event with its time, as it stands in `log.jsonl`. */
export type LoggedEvent = RunEvent & { readonly time: string };

/**
 * Reads the state of a run.
 *
 * @param dir The run's folder, such as `runs/full`.
 * @returns The state; undefined if no run left anything in the folder.
 */
export function readRun(dir: string): RunState | undefined {
  const owner = ownerOf(dir);
  const summary = readJson<Summary>(join(dir, "summary.json"));
  const events = readLog(dir);
  const start = events.findLast((event) => event.event === "run");
  if (!summary || owner === undefined && !start) return undefined;
  const last = events.at(-1);
  const ended = last?.event === "end" ? last : undefined;
  const status = owner !== undefined ? "running" : ended?.status ?? "killed";
  const going = goingOn(events);
  const stages = Object.entries(summary.stages).map(([stage, { status: told, seconds }]): StageProgress => {
    const note = told === "done" || told === "skipped"
      ? undefined
      : readJson<StageRunNote>(join(dir, ".work", stage, "attempt.json"));
    const now = told !== "waiting" || !going.has(stage) ? told : owner !== undefined ? "running" : "killed";
    return {
      stage,
      status: now,
      seconds: note?.seconds ?? seconds,
      ...(note?.progress && { progress: note.progress }),
    };
  });
  return {
    pipeline: summary.pipeline,
    status,
    owner: owner ?? null,
    file: start?.event === "run" ? start.file : null,
    updated: last?.time ?? null,
    message: ended && ended.status !== "done" && owner === undefined ? ended.message : null,
    stages,
    results: summary.results,
  };
}

/** The stages that the last run began and did not end. */
function goingOn(events: readonly LoggedEvent[]): Set<string> {
  const going = new Set<string>();
  for (const event of events) {
    if (event.event === "stage") going.add(event.stage);
    else if (event.event === "done") going.delete(event.stage);
    else if (event.event === "run" || event.event === "end") going.clear();
  }
  return going;
}

/** The last events of a run's log; half lines and broken ones are passed over. */
export function readLog(dir: string): LoggedEvent[] {
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(join(dir, "log.jsonl"));
  } catch (error) {
    ignoreMissing(error);
    return [];
  }
  using _file = file;
  const { size } = file.statSync();
  const bytes = new Uint8Array(Math.min(size, LOG_BYTES));
  file.seekSync(size - bytes.length, Deno.SeekMode.Start);
  let length = 0;
  for (let read; length < bytes.length && (read = file.readSync(bytes.subarray(length))); length += read);
  const lines = new TextDecoder().decode(bytes.subarray(0, length)).split("\n");
  return lines.flatMap((line): LoggedEvent[] => {
    try {
      return [JSON.parse(line)];
    } catch {
      return [];
    }
  });
}
