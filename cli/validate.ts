/**
 * The command `validate`.
 *
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import { readError } from "../formats/disk_error.ts";
import { fileNames, isMissing } from "../formats/files.ts";
import { InputError } from "../formats/input_error.ts";
import { counted } from "../formats/numbers.ts";
import { missingParameters, pipelineAt, setOption } from "./_pipeline.ts";
import { type Context, Exit, UsageError } from "./command.ts";
import { reportOf } from "./_error_report.ts";

/** Declares `validate`. */
export const validate = (context: Context) =>
  new Command()
    .argument("<FILE|DIR...>", "pipeline files, or folders of them")
    .addOption(setOption())
    .option("--json", "print a JSON line for each file")
    .addHelpText("after", "\nExample:\n  deno task validate pipelines")
    .action(async (paths, { set, json }) => {
      const { print, note } = context;
      let wrong = 0;
      for (const file of paths.flatMap(pipelineFiles)) {
        try {
          const { stages, unset } = await pipelineAt(file, { set }, context, { allowUnset: true, keepOptional: true });
          const missing = missingParameters(unset, set);
          if (json) print(JSON.stringify({ file, stages: stages.length, unset: Object.keys(unset) }));
          else print(`ok ${file}: ${counted(stages.length, "stage")}${missing && `, run with${missing}`}`);
        } catch (error) {
          if (!(error instanceof InputError)) throw error;
          note(error.message);
          if (json) print(JSON.stringify({ file, error: reportOf(error) }));
          wrong++;
        }
      }
      if (wrong) throw new Exit(2);
    });

function pipelineFiles(path: string): string[] {
  let info: Deno.FileInfo;
  try {
    info = Deno.statSync(path);
  } catch (error) {
    if (!isMissing(error)) throw readError(error, path);
    throw new UsageError(`Cannot validate "${path}" as there is no such file or folder`);
  }
  if (!info.isDirectory) return [path];
  const names = fileNames(path).filter((name) => /\.ya?ml$/.test(name));
  if (!names.length) throw new UsageError(`Cannot validate "${path}" as the folder holds no .yaml file`);
  return names.map((name) => `${path.replace(/\/$/, "")}/${name}`);
}
