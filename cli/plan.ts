/**
 * The command `plan`.
 *
 * @module
 */
import { type AdapterFacts, adapterMemory, chooseAdapters } from "../engine/adapters.ts";
import { describeAdapter, NoAdapterError } from "../engine/device.ts";
import { formatBytes } from "../formats/numbers.ts";
import { stageCosts } from "../runtime/run/costs.ts";
import { formatSeconds, formatTable } from "../runtime/run/progress.ts";
import { type PlannedStage, planRun, type Selection } from "../runtime/run/run.ts";
import { type Estimate, estimate, formatDuration, readTimings } from "../runtime/run/timings.ts";
import { missingParameters, pipelineAt, pipelineCommand } from "./_pipeline.ts";
import type { Context } from "./command.ts";
import { lookUp } from "../engine/lookup.ts";

/** Declares `plan`. */
export const plan = (context: Context) =>
  pipelineCommand()
    .option("--gpu <LIST>", "GPUs whose memory is compared with what stages take, as those of deno task run")
    .option("--json", "print one JSON object")
    .addHelpText("after", "\nExample:\n  deno task plan pipelines/full.yaml")
    .action((file, options) => printPlan(file, options, context));

/** Options of the command. */
interface PlanOptions extends Selection {
  readonly set?: readonly string[] | undefined;
  readonly gpu?: string | undefined;
  readonly json?: true | undefined;
}

/** Prints the plan of a pipeline: a table, or a JSON object. */
export async function printPlan(file: string, options: PlanOptions, context: Context): Promise<void> {
  const { print } = context;
  const pipeline = await pipelineAt(file, options, context, { allowUnset: true });
  const planned = planRun(pipeline, "runs", options);
  const speeds = readTimings("runs");
  const rows = [], costs = [];
  const needs: Need[] = [];
  const times: { stage: string; time: Estimate | undefined }[] = [];
  for (const state of planned) {
    const { stage, run, reason, manifest } = state;
    const takes = run === null ? {} : await stageCosts(state);
    if (typeof takes?.gpu_bytes === "number") needs.push({ stage: stage.id, bytes: takes.gpu_bytes });
    if (takes === undefined) costs.push({ stage: stage.id, takes: "is known once its inputs are made" });
    else if (Object.keys(takes).length) costs.push({ stage: stage.id, ...takes });
    const time = takes && estimate(stage.spec.id, takes, speeds);
    if (run !== null) times.push({ stage: stage.id, time });
    rows.push({
      stage: stage.id,
      uses: stage.spec.id,
      needs: options.json ? stage.needs.join(" ") || "-" : briefly(stage.needs),
      took: manifest ? formatSeconds(manifest.seconds) : "-",
      takes: run === null ? "-" : time ? formatDuration(time.seconds) + (time.rough ? ", roughly" : "") : "unknown",
      plan: run !== null ? `run: ${run}` : reason === null ? "up to date" : `left out: ${reason}`,
    });
  }
  const each = new Map(times.map(({ stage, time }) => [stage, time?.seconds ?? 0]));
  const seconds = makespan(planned.filter(({ run }) => run !== null), pipeline.jobs, each);
  const unknown = times.flatMap(({ stage, time }) => time ? [] : [stage]);
  const short = await tooLarge(needs, options.gpu?.split(",") ?? pipeline.device);
  if (options.json) {
    print(
      JSON.stringify({ stages: rows, costs, seconds, unknown, adapter: speeds?.adapter ?? null, too_large: short }),
    );
  } else {
    print([rows, costs].filter(({ length }) => length).map(formatTable).join("\n\n"));
    if (times.length) print(`\n${totalTime(seconds, unknown, times.length, speeds?.adapter)}`);
    for (const { stage, bytes, device, memory } of short) {
      print(
        `\nstage "${stage}" takes ${formatBytes(bytes)} on the device, and ${device} has ${formatBytes(memory)}, ` +
          "hint: a smaller batch_size or size_px; memory_limit, where the stage has it",
      );
    }
    if (Object.keys(pipeline.unset).length) print(`\nrun with${missingParameters(pipeline.unset, options.set)}`);
  }
}

/** Memory that a stage takes on the device. */
interface Need {
  readonly stage: string;
  readonly bytes: number;
}

/** The stages that take more memory than a device has; none where that is not known. */
async function tooLarge(needs: readonly Need[], gpus: readonly string[]) {
  if (!needs.length) return [];
  const facts: AdapterFacts[] = gpus.length ? await chooseAdapters(gpus) : await describeAdapter().then(
    (found) => [found],
    (error) => {
      if (error instanceof NoAdapterError) return [];
      throw error;
    },
  );
  const short = [];
  for (const one of facts) {
    const memory = await adapterMemory(one) ?? Infinity;
    for (const need of needs) if (need.bytes > memory) short.push({ ...need, device: one.description, memory });
  }
  return short;
}

/** Seconds of stages that run side by side, each as fast as alone. */
function makespan(planned: readonly PlannedStage[], jobs: number, each: ReadonlyMap<string, number>): number {
  const ends = new Map<string, number>();
  const lanes = new Array<number>(jobs).fill(0);
  for (const { stage: { id, needs } } of planned) {
    const free = Math.min(...lanes);
    const end = Math.max(free, ...needs.map((need) => ends.get(need) ?? 0)) + lookUp(each, id, "times of the stages");
    lanes[lanes.indexOf(free)] = end;
    ends.set(id, end);
  }
  return Math.max(0, ...lanes);
}

/** The time of a run, in a sentence. */
function totalTime(seconds: number, unknown: readonly string[], of: number, adapter: string | undefined): string {
  const hint = "hint: run deno task bench once, or any pipeline";
  if (unknown.length === of) return `time: unknown, ${hint}`;
  const rest = unknown.length ? `, without ${unknown.join(", ")}` : "";
  return `time: ${formatDuration(seconds)}${rest}, by what stages took on ${adapter}`;
}

/** Stages in a few words: those that a matrix made of one count as one. */
function briefly(ids: readonly string[]): string {
  const MOST = 4;
  const names = [...new Set(ids.map((id) => id.replace(/@.*/, "@*")))];
  const more = names.length > MOST ? ` and ${names.length - MOST} more` : "";
  return names.slice(0, MOST).join(" ") + more || "-";
}
