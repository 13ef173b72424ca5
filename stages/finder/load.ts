/**
 * Brings a face finder from a folder into a pipeline.
 *
 * @module
 */

import { z } from "zod";
import { readFinder, saveFinder } from "../../models/finder/finder.ts";
import { countParameters } from "../../models/io/params.ts";
import { finderSpecs } from "../../models/finder/network.ts";
import { folder, stage } from "../../runtime/stage.ts";
import { NETWORK_FILES } from "../lib/artifacts.ts";
import { formatCount } from "../lib/estimates.ts";

/** `finder/load`: reads the weights and writes a copy, so that wrong ones are found here. */
export const loadFinderStage = stage({
  id: "finder/load",
  doc: "Loads a face finder from a folder with config.json and model.safetensors.",
  version: 1,
  inputs: {},
  output: "finder",
  options: z.object({
    path: folder(z.string(), NETWORK_FILES).describe("The finder's folder, such as models/faces/finder"),
  }),
  async run(ctx, _inputs, { path }) {
    const { config, tensors } = await readFinder(path);
    await saveFinder(ctx.dir, config, tensors);
    ctx.log(`${formatCount(countParameters(finderSpecs(config)))} parameters`);
  },
});
