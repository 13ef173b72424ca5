/**
 * The command `tune`.
 *
 * @module
 */

import { Command, Option } from "@commander-js/extra-typings";
import { showCandidate } from "../engine/tuning/select.ts";
import { tuningFile } from "../engine/tuning/tuning_cache.ts";
import { pipelineAt, setOption } from "./_pipeline.ts";
import { type Context, Exit, number, stopSignal, UsageError } from "./command.ts";
import { gpuOption, openChosen } from "./_device.ts";
import type { Pipeline } from "../runtime/pipeline/file.ts";
import { planRun } from "../runtime/run/run.ts";
import { RunError, stageCosts } from "../runtime/run/costs.ts";
import { mostOf, showTunable, tunables, tuneAll, TUNED_PART, type Work, workOfStage } from "../engine/tuning/tune.ts";
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
  const { print } = context;
  const pipeline = await pipelineAt(file, options, context, { allowUnset: true });
  const part = percent / 100;
  const say = (line: string) => json ? print(JSON.stringify({ note: line })) : print(line);

  const work = await workOf(pipeline, only, say);
  const device = await openChosen(gpu ?? pipeline.device[0], context);
  const { signal, release } = stopSignal("candidate");
  const path = tuningFile("runs", device.name);
  try {
    const all = tunables(work, device);
    const kernels = mostOf(all, part);
    if (!kernels.length) {
      throw new UsageError(`Cannot tune for ${file} as its stages have no kernel to tune, hint: name another file`);
    }
    const { arithmetic } = await measureCeilings(device);
    const total = all.reduce((sum, { work }) => sum + work, 0);
    const share = (n: number) => `${(100 * n).toFixed(0)} %`;
    if (json) print(JSON.stringify({ adapter: device.name, storage: device.storage, file: path, ceiling: arithmetic }));
    else {
      print(`${device.name}, ${device.storage} class, ceiling ${arithmetic.toFixed(1)} GFLOP/s`);
      print(
        `${kernels.length} of ${all.length} kernels of ${pipeline.file}, which do ${share(part)} of its arithmetic`,
      );
      print(row("kernel".padEnd(NAME), ["part", "GFLOP/s", "tuned", "share", "choice"]));
    }
    let [before, after] = [0, 0];
    for await (const { kernel, tuned, known } of tuneAll(device, kernels, { path, signal, note: say, again })) {
      before += kernel.work / tuned.default_gflops;
      after += kernel.work / tuned.gflops;
      const part = kernel.work / total;
      if (json) print(JSON.stringify({ kernel: kernel.key, part, known, ...tuned, share: tuned.gflops / arithmetic }));
      else {
        const speeds = [tuned.default_gflops, tuned.gflops].map((n) => n.toFixed(1));
        const choice = showCandidate(tuned.choice) + (known ? ", as before" : "");
        print(
          row(showTunable(kernel).padEnd(NAME), [
            share(part),
            ...speeds,
            known ? "-" : share(tuned.gflops / arithmetic),
          ]) +
            `  ${choice}`,
        );
      }
    }
    if (!json) print(`\nIt is kept in ${path}, and saves ${share(1 - after / before)} of the time of these kernels.`);
  } catch (error) {
    if (!signal.aborted) throw error;
    say(`Stopped; what was done is kept in ${path}, hint: the same command continues`);
    throw new Exit(130);
  } finally {
    release();
    device.destroy();
  }
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
