/**
 * Measures a face finder on scenes of faces that it has not seen.
 *
 * @module
 */

import { z } from "zod";
import { contactSheet } from "../../faces/draw.ts";
import type { Image } from "../../faces/data/image.ts";
import { writePng } from "../../faces/data/image_file.ts";
import { roundTo } from "../../faces/statistics.ts";
import { loadDetector } from "../../models/detectors/detector.ts";
import { loadFinder, MIN_SCORE } from "../../models/finder/finder.ts";
import { logistic, logitOf } from "../../models/finder/logistic.ts";
import { angleErrors, averagePrecision, type Judgement, rateAt, reliability } from "../../models/finder/measure.ts";
import { stage } from "../../runtime/stage.ts";
import { detectorsConflicts, weightsConflict } from "../lib/checks.ts";
import {
  type DrawnScene,
  drawPlace,
  judgeFaces,
  judgeScenes,
  loadParts,
  sceneConflicts,
  scenes,
} from "../lib/scenes.ts";

/** Scenes on the sheet. */
const SHEET = 40, SHEET_COLUMNS = 8;
/** Bounds of the sides of faces whose recall is listed, pixels. */
const SIZES = [0, 24, 48, 96, Infinity] as const;

/**
 * `finder/evaluate`: writes `results.json` with recall, false ones, the recall of each size of face and the shares that
 * are right of scores, and `scenes.png`.
 *
 * Without a detector the places of the finder alone are measured, all of them for the average precision. With a detector
 * what `detect` gives is measured, and the average precision is of scores from the least one that the detector looks at.
 */
export const evaluateFinder = stage({
  id: "finder/evaluate",
  doc:
    "Measures a face finder on scenes of faces that it has not seen: recall, false ones a scene, and what its scores mean; " +
    "with a detector, what both find together, as detect does.",
  version: 4,
  inputs: { finder: "finder", "detector?": "detector", "data*": "dataset" },
  output: "report",
  options: z.object({
    scenes: z.int().min(1).max(100_000).default(200).describe("Number of scenes"),
    side_px: z.int().min(64).max(4096).default(480).describe("Their side, pixels"),
    empty: z.number().min(0).max(1).default(0.25).describe("Share of the scenes without a face"),
    spoilt: z.boolean().default(true).describe(
      "Parts of faces, and faces that were made into none, among what is none",
    ),
    data_weights: z.array(z.number().min(0)).optional().describe(
      "Weight of each dataset in scenes, in any unit; by default its number of images",
    ),
    min_score: z.number().gt(0).lt(1).default(MIN_SCORE).describe("Least score of what counts as found"),
  }),
  async check({ data_weights }, { detector, data }) {
    return [
      weightsConflict("data_weights", data_weights, data.length, "datasets"),
      ...await sceneConflicts(data, "data"),
      ...detector ? await detectorsConflicts([detector], data) : [],
    ];
  },
  cost: ({ scenes }) => ({ images: scenes }),
  async run(ctx, { finder: { dir, stage: name }, detector: pair, data }, options) {
    const { side_px, empty, spoilt, min_score, scenes: count } = options;
    const { datasets, weights } = await loadParts(data, options.data_weights);
    const device = await ctx.device();
    using finder = await loadFinder(device, dir);
    using detector = pair && await loadDetector(device, pair.dir, { partial: true });
    const { calibration: { slope, shift }, with_detector } = finder.config;
    // The logits of both together are those of their scores.
    const scoreOf = detector ? logistic : (logit: number) => logistic(slope * logit + shift);
    const least = detector ? logitOf(min_score) : (logitOf(min_score) - shift) / slope;
    const some = scenes(datasets, weights, { seed: ctx.seed, count, side: side_px, empty, spoilt });
    const judged = detector
      ? judgeFaces(finder, detector, some, { min_score: Math.min(min_score, with_detector?.least_score ?? 1) })
      : judgeScenes(finder, some);
    const pictures: Judgement[] = [], sheet: Image[] = [];
    for await (const [scene, judgement] of judged) {
      ctx.signal.throwIfAborted();
      ctx.progress(pictures.push(judgement), count);
      if (sheet.length < SHEET) sheet.push(marked(scene, judgement, least));
    }
    const row = {
      finder: name,
      ...pair && { detector: pair.stage },
      scenes: count,
      faces: pictures.reduce((sum, { faces }) => sum + faces.length, 0),
      min_score,
      ...measuresOf(pictures, least),
    };
    const sizes = recallBySize(pictures, least);
    const calibration = reliability(pictures.flatMap(({ found }) => found), scoreOf);
    for (const { side_px, faces, recall } of sizes) {
      ctx.log(
        `faces of ${side_px} px: ${recall === null ? "none" : `${(100 * recall).toFixed(1)} % of ${faces} found`}`,
      );
    }
    for (const { from, to, count, score, right } of calibration) {
      ctx.log(
        `scores from ${from.toFixed(1)} to ${to.toFixed(1)}: ${count}, mean ${score.toFixed(2)}, ` +
          `${(100 * right).toFixed(0)} % right`,
      );
    }
    ctx.summary(row);
    await Deno.writeTextFile(`${ctx.dir}/results.json`, JSON.stringify({ ...row, sizes, calibration }, null, 1) + "\n");
    await writePng(`${ctx.dir}/scenes.png`, contactSheet(sheet, SHEET_COLUMNS));
  },
});

/** The scene with its faces in white (grey: they do not count), and what was found in green, or in red where no face is. */
function marked({ image, faces }: DrawnScene, { found }: Judgement, least: number): Image {
  for (const face of faces) drawPlace(image, face, face.counts ? [255, 255, 255] : [128, 128, 128]);
  for (const place of found) {
    if (place.logit >= least) drawPlace(image, place, place.face ? [0, 255, 0] : [255, 0, 0]);
  }
  return image;
}

/** Measures of what was found with a logit of `least` and more. */
function measuresOf(pictures: readonly Judgement[], least: number) {
  const { recall, precision, false_per_picture } = rateAt(pictures, least);
  const angles = angleErrors(pictures, least);
  return {
    recall: roundTo(recall, 4),
    precision: roundTo(precision, 4),
    false_per_scene: roundTo(false_per_picture, 4),
    scenes_with_false: pictures.filter(({ found }) => found.some(({ logit, face }) => logit >= least && !face)).length,
    average_precision: roundTo(averagePrecision(pictures), 4),
    // An eighth of a turn: the detector's passes do the rest.
    angles_within_45_degrees: shareOf(angles, (off) => off <= Math.PI / 4),
  };
}

/** Recall of faces by their side. */
function recallBySize(pictures: readonly Judgement[], least: number) {
  const faces = pictures.flatMap(({ faces }) => faces);
  const found = new Set(
    pictures.flatMap(({ found }) => found.filter(({ logit }) => logit >= least).map(({ face }) => face)),
  );
  return SIZES.slice(0, -1).map((from, k) => {
    const to = SIZES[k + 1]!;
    const those = faces.filter(({ side }) => side >= from && side < to);
    return {
      side_px: to === Infinity ? `${from} and more` : `${from} to ${to}`,
      faces: those.length,
      recall: shareOf(those, (face) => found.has(face)),
    };
  });
}

/** Share of the items that are so, to four places; null of none. */
function shareOf<T>(items: readonly T[], isSo: (item: T) => boolean): number | null {
  return items.length ? roundTo(items.filter(isSo).length / items.length, 4) : null;
}
