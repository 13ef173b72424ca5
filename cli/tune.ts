/**
 * The command `tune`.
 *
 * @module
 */

import { Command, Option } from "@commander-js/extra-typings";
import type { Device } from "../engine/device.ts";
import { showCandidate } from "../engine/tuning/select.ts";
import { tuningFile } from "../engine/tuning/tuning_cache.ts";
import { pipelineAt, setOption } from "./_pipeline.ts";
import { type Context, Exit, number, stopSignal, UsageError } from "./command.ts";
import { gpuOption, openChosen } from "./_device.ts";
import type { Pipeline } from "../runtime/pipeline/file.ts";
import { planRun } from "../runtime/run/run.ts";
import { RunError, stageCosts } from "../runtime/run/costs.ts";
import {
  mostOf,
  showTunable,
  tunables,
  tuneAll,
  TUNED_PART,
  type TuningResult,
  type Work,
  workOfStage,
} from "../engine/tuning/tune.ts";
import { suggest } from "../formats/yaml_tree.ts";
import { row } from "./bench.ts";
import { measureCeilings } from "../bench/measure.ts";

/** Columns for the name of a kernel. */
const NAME = 64;

/** Declares `tune`: prints a line for each kernel, with its speed before and after. */
export const tune = (context: Context) =>
  new Command()
    .argument("[FILE]", "pipeline file", "pipelines/full.yaml")
    .addOption(setOption())
    .option("--only <STAGE>", "tune the kernels of this stage alone")
    .addOption(
      new Option("--percent <NUMBER>", "tune the kernels that do this percentage of the arithmetic").argParser(
        number("a number over 0, up to 100", (percent) => percent > 0 && percent <= 100),
      ).default(100 * TUNED_PART),
    )
    .addOption(gpuOption())
    .option("--again", "measure again what was measured before")
    .option("--json", "print a JSON line for each kernel")
    .addHelpText("after", "\nExample:\n  deno task tune pipelines/full.yaml --only detector")
    .action((file, options) => tuneFor(file, options, context));

interface TuneOptions {
  readonly set?: readonly string[] | undefined;
  readonly only?: string | undefined;
  readonly percent: number;
  readonly gpu?: string | undefined;
  readonly again?: boolean | undefined;
  readonly json?: true | undefined;
}

async function tuneFor(
  file: string,
  { only, percent, gpu, again = false, json, ...options }: TuneOptions,
  context: Context,
): Promise<void> {
  const pipeline = await pipelineAt(file, options, context, { allowUnset: true });
  const part = percent / 100, report = json ? jsonReport(context) : tableReport(context);
  const work = await workOf(pipeline, only, report.note);
  const device = await openChosen(gpu ?? pipeline.device[0], context);
  const { signal, release } = stopSignal("candidate");
  const path = tuningFile("runs", device.name);
  try {
    const all = tunables(work, device);
    const kernels = mostOf(all, part);
    if (!kernels.length) {
      throw new UsageError(`Cannot tune for ${file} as its stages have no kernel to tune, hint: name another file`);
    }
    const { arithmetic: ceiling } = await measureCeilings(device);
    const total = all.reduce((sum, { work }) => sum + work, 0);
    const kernelsOf = `${kernels.length} of ${all.length} kernels of ${pipeline.file}`;
    report.begin(device, path, ceiling, `${kernelsOf}, which do ${share(part)} of its arithmetic`);
    let [before, after] = [0, 0];
    for await (const result of tuneAll(device, kernels, { path, signal, note: report.note, again })) {
      const { kernel, tuned } = result;
      before += kernel.work / tuned.default_gflops;
      after += kernel.work / tuned.gflops;
      report.kernel(result, kernel.work / total, tuned.gflops / ceiling);
    }
    report.end(`It is kept in ${path}, and saves ${share(1 - after / before)} of the time of these kernels.`);
  } catch (error) {
    if (!signal.aborted) throw error;
    report.note(`Stopped; what was done is kept in ${path}, hint: the same command continues`);
    throw new Exit(130);
  } finally {
    release();
    device.destroy();
  }
}

/** Receives the progress of a tuning. */
interface TuningReport {
  note(line: string): void;
  /** `ceiling` is in GFLOP/s; `summary` says which kernels are tuned. */
  begin(device: Device, path: string, ceiling: number, summary: string): void;
  /** `part` is the kernel's share of all arithmetic, `speed` that of the ceiling. */
  kernel(result: TuningResult, part: number, speed: number): void;
  end(summary: string): void;
}

const share = (n: number) => `${(100 * n).toFixed(0)} %`;

function jsonReport({ print }: Context): TuningReport {
  const line = (value: unknown) => print(JSON.stringify(value));
  return {
    note: (note) => line({ note }),
    begin: ({ name, storage }, file, ceiling) => line({ adapter: name, storage, file, ceiling }),
    kernel: ({ kernel: { key }, known, tuned }, part, share) => line({ kernel: key, part, known, ...tuned, share }),
    end() {},
  };
}

function tableReport({ print }: Context): TuningReport {
  return {
    note: print,
    begin({ name, storage }, _, ceiling, summary) {
      print(`${name}, ${storage} class, ceiling ${ceiling.toFixed(1)} GFLOP/s`);
      print(summary);
      print(row("kernel".padEnd(NAME), ["part", "GFLOP/s", "tuned", "share", "choice"]));
    },
    kernel({ kernel, tuned, known }, part, speed) {
      const speeds = [tuned.default_gflops, tuned.gflops].map((n) => n.toFixed(1));
      const columns = row(showTunable(kernel).padEnd(NAME), [share(part), ...speeds, known ? "-" : share(speed)]);
      print(`${columns}  ${showCandidate(tuned.choice)}${known ? ", as before" : ""}`);
    },
    end: (summary) => print(`\n${summary}`),
  };
}

/** Computations of the stages of a pipeline, done or not. */
async function workOf(pipeline: Pipeline, only: string | undefined, say: Context["print"]): Promise<Work[]> {
  const planned = planRun(pipeline, "runs").filter(({ stage: { id, of } }) =>
    only === undefined || only === id || only === of
  );
  if (!planned.length) {
    const hint = suggest(only!, pipeline.stages.map(({ id }) => id), "its stages");
    throw new UsageError(`Cannot tune for stage "${only}" as ${pipeline.file} has no such stage, hint: ${hint}`);
  }
  const work: Work[] = [];
  for (const state of planned) {
    let known = true;
    try {
      work.push(
        ...await workOfStage(async (onPlan) => {
          const costs = await stageCosts(state, onPlan);
          known = costs !== undefined;
          return costs;
        }),
      );
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      say(error.message);
    }
    if (!known) say(`Stage "${state.stage.id}" is left out: what it computes is known once its inputs are made`);
  }
  return work;
}
