/**
 * The jobs of a pipeline: what processes on several GPUs or machines have to do, and what has to be done before.
 *
 * @module
 */
import { RunError } from "../run/costs.ts";
import type { PlannedStage } from "../run/run.ts";
import type { Task } from "../run/task_files.ts";

/** Tasks that may be done at the same time. */
export interface Job {
  /** Name of the stage in the file; with `.parts` for the parts of its work. */
  readonly name: string;
  /** Its tasks: a stage, the variants of one with a matrix, or parts of these. */
  readonly tasks: readonly Task[];
  /** Names of the jobs that must be done before. */
  readonly needs: readonly string[];
}

/** The most tasks of a job: Slurm's own limit of an array, unless it is configured otherwise. */
const MOST_TASKS = 1000;

/**
 * Divides the stages that a plan makes into jobs, each after those that it needs.
 *
 * A stage whose work can be divided has a job for its parts, and one that puts them together.
 *
 * @param shards Number of parts.
 * @throws {RunError} If a job would have more tasks than Slurm takes.
 */
export function jobsOf(plan: readonly PlannedStage[], shards: number): Job[] {
  const groups = Map.groupBy(plan.filter(({ run }) => run !== null), ({ stage }) => stage.of);
  const nameOf = new Map([...groups].flatMap(([of, variants]) => variants.map(({ stage }) => [stage.id, of])));
  const jobs = [...groups].flatMap(([of, variants]): Job[] => {
    const needs = [...new Set(variants.flatMap(({ stage }) => stage.needs.flatMap((id) => nameOf.get(id) ?? [])))];
    const whole = variants.map(({ stage }): Task => ({ stage: stage.id }));
    if (shards === 1 || variants.some(({ stage }) => !stage.spec.shard)) return [{ name: of, tasks: whole, needs }];
    const parts = whole.flatMap(({ stage }) =>
      Array.from({ length: shards }, (_, index): Task => ({ stage, shard: { index, count: shards } }))
    );
    return [{ name: `${of}.parts`, tasks: parts, needs }, { name: of, tasks: whole, needs: [`${of}.parts`] }];
  });
  const large = jobs.find(({ tasks }) => tasks.length > MOST_TASKS);
  if (large) {
    throw new RunError(
      `Cannot divide stage "${large.tasks[0]?.stage}" as its job would have ${large.tasks.length} tasks: at most ` +
        `${MOST_TASKS} are allowed, hint: fewer --shards`,
    );
  }
  return jobs;
}
