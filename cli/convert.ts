/**
 * The command `convert`.
 *
 * @module
 */
import { Command, Option } from "@commander-js/extra-typings";
import { convertCheckpoint, type Converted } from "../models/io/convert.ts";
import { type Context, UsageError } from "./command.ts";

/** Declares `convert`. */
export const convert = ({ print }: Context) =>
  new Command()
    .argument("<IN>", "checkpoint: a file, or a folder in the layout of diffusers")
    .argument("<OUT>", "folder to write, below this one")
    .addOption(
      new Option("--dtype <TYPE>", "element type of the weights").choices(["f16", "f32"]).default("f32" as const),
    )
    .option(
      "--config <FILE>",
      "the network's config.json or the original's YAML file, if the tensors do not determine it",
    )
    .option("--tokenizer <DIR>", "folder of the text encoder's tokenizer, to copy")
    .option("--ema", "take the moving average of the weights")
    .addHelpText("after", "\nExample:\n  deno task convert sd-v1-5.safetensors models/sd15 --dtype f16 --tokenizer DIR")
    .action(async (from, to, { dtype, ...options }) => {
      let converted: Converted;
      try {
        converted = await convertCheckpoint(from, to, { ...options, dtype: dtype === "f16" ? "F16" : "F32" });
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) throw new UsageError(`Cannot convert: ${error.message}`);
        if (error instanceof Deno.errors.NotCapable) {
          throw new UsageError(
            `Cannot write ${to}: the command may write below ${Deno.cwd()} only, hint: move it from there`,
          );
        }
        throw error;
      }
      const { parts, left_out, below } = converted;
      for (const { folder, network, tensors, parameters, note } of parts) {
        print(
          `${folder ? `${to}/${folder}` : to}: ${network}, ${tensors} tensors, ${parameters} parameters${
            note ? `; ${note}` : ""
          }`,
        );
      }
      if (below) print(`weights below "${below}"`);
      if (left_out.length) print(`left out: ${left_out.join(", ")}`);
      if (parts.length > 1 && !await Deno.stat(`${to}/tokenizer`).then(() => true, () => false)) {
        print(`${to} has no tokenizer, which a checkpoint does not hold, hint: add --tokenizer DIR`);
      }
    });
