/**
 * Brings a model from disk into a pipeline.
 *
 * @module
 */

import { z } from "zod";
import { checkWeights, openModel, saveModelIndex } from "../../models/io/pipeline_folder.ts";
import { folder, stage } from "../../runtime/stage.ts";
import { networksOf } from "../lib/artifacts.ts";
import { countNetworks } from "../lib/estimates.ts";
import { copyParts } from "../lib/diffusion.ts";

/** `model/load`: a folder in the layout of diffusers, every tensor of which is read, so that a wrong one is found here. */
export const modelLoad = stage({
  id: "model/load",
  doc: "Loads a latent diffusion model from a folder in the layout of diffusers, with or without a ControlNet.",
  version: 1,
  inputs: {},
  output: "model",
  options: z.object({
    path: folder(z.string()).describe("Folder with vae/, unet/, text_encoder/, tokenizer/ and scheduler/"),
    controlnet: z.boolean().optional().describe(
      "true (the default) loads the ControlNet, if there is one; without one, diffusion/train starts a new one",
    ),
  }),
  describeOutput: async ({ path, controlnet }) => {
    const networks = await networksOf({ dir: path });
    return { networks: controlnet === false ? { ...networks, controlnet: null } : networks };
  },
  cost: async ({ path }) => countNetworks(await networksOf({ dir: path })),
  async run(ctx, _inputs, { path, controlnet = true }) {
    const model = await openModel(path);
    const leave = controlnet ? ["detector"] : ["detector", "controlnet"];
    await checkWeights(model, leave);
    ctx.log(controlnet && model.controlnet ? "a model with a ControlNet" : "a model without a ControlNet");
    await copyParts(path, ctx.dir, leave);
    await saveModelIndex(ctx.dir);
  },
});
