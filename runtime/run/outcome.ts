/**
 * The end of a stage: the report of a failure, and the time that it took.
 *
 * @module
 */
import { join } from "node:path";
import { DeviceLostError } from "../../engine/device.ts";
import { diskHint } from "../../formats/disk_error.ts";
import { exists } from "../../formats/files.ts";
import type { Manifest } from "./cache.ts";
import { stageCosts } from "./costs.ts";
import type { PlannedStage } from "./run.ts";
import { recordTiming, workOf } from "./timings.ts";

/** Shortest time, in seconds, that is recorded: less says nothing about speed. */
const LEAST_SECONDS = 2;

/** Keeps what a stage took, for estimates. */
export async function keepTime(root: string, planned: PlannedStage, { adapter, seconds }: Manifest): Promise<void> {
  if (seconds < LEAST_SECONDS) return;
  try {
    recordTiming(root, adapter, planned.stage.spec.id, { seconds, ...workOf(await stageCosts(planned) ?? {}) });
  } catch { /* the artifact is what counts */ }
}

/** The report of a stage that failed. */
export function describeFailure(error: unknown, { stage }: PlannedStage, home: string, resumed: boolean): string {
  const work = join(home, ".work", stage.id);
  const lines = [`Cannot finish stage "${stage.id}" (${stage.spec.id}): ${explain(error)}`];
  if (error instanceof DeviceLostError) lines.push("hint: the same command continues from the last checkpoint");
  else if (resumed) lines.push(`hint: it went on from a checkpoint; should that be damaged, remove ${work}`);
  if (exists(join(work, "error.txt"))) lines.push(`trace: ${join(work, "error.txt")}`);
  return lines.join("\n      ");
}

/** An error's message; of a disk also what to do. */
export function explain(error: unknown): string {
  const hint = diskHint(error);
  if (hint === undefined) return messageOf(error);
  const full = /free space/.test(hint) ? "; the same command continues from the last checkpoint" : "";
  return `${messageOf(error)}, hint: ${hint}${full}`;
}

/** An error's message. */
export const messageOf = (error: unknown) => error instanceof Error ? error.message : String(error);

/** Runs an action whose failure does not matter. */
export function bestEffort(act: () => void): void {
  try {
    act();
  } catch { /* an earlier error is reported */ }
}
