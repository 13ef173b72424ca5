/**
 * The command `graph`.
 *
 * @module
 */
import { drawPipeline } from "../runtime/pipeline/diagram.ts";
import { planRun } from "../runtime/run/run.ts";
import { pipelineAt, pipelineCommand } from "./_pipeline.ts";
import type { Context } from "./command.ts";

/** Declares `graph`. */
export const graph = (context: Context) =>
  pipelineCommand()
    .addHelpText("after", "\nExample:\n  deno task graph pipelines/full.yaml > full.svg")
    .action(async (file, options) => {
      const pipeline = await pipelineAt(file, options, context, { allowUnset: true });
      const planned = planRun(pipeline, "runs", options).filter(({ run }) => run !== null);
      context.print(drawPipeline(pipeline, new Set(planned.map(({ stage }) => stage.id))).trimEnd());
    });
