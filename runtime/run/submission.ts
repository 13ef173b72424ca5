/**
 * The record of a pipeline that was divided into jobs, `.tasks/.submission.json` in the run's folder: what `status` reads
 * beside the notes of the tasks.
 *
 * @module
 */
import { join } from "node:path";
import { makeFolderOf, readJsonIfUsable, removeIfExists, writeAtomic } from "../../formats/files.ts";
import type { PlannedStage } from "./run.ts";
import { tasksDir } from "./task_files.ts";

/** A pipeline whose stages are made by processes of their own. */
export interface Submission {
  /** Name of the pipeline. */
  readonly pipeline: string;
  /** The pipeline's file, as the command named it. */
  readonly file: string;
  /** The command that submitted it, without `deno task`. */
  readonly command: string;
  /** Date and time, ISO 8601. */
  readonly submitted: string;
  /** The pipeline's stages in order, with the keys that make them up to date. */
  readonly stages: readonly { readonly id: string; readonly key: string; readonly needs: readonly string[] }[];
  /** Ids of its Slurm jobs, by the names of the jobs. */
  readonly jobs: Readonly<Record<string, string>>;
}

const pathOf = (home: string) => join(tasksDir(home), ".submission.json");

/** The last submission of a run; undefined if there was none since its last whole run. */
export function readSubmission(home: string): Submission | undefined {
  return readJsonIfUsable<Submission>(pathOf(home));
}

/** Records a submission, for which the folder is made. */
export function writeSubmission(home: string, submission: Submission): void {
  makeFolderOf(pathOf(home));
  writeAtomic(pathOf(home), `${JSON.stringify(submission, null, 2)}\n`);
}

/** Forgets the submission of a run. */
export function removeSubmission(home: string): void {
  removeIfExists(pathOf(home));
}

/** The stages of a plan for a record. */
export function stagesOf(plan: readonly PlannedStage[]): Submission["stages"] {
  return plan.map(({ stage: { id, needs }, key }) => ({ id, key, needs }));
}
