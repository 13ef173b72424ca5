/**
 * The state of a run by its folder, whether the process lives or not. Reads only.
 *
 * @module
 */
import { join } from "node:path";
import type { StageRunNote } from "./job.ts";
import type { Status, Summary } from "./run.ts";
import type { RunEvent } from "./progress.ts";
import { LOG_BYTES } from "./folder.ts";
import { type Owner, ownerOf } from "./lock.ts";
import { lookUp } from "../../engine/lookup.ts";
import { ignoreMissing, readingSync, readJsonIfUsable } from "../../formats/files.ts";
import { readManifest } from "./cache.ts";
import { readSubmission, type Submission } from "./submission.ts";
import { partOf, readTask, taskNames, tasksDir } from "./task_files.ts";
import { setFlags, shellWord } from "../pipeline/shell.ts";
import type { Field } from "../stage.ts";

/** A stage of a run on disk. */
export interface StageProgress {
  /** Its id. */
  readonly stage: string;
  /**
   * Status as in `summary.json`; `running`; `killed` when its process ended without a message; `cancelled` when it waits
   * for one that does not come.
   */
  readonly status: Status | "running" | "killed" | "cancelled";
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
  /** The command that goes on with it, behind `deno task`. */
  readonly command: string | null;
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
  const owner = ownerOf(join(dir, ".lock"));
  const submission = owner === undefined ? readSubmission(dir) : undefined;
  if (submission) return submittedRun(dir, submission);
  const summary = readJsonIfUsable<Summary>(join(dir, "summary.json"));
  const events = readLog(dir);
  const start = events.findLast((event) => event.event === "run");
  if (!summary || owner === undefined && !start) return undefined;
  const last = events.at(-1);
  const ended = last?.event === "end" ? last : undefined;
  const status = owner !== undefined ? "running" : ended?.status ?? "killed";
  const going = goingOn(events);
  const stages = Object.entries(summary.stages).map(([stage, { status: noted, seconds }]): StageProgress => {
    const note = noted === "done" || noted === "skipped"
      ? undefined
      : readJsonIfUsable<StageRunNote>(join(dir, ".work", stage, "attempt.json"));
    const now = noted !== "waiting" || !going.has(stage) ? noted : owner !== undefined ? "running" : "killed";
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
    command: start?.event === "run" ? `run ${shellWord(start.file)}${setFlags(start.set)}` : null,
    updated: last?.time ?? null,
    message: ended && ended.status !== "done" && owner === undefined ? ended.message : null,
    stages,
    results: summary.results,
  };
}

/** The state of a pipeline whose stages are made by processes of their own: by their notes and locks. */
function submittedRun(dir: string, { pipeline, file, command, submitted, stages }: Submission): RunState {
  const tasks = new Map(stages.map(({ id, key }) => [id, tasksOf(dir, id, key)]));
  const lost = new Set<string>();
  const progressOf = ({ id, key, needs }: Submission["stages"][number]): StageProgress => {
    const manifest = readManifest(join(dir, id));
    if (manifest?.key === key) return { stage: id, status: "done", seconds: manifest.seconds };
    const { status, seconds, progress } = lookUp(tasks, id, "the tasks");
    const isLost = status === "waiting" && needs.some((need) => lost.has(need));
    if (isLost || ["failed", "killed", "interrupted"].includes(status)) lost.add(id);
    return { stage: id, status: isLost ? "cancelled" : status, seconds, ...(progress && { progress }) };
  };
  const progress = stages.map(progressOf);
  const has = (wanted: StageProgress["status"]) => progress.some(({ status }) => status === wanted);
  const messages = stages.flatMap(({ id }) => lookUp(tasks, id, "the tasks").message ?? []);
  const ended = (["failed", "killed", "interrupted"] as const).find(has);
  return {
    pipeline,
    status: has("running") || !ended ? "running" : ended,
    owner: null,
    file,
    command,
    updated: new Date(Math.max(Date.parse(submitted), ...[...tasks.values()].map(({ noted }) => noted))).toISOString(),
    message: messages[0] ?? null,
    stages: progress,
    results: [],
  };
}

/** The tasks of a stage together. */
interface StageTasks extends Omit<StageProgress, "stage"> {
  /** Time of their newest note by the clock of the file system, milliseconds since 1970; 0 if there is none. */
  readonly noted: number;
  /** Reason that one of them did not end well. */
  readonly message?: string;
}

/** The state of the tasks of a stage together, as far as they are for its key. */
function tasksOf(dir: string, id: string, key: string): StageTasks {
  const names = taskNames(dir).filter((name) => name === id || partOf(name, id));
  const notes = names.flatMap((name) => {
    const note = readTask(dir, name);
    if (note?.key !== key) return [];
    const isAlive = ownerOf(join(tasksDir(dir), `${name}.lock`)) !== undefined;
    return [{ ...note, status: note.status !== "running" ? note.status : isAlive ? "running" : "killed" } as const];
  });
  const files = ["attempt", ...new Set(names.flatMap((name) => partOf(name, id) ?? []))]
    .map((name) => join(dir, ".work", id, `${name}.json`));
  const parts = files.flatMap((path) => readJsonIfUsable<StageRunNote>(path) ?? []).filter((note) => note.key === key);
  const total = (of: (note: StageRunNote) => number) => parts.reduce((sum, note) => sum + of(note), 0);
  const status = (["running", "failed", "killed", "interrupted"] as const).find((wanted) =>
    notes.some((note) => note.status === wanted)
  );
  const message = notes.find((note) => note.message !== undefined)?.message;
  return {
    status: status ?? (notes.length ? "running" : "waiting"),
    seconds: total(({ seconds }) => seconds),
    noted: Math.max(0, ...[...names.map((name) => join(tasksDir(dir), `${name}.json`)), ...files].map(writtenAt)),
    ...(parts.some((note) => note.progress) && {
      progress: { done: total((n) => n.progress?.done ?? 0), total: total((n) => n.progress?.total ?? 0), fields: {} },
    }),
    ...(message !== undefined && { message }),
  };
}

/** Time at which a file was written, milliseconds since 1970; 0 if there is none. */
function writtenAt(path: string): number {
  try {
    return Deno.statSync(path).mtime?.getTime() ?? 0;
  } catch (error) {
    ignoreMissing(error);
    return 0;
  }
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
    file = readingSync(join(dir, "log.jsonl"), () => Deno.openSync(join(dir, "log.jsonl")));
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
