/**
 * Writes the result of a pipeline as one folder to keep: half the size, and in the layout that other tools read.
 *
 * @module
 */

import { z } from "zod";
import { saveModelIndex } from "../../models/io/pipeline_folder.ts";
import { FILE_METADATA } from "../../models/io/network_folder.ts";
import { openNetworkTensors } from "../../models/io/tensor_files.ts";
import { type TensorSource, writeSafetensors } from "../../formats/safetensors.ts";
import { fileNames, folderNames, makeFolder, readJson } from "../../formats/files.ts";
import { stage } from "../../runtime/stage.ts";
import { networksOf } from "../lib/artifacts.ts";

/** `model/export`: all networks of a model, and optionally a detector. */
export const exportModel = stage({
  id: "model/export",
  doc: "Writes a model and optionally a detector, in f16 or f32 with a model_index.json, for distribution.",
  version: 1,
  inputs: { model: "model", "detector?": "detector" },
  output: "model",
  options: z.object({ dtype: z.enum(["f16", "f32"]).default("f16").describe("Type of the weights in the files") }),
  describeOutput: async (_options, { model }) => ({ networks: await networksOf(model) }),
  async run(ctx, { model, detector }, { dtype }) {
    const type = dtype === "f16" ? "F16" : "F32";
    for (const name of await folderNames(model.dir)) {
      await convert(`${model.dir}/${name}`, `${ctx.dir}/${name}`, type);
    }
    if (detector) await convert(detector.dir, `${ctx.dir}/detector`, type);
    await saveModelIndex(ctx.dir);
  },
});

/** Copies the files of a part; the weights of a network, in however many files, become one of the type wanted. */
async function convert(from: string, to: string, dtype: "F16" | "F32"): Promise<void> {
  await makeFolder(to);
  const copied = new Set<string>();
  for (const name of fileNames(from)) {
    if (!/\.(json|txt)$/.test(name) || /^manifest\.json$|\.index\.json$/.test(name)) continue;
    await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
    copied.add(name);
  }
  // A tokenizer and a schedule have other files, and no weights.
  if (!copied.has("config.json")) return;
  using file = await openNetworkTensors(from);
  const tensors = new Map<string, TensorSource>(
    file.names.map((name) => [name, {
      shape: file.info(name).shape,
      read: async () => (await file.read(name)).data,
    }]),
  );
  const isDiffusers = "_class_name" in await readJson(`${from}/config.json`);
  const weights = isDiffusers ? "diffusion_pytorch_model.safetensors" : "model.safetensors";
  await writeSafetensors(`${to}/${weights}`, tensors, { dtype, metadata: FILE_METADATA });
}
