/**
 * The command `run`.
 *
 * @module
 */
import { Option } from "@commander-js/extra-typings";
import { resolve } from "node:path";
import { type Adapter, chooseAdapters } from "../engine/adapters.ts";
import { NoAdapterError, openDevice } from "../engine/device.ts";
import { formatTable, jsonReporter, reporterFor } from "../runtime/run/progress.ts";
import { runPipeline } from "../runtime/run/run.ts";
import { pipelineAt, pipelineCommand } from "./_pipeline.ts";
import { deviceLine } from "./_device.ts";
import { type Context, stopSignal } from "./command.ts";
import { printPlan } from "./plan.ts";

/** Declares `run`. */
export const run = (context: Context) =>
  pipelineCommand()
    .addOption(
      new Option(
        "--tune <off|cached|measure|FILE>",
        "kernels to use: off, the defaults; cached, those that deno task tune found; measure, tunes each stage " +
          "first; FILE, those in the manifest.json of a stage",
      ).default("cached"),
    )
    .addOption(
      new Option(
        "--gpu <LIST>",
        "GPU to compute on: its number in deno task doctor --list, or a part of its name; several, with commas between, " +
          "share out the stages that run side by side",
      ),
    )
    .option("--json", "print each event as a JSON line")
    .option("--plan", "print the plan instead, as deno task plan does")
    .addHelpText("after", "\nExample:\n  deno task run pipelines/full.yaml --set size_px=128 --until synthetic")
    .action(async (file, { json, plan, tune, gpu, ...options }) => {
      if (plan) return await printPlan(file, { json, gpu, ...options }, context);
      const { print, output, thread, exits, from } = context;
      const pipeline = await pipelineAt(file, options, context);
      const adapters = await chooseAdapters(gpu?.split(",") ?? pipeline.device);
      const device = await devicesLine(adapters);
      const { signal, release } = stopSignal();
      const reporter = json ? jsonReporter(output) : reporterFor(output);
      try {
        const { results } = await runPipeline(pipeline, {
          ...options,
          tune,
          signal,
          reporter,
          openDevice: () => openDevice({ adapter: adapters[0] }),
          adapters,
          device,
          ...(thread && { thread }),
          ...(exits && { exits }),
        });
        if (json) return;
        if (results.length) print(`\n${formatTable(results)}\n`);
        const reports = pipeline.stages.filter(({ spec }) => spec.output === "report").map(({ id }) => id);
        // The user may be in another folder than the runs.
        const home = from === undefined || resolve(from) === Deno.cwd() ? "runs" : resolve("runs");
        for (const id of reports) print(`report: ${home}/${pipeline.name}/${id}/index.html`);
        print(`summary: ${home}/${pipeline.name}/summary.json`);
      } finally {
        release();
      }
    });

/** Names the devices of a run; a pipeline may need none, so that none is no error here. */
async function devicesLine(adapters: readonly Adapter[]): Promise<string> {
  if (adapters.length > 1) return adapters.map(({ description }) => description).join(", ");
  try {
    return await deviceLine(adapters[0]);
  } catch (error) {
    if (error instanceof NoAdapterError) return `none; ${error.message}`;
    throw error;
  }
}
