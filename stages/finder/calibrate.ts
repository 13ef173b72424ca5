/**
 * Calibrates the scores of a face finder with a landmark detector.
 *
 * @module
 */

import { z } from "zod";
import { roundTo } from "../../faces/statistics.ts";
import { InputError } from "../../formats/input_error.ts";
import { counted } from "../../formats/numbers.ts";
import { loadDetector } from "../../models/detectors/detector.ts";
import { loadFinder, MIN_SCORE, readFinder, saveFinder } from "../../models/finder/finder.ts";
import { logistic, logitOf } from "../../models/finder/logistic.ts";
import { type Judgement, rateAt, reliability } from "../../models/finder/measure.ts";
import { calibratePair, type PairOutcome, pairScore } from "../../models/finder/pair_score.ts";
import { stage } from "../../runtime/stage.ts";
import { detectorsConflicts, weightsConflict } from "../lib/checks.ts";
import { judgeFaces, loadParts, sceneConflicts, scenes, type SeenFace } from "../lib/scenes.ts";

/** Digits of the calibration in the file. */
const DIGITS = 6;

/**
 * `finder/calibrate`: writes the finder with a calibration for the detector, `with_detector` in its `config.json`, and
 * `results.json` with recall and others a scene by both and by the finder alone, and the shares that are right of scores; each
 * half of the scenes is measured with the calibration of the other half.
 */
export const calibrateFinder = stage({
  id: "finder/calibrate",
  doc:
    "Calibrates the scores of a face finder with a detector, on scenes of faces that neither has seen: things that the " +
    "detector is in doubt about, or that have other features than faces, are less likely faces. The scores hold for this detector; with others the finder's own stay.",
  version: 2,
  inputs: { finder: "finder", detector: "detector", "data*": "dataset" },
  output: "finder",
  options: z.object({
    scenes: z.int().min(1).max(100_000).default(200).describe("Number of scenes"),
    side_px: z.int().min(64).max(4096).default(480).describe("Their side, pixels"),
    empty: z.number().min(0).max(1).default(0.25).describe("Share of the scenes without a face"),
    data_weights: z.array(z.number().min(0)).optional().describe(
      "Weight of each dataset in scenes, in any unit; by default its number of images",
    ),
    least_score: z.number().gt(0).lt(1).default(0.12).describe(
      "Least score of the finder from which the detector looks at a place",
    ),
    dtype: z.enum(["f32", "f16"]).default("f32").describe("Element type of the file"),
  }),
  async check({ data_weights }, { detector, data }) {
    return [
      weightsConflict("data_weights", data_weights, data.length, "datasets"),
      ...await sceneConflicts(data, "data"),
      ...await detectorsConflicts([detector], data),
    ];
  },
  cost: ({ scenes }) => ({ images: scenes }),
  async run(ctx, { finder: { dir }, detector: { dir: detectorDir, stage: name }, data }, options) {
    const { side_px, empty, least_score, scenes: count } = options;
    const { datasets, weights } = await loadParts(data, options.data_weights);
    const device = await ctx.device();
    using finder = await loadFinder(device, dir);
    using detector = await loadDetector(device, detectorDir, { partial: true });
    const { fingerprint } = detector;
    if (fingerprint === undefined) throw new RangeError("Cannot name a detector without a fingerprint");
    // Without its config: the scores are the finder's own.
    const alone = { find: finder.find.bind(finder) };
    const some = scenes(datasets, weights, { seed: ctx.seed, count, side: side_px, empty });
    const pictures: Judgement<SeenFace>[] = [];
    for await (const [, judgement] of judgeFaces(alone, detector, some, { min_score: least_score })) {
      ctx.signal.throwIfAborted();
      ctx.progress(pictures.push(judgement), count);
    }
    const outcomes = pictures.flatMap(outcomesOf);
    if (!outcomes.some(({ right }) => right) || outcomes.every(({ right }) => right)) {
      throw new InputError(
        `Cannot calibrate the scores: of ${counted(outcomes.length, "place")} in ${counted(count, "scene")} ` +
          `${outcomes.length ? "all are alike" : "none was looked at"}`,
        { hint: "more scenes, or a lower least_score" },
      );
    }
    const { slope, doubt, features, shift } = calibratePair(outcomes),
      round = (value: number) => roundTo(value, DIGITS);
    const with_detector = {
      detector: fingerprint,
      slope: round(slope),
      doubt: round(doubt),
      ...(features && { features: features.map(round) }),
      shift: round(shift),
      least_score,
    };
    const { config, tensors } = await readFinder(dir);
    await saveFinder(ctx.dir, { ...config, with_detector }, tensors, {
      dtype: options.dtype === "f16" ? "F16" : "F32",
    });

    const both = acrossHalves(pictures);
    const least = logitOf(MIN_SCORE), own = rateAt(pictures, least), rate = rateAt(both, least);
    const row = {
      detector: name,
      scenes: count,
      looked_at: outcomes.length,
      recall: roundTo(rate.recall, 4),
      others_per_scene: roundTo(rate.false_per_picture, 4),
      recall_of_finder: roundTo(own.recall, 4),
      others_per_scene_of_finder: roundTo(own.false_per_picture, 4),
    };
    ctx.summary(row);
    const calibration = reliability(both.flatMap(({ found }) => found), logistic);
    await Deno.writeTextFile(`${ctx.dir}/results.json`, JSON.stringify({ ...row, calibration }, null, 1) + "\n");
  },
});

const outcomesOf = ({ found }: Judgement<SeenFace>): PairOutcome[] =>
  found.map(({ score, doubt, features, face }) => ({ score, doubt, features, right: face !== null }));

/** The judgements with the logits of both together: those of each half of the pictures by the calibration of the other half. */
function acrossHalves(pictures: readonly Judgement<SeenFace>[]): Judgement<SeenFace>[] {
  const halves = [0, 1].map((half) => calibratePair(pictures.filter((_, k) => k % 2 !== half).flatMap(outcomesOf)));
  return pictures.map(({ found, faces }, k) => ({
    faces,
    found: found.map((one) => ({ ...one, logit: logitOf(pairScore(halves[k % 2]!, one.score, one)) })),
  }));
}
