/**
 * Brings a detector from a folder or a checkpoint into a pipeline.
 *
 * @module
 */

import { z } from "zod";
import { removeIfExists } from "../../formats/files.ts";
import { readDetector, saveDetector } from "../../models/detectors/detector.ts";
import { networkOf } from "../../models/detectors/registry.ts";
import { convertCheckpoint } from "../../models/io/convert.ts";
import { detectorConfigIn } from "../../models/io/detector_checkpoint.ts";
import { file, folder, stage } from "../../runtime/stage.ts";
import { detectorOf, NETWORK_FILES } from "../lib/artifacts.ts";

/** `detector/load`: reads the weights and writes a copy, so that wrong ones are found here. */
export const loadDetectorStage = stage({
  id: "detector/load",
  doc: "Loads a detector from a folder with config.json and model.safetensors, or from a checkpoint of STAR.",
  version: 1,
  inputs: {},
  output: "detector",
  options: z.object({
    path: folder(z.string(), NETWORK_FILES).optional().describe("The detector's folder"),
    checkpoint: file(z.string()).optional().describe(
      "In place of path: a checkpoint of the original STAR, a .pkl file",
    ),
  }),
  check: (_options, _inputs, given) => [
    !given.has("path") && !given.has("checkpoint") && { option: "path", reason: "neither it nor checkpoint is given" },
    given.has("path") && given.has("checkpoint") && { option: "checkpoint", reason: "path is given" },
  ],
  async describeOutput({ path, checkpoint }) {
    if (checkpoint !== undefined) return { detector: await detectorConfigIn(checkpoint) };
    return path === undefined ? {} : { detector: await detectorOf({ dir: path }) };
  },
  async run(ctx, _inputs, { path = `${ctx.work}/converted`, checkpoint }) {
    if (checkpoint !== undefined) {
      removeIfExists(path); // of an attempt that was killed
      const { parts: [part] } = await convertCheckpoint(checkpoint, path);
      if (part?.note !== undefined) ctx.log(part.note);
    }
    const { config, tensors } = await readDetector(path);
    await saveDetector(ctx.dir, config, tensors);
    ctx.log(`images of ${config.size_px} pixels, ${networkOf(config).describe(config)}`);
  },
});
