/**
 * The command `export`: a detector, or a finder, for other programs.
 *
 * @module
 */

import { Command, Option } from "@commander-js/extra-typings";
import { exists, writeFile } from "../formats/files.ts";
import { detectorSpecs, readDetector } from "../models/detectors/detector.ts";
import { detectorOnnx } from "../models/detectors/detector_onnx.ts";
import { finderOnnx, readFinder } from "../models/finder/finder.ts";
import { DETECTOR_EXPORTS, exportDetector as exportAs } from "../models/detectors/registry.ts";
import { type Context, UsageError } from "./command.ts";

const formats = { onnx: "a file, for one face of a picture", ...DETECTOR_EXPORTS };

/**
 * Declares `export`. The original STAR code builds the network of 256 pixels and 256 channels unless it is changed:
 * `published` in the output of `--format star` is whether this is one.
 */
export const exportDetector = ({ print }: Context) =>
  new Command()
    .addOption(new Option("--detector <DIR>", "folder of a detector").conflicts("finder"))
    .option("--finder <DIR>", "folder of a face finder, in its place; only as onnx")
    .addOption(
      new Option(
        "--format <FORMAT>",
        Object.entries(formats).map(([name, doc]) => `${name}: ${doc}`).join("; "),
      ).choices(Object.keys(formats)).makeOptionMandatory(),
    )
    .requiredOption("--out <PATH>", "file or folder to write, which must not exist")
    .addHelpText("after", "\nExample:\n  deno task export --detector runs/full/detector --format onnx --out face.onnx")
    .action(async ({ detector, finder, format, out }) => {
      if (exists(out)) throw new UsageError(`Cannot export to ${out}: it is there already`);
      try {
        if (finder !== undefined) {
          if (format !== "onnx") throw new UsageError(`Cannot export a finder as ${format}: it must be onnx`);
          const { config, tensors } = await readFinder(finder);
          const model = finderOnnx(config, tensors);
          await writeFile(out, model);
          print(JSON.stringify({ file: out, bytes: model.length }));
          return;
        }
        if (detector === undefined) {
          throw new UsageError("Cannot export without a model, hint: --detector DIR, or --finder DIR");
        }
        const { config, tensors } = await readDetector(detector);
        if (format !== "onnx") {
          print(JSON.stringify(await exportAs(format, out, config, detectorSpecs(config), tensors)));
        } else {
          const model = detectorOnnx(config, tensors);
          await writeFile(out, model);
          print(JSON.stringify({ file: out, bytes: model.length, size_px: config.size_px }));
        }
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) throw new UsageError(error.message);
        throw error;
      }
    });
