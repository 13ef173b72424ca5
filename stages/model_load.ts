/**
 * Brings a model from disk into a pipeline.
 *
 * @module
 */

import { z } from "zod";
import { openModel, saveModelIndex } from "../models/checkpoint.ts";
import { folder, stage } from "../runtime/stage.ts";
import { countNetworks, networksOf } from "./_costs.ts";
import { copyParts } from "./_diffusion.ts";

/** `model/load`: a folder in the layout of diffusers. */
export const modelLoad = stage({
  id: "model/load",
  doc: "Takes a latent diffusion model from a folder in the layout of diffusers, with or without a ControlNet.",
  version: 1,
  inputs: {},
  output: "model",
  options: z.object({ path: folder().describe("Folder with vae/, unet/, text_encoder/, tokenizer/ and scheduler/") }),
  expects: async ({ path }) => ({ networks: await networksOf({ dir: path }) }),
  cost: async ({ path }) => countNetworks(await networksOf({ dir: path })),
  async run(ctx, _inputs, { path }) {
    const { controlnet } = await openModel(path);
    ctx.log(controlnet ? "a model with a ControlNet" : "a model without a ControlNet");
    await copyParts(path, ctx.dir, ["detector"]);
    await saveModelIndex(ctx.dir);
  },
});
