/**
 * Writes the result of a pipeline as one folder to keep: half the size, and in the layout that other tools read.
 *
 * @module
 */

import { z } from "zod";
import { saveModelIndex } from "../models/checkpoint.ts";
import { readSafetensors, type TensorSource, writeSafetensors } from "../runtime/safetensors.ts";
import { stage } from "../runtime/stage.ts";

/** `model/export`: all networks of a model, and a detector beside them. */
export const exportModel = stage({
  id: "model/export",
  doc: "Writes a model, and a detector beside it, in f16 or f32 with a model_index.json, to keep or to give away.",
  version: 1,
  inputs: { model: "model", "detector?": "detector" },
  output: "model",
  options: z.object({ dtype: z.enum(["f16", "f32"]).default("f16").describe("Type of the weights in the files") }),
  async run(ctx, { model, detector }, { dtype }) {
    const type = dtype === "f16" ? "F16" : "F32";
    for await (const { name, isDirectory } of Deno.readDir(model.dir)) {
      if (isDirectory) await convert(`${model.dir}/${name}`, `${ctx.dir}/${name}`, type);
    }
    if (detector) await convert(detector.dir, `${ctx.dir}/detector`, type);
    await saveModelIndex(ctx.dir);
  },
});

/** Copies the files of a network, weights in the type wanted. */
async function convert(from: string, to: string, dtype: "F16" | "F32"): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isFile } of Deno.readDir(from)) {
    if (!isFile || !/\.(safetensors|json|txt)$/.test(name) || name === "manifest.json") continue;
    if (!name.endsWith(".safetensors")) await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
    else {
      using file = await readSafetensors(`${from}/${name}`);
      const tensors = new Map<string, TensorSource>(
        file.names.map((name) => [name, {
          shape: file.info(name).shape,
          read: async () => (await file.read(name)).data,
        }]),
      );
      await writeSafetensors(`${to}/${name}`, tensors, { dtype, metadata: file.metadata });
    }
  }
}
