/**
 * The arguments of commands about a pipeline.
 *
 * @module
 */
import { Command, Option } from "@commander-js/extra-typings";
import { type Pipeline, readPipeline } from "../runtime/pipeline/file.ts";
import { collect, type Context } from "./command.ts";

/** `--set`, for values of parameters. */
export const setOption = () =>
  new Option("--set <KEY=VALUE>", "value of a parameter of the pipeline; may be given several times")
    .argParser<string[] | undefined>(collect);

/** A command that takes a pipeline file, values for its parameters and a choice of stages. */
export const pipelineCommand = () =>
  new Command()
    .argument("<FILE>", "pipeline file, such as pipelines/full.yaml")
    .addOption(setOption())
    .addOption(
      new Option("--only <STAGE>", "this stage alone, again if it is done; its inputs must be done").conflicts([
        "from",
        "until",
      ]),
    )
    .option("--from <STAGE>", "this stage and all that depend on it, again if they are done")
    .option("--until <STAGE>", "this stage and all that it needs");

/** Reads the pipeline file; `allowUnset` accepts parameters without a value. */
export function pipelineAt(
  file: string,
  { set = [] }: { readonly set?: readonly string[] | undefined },
  { registry }: Context,
  allowUnset = false,
): Promise<Pipeline> {
  return readPipeline(file, registry, { set, allowUnset });
}

/** The flags for parameters that have no value yet. */
export function missingParameters(unset: Readonly<Record<string, string>>): string {
  return Object.keys(unset).map((name) => ` --set ${name}=…`).join("");
}
