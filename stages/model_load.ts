/**
 * Brings a model from disk into a pipeline.
 *
 * @module
 */

import { z } from "zod";
import { folder, stage } from "../runtime/stage.ts";
import { copyParts, hasPart, MODEL_PARTS } from "./_diffusion.ts";

/** `model/load`: a folder in the layout of diffusers. */
export const loadModel = stage({
  id: "model/load",
  doc: "Takes a latent diffusion model from a folder in the layout of diffusers, with or without a ControlNet.",
  version: 1,
  inputs: {},
  output: "model",
  options: z.object({ path: folder().describe("Folder with vae/, unet/, text_encoder/, tokenizer/ and scheduler/") }),
  async run(ctx, _inputs, { path }) {
    const parts: string[] = [];
    for (const part of MODEL_PARTS) if (await hasPart(path, part)) parts.push(part);
    const missing = MODEL_PARTS.filter((part) => part !== "controlnet" && !parts.includes(part));
    if (missing.length) {
      throw new TypeError(
        `Cannot load a model from ${path} as it lacks ${missing.map((part) => `${part}/`).join(", ")}`,
      );
    }
    await copyParts(path, ctx.dir, parts);
  },
});
