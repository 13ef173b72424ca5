/**
 * The arguments of commands about a pipeline.
 *
 * @module
 */
import { Command, Option } from "@commander-js/extra-typings";
import { type Pipeline, type ReadOptions, readPipeline } from "../runtime/pipeline/file.ts";
import { setFlags } from "../runtime/pipeline/shell.ts";
import { collect, type Context } from "./command.ts";

/** `--set`, for values of parameters. */
export const setOption = () =>
  new Option(
    "--set <KEY=VALUE>",
    "value of a parameter of the pipeline, texts as they are typed; may be given several times",
  )
    .argParser<string[] | undefined>(collect);

/** A command that takes a pipeline file, values for its parameters and a choice of stages. */
export const pipelineCommand = () =>
  new Command()
    .argument("<FILE>", "pipeline file, such as pipelines/full.yaml")
    .addOption(setOption())
    .addOption(
      new Option("--only <STAGE>", "run this stage alone, even if it is up to date; its inputs must exist").conflicts([
        "from",
        "until",
      ]),
    )
    .option("--from <STAGE>", "run this stage and all that depend on it, even if they are up to date")
    .option("--until <STAGE>", "run this stage and all that it needs");

/** Reads the pipeline file; `more` accepts parameters without a value. */
export function pipelineAt(
  file: string,
  { set = [] }: { readonly set?: readonly string[] | undefined },
  { registry, from }: Context,
  more: Pick<ReadOptions, "allowUnset" | "keepOptional"> = {},
): Promise<Pipeline> {
  return readPipeline(file, registry, { set, from, ...more });
}

/** The flags of a command that a hint names: those that the user gave, and parameters that have no value yet. */
export function missingParameters(unset: Readonly<Record<string, string>>, set: readonly string[] = []): string {
  const missing = Object.keys(unset);
  if (!missing.length) return "";
  return setFlags(set) + missing.map((name) => ` --set ${name}=…`).join("");
}
