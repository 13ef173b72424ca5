/**
 * Brings a detector from a folder into a pipeline.
 *
 * @module
 */

import { z } from "zod";
import { readDetector, saveDetector } from "../../models/detectors/detector.ts";
import { networkOf } from "../../models/detectors/registry.ts";
import { folder, stage } from "../../runtime/stage.ts";
import { detectorOf } from "../lib/estimates.ts";

/** `detector/load`: reads the folder and writes a copy, so that a wrong one is found here. */
export const loadDetectorStage = stage({
  id: "detector/load",
  doc: "Loads a detector from a folder with config.json and model.safetensors.",
  version: 1,
  inputs: {},
  output: "detector",
  options: z.object({ path: folder(z.string()).describe("The detector's folder") }),
  describeOutput: async ({ path }) => ({ detector: await detectorOf({ dir: path }) }),
  async run(ctx, _inputs, { path }) {
    const { config, tensors } = await readDetector(path);
    await saveDetector(ctx.dir, config, tensors);
    ctx.log(`images of ${config.size_px} pixels, ${networkOf(config).describe(config)}`);
  },
});
