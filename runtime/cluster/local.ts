/**
 * The jobs of a pipeline as processes on this machine.
 *
 * @module
 */
import { itemAt } from "../../engine/lookup.ts";
import { type Task, taskName } from "../run/task_files.ts";
import type { Job } from "./jobs.ts";

/** A task that was not done. */
export interface FailedTask {
  /** Its name. */
  readonly task: string;
  /** Exit code of its process. */
  readonly code: number;
}

/**
 * Does the tasks of jobs, some at once, each job after those that it needs. When one fails, no other is begun.
 *
 * @param jobs In an order in which each comes after those that it needs.
 * @param processes Number of tasks at once; each has a lane of its own, numbered from 0, such as a GPU.
 * @param start Runs a task in a process; resolves to its exit code.
 * @returns Tasks that were not done.
 */
export async function runJobs(
  jobs: readonly Job[],
  processes: number,
  start: (task: Task, lane: number) => Promise<number>,
): Promise<FailedTask[]> {
  const waiting = new Map(jobs.map((job) => [job.name, [...job.tasks]]));
  const unfinished = new Map(jobs.map((job) => [job.name, job.tasks.length]));
  const lanes = Array.from({ length: processes }, (_, lane) => processes - 1 - lane);
  const going = new Set<Promise<void>>();
  const failed: FailedTask[] = [];
  const next = () =>
    failed.length === 0 && lanes.length > 0
      ? jobs.find(({ name, needs }) => waiting.get(name)?.length && needs.every((need) => !unfinished.get(need)))
      : undefined;
  for (;;) {
    for (let job = next(); job; job = next()) {
      const { name } = job;
      const task = itemAt(waiting.get(name) ?? [], 0, "the tasks of a job");
      waiting.get(name)?.shift();
      const lane = itemAt(lanes, lanes.length - 1, "the lanes");
      lanes.pop();
      const end: Promise<void> = start(task, lane).then((code) => {
        if (code === 0) unfinished.set(name, (unfinished.get(name) ?? 0) - 1);
        else failed.push({ task: taskName(task), code });
      }).finally(() => {
        lanes.push(lane);
        going.delete(end);
      });
      going.add(end);
    }
    if (!going.size) return failed;
    await Promise.race(going);
  }
}
