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
import { detectorOf } from "../lib/estimates.ts";

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
    const configs = await Promise.all(detectors.map((one) => ifKnown(() => detectorOf(one))));
    const first = configs.findIndex((config) => config !== undefined);
    const differs = configs.findIndex((config) => config && JSON.stringify(config) !== JSON.stringify(configs[first]));
    return [
      weightsConflict("weights", weights, detectors.length, "detectors"),
      differs >= 0 && {
        input: "detectors",
        reason: `"${detectors[first]!.stage}" and "${detectors[differs]!.stage}" are not of the same network`,
      },
    ];
  },
  describeOutput: async (_options, { detectors }) => ({ detector: await detectorOf(detectors[0]!) }),
  async run(ctx, { detectors }, { weights = detectors.map(() => 1) }) {
    const total = weights.reduce((a, b) => a + b, 0);
    const [first, ...others] = await Promise.all(detectors.map(({ dir }) => readDetector(dir)));
    const { config } = first!;
    const tensors: HostTensors = new Map();
    for (const [name, { shape }] of first!.tensors) {
      const all = [first!, ...others].map(({ tensors }) => tensors.get(name)!.data);
      const data = all[0]!.map((_, i) => all.reduce((sum, values, k) => sum + values[i]! * weights[k]!, 0) / total);
      tensors.set(name, { shape, data });
    }
    await saveDetector(ctx.dir, config, tensors);
    const parts = detectors.map(({ stage }, k) => `${Number((100 * weights[k]! / total).toPrecision(3))} % ${stage}`);
    ctx.log(parts.join(", "));
  },
});
