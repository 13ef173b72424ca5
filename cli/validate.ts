/**
 * The command `validate`.
 *
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import { PipelineError } from "../formats/yaml_tree.ts";
import { missingParameters, pipelineAt } from "./_pipeline.ts";
import { type Context, Exit, UsageError } from "./command.ts";

/** Declares `validate`. */
export const validate = (context: Context) =>
  new Command()
    .argument("<FILE|DIR...>", "pipeline files, or folders of them")
    .addHelpText("after", "\nExample:\n  deno task validate pipelines")
    .action(async (paths) => {
      let wrong = 0;
      for (const file of paths.flatMap(pipelineFiles)) {
        try {
          const { stages, unset } = await pipelineAt(file, {}, context, { allowUnset: true, keepOptional: true });
          const missing = missingParameters(unset);
          context.print(`ok ${file}: ${stages.length} stages${missing && `, run with${missing}`}`);
        } catch (error) {
          if (!(error instanceof PipelineError)) throw error;
          context.note(error.message);
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
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new UsageError(`Cannot validate "${path}" as there is no such file or folder`);
  }
  if (!info.isDirectory) return [path];
  const names = [...Deno.readDirSync(path)].map(({ name }) => name).filter((name) => /\.ya?ml$/.test(name)).sort();
  if (!names.length) throw new UsageError(`Cannot validate "${path}" as the folder holds no .yaml file`);
  return names.map((name) => `${path.replace(/\/$/, "")}/${name}`);
}
