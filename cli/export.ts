/**
 * The command `export`: a detector for other programs.
 *
 * @module
 */

import { Command, Option } from "@commander-js/extra-typings";
import { exists } from "../formats/files.ts";
import { detectorOnnx, readDetector } from "../models/detectors/detector.ts";
import { STAR_SIZES } from "../models/detectors/registry.ts";
import { saveStarCheckpoint } from "../models/io/star_checkpoint.ts";
import { type Context, UsageError } from "./command.ts";

/**
 * Declares `export`. The original STAR code builds the network of 256 pixels and 256 channels unless it is changed:
 * `published` in the output of `--format star` is whether this is one.
 */
export const exportDetector = ({ print }: Context) =>
  new Command()
    .requiredOption("--detector <DIR>", "folder of a detector")
    .addOption(
      new Option(
        "--format <FORMAT>",
        "onnx: a file, for one image at a time; star: a folder with model/train.pkl, a " +
          "checkpoint of the original STAR code",
      ).choices(["onnx", "star"]).makeOptionMandatory(),
    )
    .requiredOption("--out <PATH>", "file or folder to write, which must not be there")
    .addHelpText("after", "\nExample:\n  deno task export --detector runs/full/detector --format onnx --out face.onnx")
    .action(async ({ detector, format, out }) => {
      if (exists(out)) throw new UsageError(`Cannot export to ${out}: it is there already`);
      try {
        const { config, tensors } = await readDetector(detector);
        if (format === "star") {
          const file = await saveStarCheckpoint(out, config, tensors);
          const { size_px, stacks, channels } = config;
          const { schema: _, ...star } = STAR_SIZES.star;
          const published = (Object.keys(star) as (keyof typeof star)[]).every((key) => config[key] === star[key]);
          print(JSON.stringify({ file, size_px, stacks, channels, published }));
        } else {
          const model = detectorOnnx(config, tensors);
          await Deno.writeFile(out, model, { createNew: true });
          print(JSON.stringify({ file: out, bytes: model.length, size_px: config.size_px }));
        }
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) throw new UsageError(error.message);
        throw error;
      }
    });
