/**
 * The command `export`: a detector for other programs.
 *
 * @module
 */

import { detectorOnnx, readDetector } from "../models/detector.ts";
import { parse, UsageError } from "../runtime/cli.ts";

/**
 * Writes a detector, `--detector DIR`, in another format, `--format onnx`, to a file, `--out FILE`.
 *
 * @returns The exit code.
 * @throws {UsageError} If an argument is wrong, the detector cannot be read or the file is there already.
 */
export async function exportDetector(args: string[], print: (line: string) => void): Promise<number> {
  const options = { detector: { type: "string" }, format: { type: "string" }, out: { type: "string" } } as const;
  const { values: { detector, format, out } } = parse({ args, options });
  if (!detector || !out) throw new UsageError("Cannot export without --detector and --out");
  if (format !== "onnx") throw new UsageError(`Cannot set --format to "${format ?? ""}": it is onnx`);
  try {
    const { config, tensors } = await readDetector(detector);
    const model = detectorOnnx(config, tensors);
    await Deno.writeFile(out, model, { createNew: true });
    print(JSON.stringify({ file: out, bytes: model.length, size_px: config.size_px }));
    return 0;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) {
      throw new UsageError(`Cannot export to ${out}: it is there already`);
    }
    if (error instanceof TypeError || error instanceof Deno.errors.NotFound) throw new UsageError(error.message);
    throw error;
  }
}
