/**
 * The command `export`: a detector for other programs.
 *
 * @module
 */

import { detectorOnnx, readDetector } from "../models/detectors/detector.ts";
import { STAR_300W } from "../models/detectors/star.ts";
import { saveStarCheckpoint } from "../models/io/star_checkpoint.ts";
import { parse, UsageError } from "./main.ts";
import { exists } from "../formats/files.ts";

/**
 * Writes a detector, `--detector DIR`, in another format to `--out`, a file or folder that must not be there:
 *
 * - `--format onnx`: a file, for one image at a time;
 * - `--format star`: a folder with `model/train.pkl`, a checkpoint of the original STAR code. That code builds the
 *   network of 256 pixels and 256 channels unless it is changed: `published` says whether this is one.
 *
 * @returns The exit code.
 * @throws {UsageError} If an argument is wrong, the detector cannot be read or the file is there already.
 */
export async function exportDetector(args: string[], print: (line: string) => void): Promise<number> {
  const options = { detector: { type: "string" }, format: { type: "string" }, out: { type: "string" } } as const;
  const { values: { detector, format, out } } = parse({ args, options });
  if (!detector || !out) throw new UsageError("Cannot export without --detector and --out");
  if (format !== "onnx" && format !== "star") {
    throw new UsageError(`Cannot set --format to "${format ?? ""}": it is onnx or star`);
  }
  if (exists(out)) throw new UsageError(`Cannot export to ${out}: it is there already`);
  try {
    const { config, tensors } = await readDetector(detector);
    if (format === "star") {
      const file = await saveStarCheckpoint(out, config, tensors);
      const { size_px, stacks, channels } = config;
      const { width, nstack, nlevels, in_channel } = STAR_300W;
      const published = size_px === width && stacks === nstack && config.depth === nlevels && channels === in_channel;
      print(JSON.stringify({ file, size_px, stacks, channels, published }));
    } else {
      const model = detectorOnnx(config, tensors);
      await Deno.writeFile(out, model, { createNew: true });
      print(JSON.stringify({ file: out, bytes: model.length, size_px: config.size_px }));
    }
    return 0;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new UsageError(error.message);
    throw error;
  }
}
