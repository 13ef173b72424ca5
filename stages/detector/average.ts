/**
 * Averages the weights of detectors.
 *
 * @module
 */

import { z } from "zod";
import { readDetector, saveDetector } from "../../models/detectors/detector.ts";
import type { HostTensors } from "../../models/io/params.ts";
import { stage } from "../../runtime/stage.ts";
import { ifKnown, weightsConflict } from "../lib/checks.ts";
import { detectorOf } from "../lib/artifacts.ts";
import { itemAt, lookUp } from "../../engine/lookup.ts";

/** `detector/average`: one detector, which takes no longer than each of them. */
export const averageDetectors = stage({
  id: "detector/average",
  doc: "Averages the weights of detectors that were trained from the same one (model soup, arXiv 2203.05482).",
  version: 1,
  inputs: { "detectors*": "detector" },
  output: "detector",
  options: z.object({
    weights: z.array(z.number().min(0)).optional().describe(
      "Weight of each detector, in any unit; by default equal. With the start of the trainings among the detectors, less " +
        "of it is forgotten (Wortsman et al. 2022, arXiv 2109.01903)",
    ),
  }),
  async check({ weights }, { detectors }) {
    const all = await Promise.all(detectors.map(async (one) => {
      const config = await ifKnown(() => detectorOf(one));
      return config && { stage: one.stage, config: JSON.stringify(config) };
    }));
    const [first, ...others] = all.filter((one) => one !== undefined);
    const other = first && others.find(({ config }) => config !== first.config);
    return [
      weightsConflict("weights", weights, detectors.length, "detectors"),
      other && {
        input: "detectors",
        reason: `"${first.stage}" and "${other.stage}" are not of the same network`,
      },
    ];
  },
  describeOutput: async (_options, { detectors }) => ({
    detector: await detectorOf(itemAt(detectors, 0, "detectors")),
  }),
  async run(ctx, { detectors }, { weights = detectors.map(() => 1) }) {
    const total = weights.reduce((a, b) => a + b, 0);
    const parts = await Promise.all(detectors.map(async ({ dir, stage }, k) => {
      return { stage, weight: itemAt(weights, k, "weights"), ...await readDetector(dir) };
    }));
    const first = itemAt(parts, 0, "detectors");
    const tensors: HostTensors = new Map();
    for (const [name, { shape, data: { length } }] of first.tensors) {
      const all = parts.map(({ weight, tensors }) => ({ weight, data: lookUp(tensors, name, "parameters").data }));
      const mean = (_: unknown, i: number) => all.reduce((sum, { weight, data }) => sum + data[i]! * weight, 0) / total;
      tensors.set(name, { shape, data: Float32Array.from({ length }, mean) });
    }
    await saveDetector(ctx.dir, first.config, tensors);
    const shares = parts.map(({ stage, weight }) => `${Number((100 * weight / total).toPrecision(3))} % ${stage}`);
    ctx.log(shares.join(", "));
  },
});
