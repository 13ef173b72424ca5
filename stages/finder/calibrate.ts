/**
 * Calibrates the scores of a face finder with a landmark detector.
 *
 * @module
 */

import { z } from "zod";
import { mean, roundTo } from "../../faces/statistics.ts";
import { readJsonIfUsable, writeAtomic } from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";
import { counted } from "../../formats/numbers.ts";
import { type Detector, loadDetector } from "../../models/detectors/detector.ts";
import { lookAtTurns } from "../../models/detectors/face_passes.ts";
import { type Finder, loadFinder, MIN_SCORE, readFinder, saveFinder } from "../../models/finder/finder.ts";
import { logistic, logitOf } from "../../models/finder/logistic.ts";
import { judge, type Judgement, rateAt, reliability } from "../../models/finder/measure.ts";
import { calibratePair, type PairOutcome, pairScore } from "../../models/finder/pair_score.ts";
import { calibrateTurn, type TurnOutcome, turnScore } from "../../models/finder/turn_score.ts";
import { stage, type StageContext } from "../../runtime/stage.ts";
import { detectorsConflicts, weightsConflict } from "../lib/checks.ts";
import { type DrawnScene, judgeFaces, loadParts, sceneConflicts, scenes, type SeenFace } from "../lib/scenes.ts";

/** Digits of the calibration in the file. */
const DIGITS = 6;

/**
 * `finder/calibrate`: writes the finder with a calibration for the detector, `with_detector` in its `config.json`, and
 * `results.json` with recall and others a scene by both and by the finder alone, the share of faces that are put upright, and
 * the shares that are right of scores; each half of the scenes is measured with the calibration of the other half.
 */
export const calibrateFinder = stage({
  id: "finder/calibrate",
  doc:
    "Calibrates the scores of a face finder with a detector, on scenes of faces that neither has seen: things that the " +
    "detector is in doubt about, or that have other features than faces, are less likely faces, and of the quarters by " +
    "which a crop can be turned the one counts in which its features are those of an upright face. The scores hold for " +
    "this detector; with others the finder's own stay.",
  version: 5,
  inputs: { finder: "finder", detector: "detector", "data*": "dataset" },
  output: "finder",
  options: z.object({
    scenes: z.int().min(1).max(100_000).default(200).describe("Number of scenes"),
    side_px: z.int().min(64).max(4096).default(480).describe("Their side, pixels"),
    clutter: z.number().min(0).max(1).default(0).describe(
      "Share of the scenes that are of clutter alone, without faces, parts of faces and faces that were made into none",
    ),
    empty: z.number().min(0).max(1).default(0.25).describe("Share of the others without a face"),
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
  cost: ({ scenes }) => ({ images: 2 * scenes }),
  async run(ctx, { finder: { dir }, detector: { dir: detectorDir, stage: name }, data }, options) {
    const { side_px, empty, clutter, least_score, scenes: count } = options;
    const { datasets, weights } = await loadParts(data, options.data_weights);
    const device = await ctx.device();
    using finder = await loadFinder(device, dir);
    using detector = await loadDetector(device, detectorDir, { partial: true });
    const { fingerprint } = detector;
    if (fingerprint === undefined) throw new RangeError("Cannot name a detector without a fingerprint");
    const part = (first: number, count: number) =>
      scenes(datasets, weights, { seed: ctx.seed, first, count, side: side_px, empty, clutter });
    const turns: TurnOutcome[][] = await inParts(ctx, "turns", { of: count, after: 0 }, async function* (first, count) {
      for (const scene of part(first, count)) yield await turnsIn(scene, finder, detector, least_score);
    });
    const turn = rounded(calibrateTurn(turns.flat()));
    // The finder's own scores, and the turns chosen by the calibration.
    const own_scores = { detector: fingerprint, slope: 1, doubt: 0, shift: 0, least_score, turn };
    const alone = { find: finder.find.bind(finder), config: { with_detector: own_scores } };
    const pictures: Judgement<SeenFace>[] = await inParts(
      ctx,
      "faces",
      { of: count, after: count },
      async function* (first, count) {
        const judged = judgeFaces(alone, detector, part(first, count), { min_score: least_score });
        for await (const [, judgement] of judged) yield judgement;
      },
    );
    const outcomes = pictures.flatMap(outcomesOf);
    if (!outcomes.some(({ right }) => right) || outcomes.every(({ right }) => right)) {
      throw new InputError(
        `Cannot calibrate the scores: of ${counted(outcomes.length, "place")} in ${counted(count, "scene")} ` +
          `${outcomes.length ? "all are alike" : "none was looked at"}`,
        { hint: "more scenes, or a lower least_score" },
      );
    }
    const with_detector = { detector: fingerprint, ...rounded(calibratePair(outcomes)), least_score, turn };
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
      upright: roundTo(uprightAcrossHalves(turns), 4),
    };
    ctx.summary(row);
    const calibration = reliability(both.flatMap(({ found }) => found), logistic);
    await Deno.writeTextFile(`${ctx.dir}/results.json`, JSON.stringify({ ...row, calibration }, null, 1) + "\n");
  },
});

/** Scenes whose results are kept together; batches of the detector's images do not go beyond them. */
const PART = 20;

/**
 * Makes a result for each scene. Those of a part of them are kept in a file, so that a run that was stopped goes on with the
 * next part.
 *
 * @param pass Number of the scenes, and of those that were counted before.
 * @param make Makes the results of some scenes: the number of the first one, and their number.
 */
async function inParts<T>(
  ctx: StageContext,
  name: string,
  pass: { readonly of: number; readonly after: number },
  make: (first: number, count: number) => AsyncIterable<T>,
): Promise<T[]> {
  const plain = (_: string, value: unknown) => value instanceof Float32Array ? Array.from(value) : value;
  const all: T[] = [];
  for (let first = 0; first < pass.of; first = all.length) {
    const path = `${ctx.work}/${name}_${String(first).padStart(6, "0")}.json`;
    const kept = readJsonIfUsable<T[]>(path);
    if (kept) all.push(...kept);
    else {
      for await (const one of make(first, Math.min(PART, pass.of - first))) {
        ctx.signal.throwIfAborted();
        ctx.progress(pass.after + all.push(one), 2 * pass.of);
      }
      writeAtomic(path, JSON.stringify(all.slice(first), plain));
    }
  }
  return all;
}

/** The weights as they are written. */
function rounded<W extends { readonly features?: readonly number[] | undefined }>(weights: W): W {
  const round = (value: unknown): unknown =>
    Array.isArray(value) ? value.map(round) : typeof value === "number" ? roundTo(value, DIGITS) : value;
  return Object.fromEntries(Object.entries(weights).map(([name, value]) => [name, round(value)])) as W;
}

/** Looks from four quarters at what the finder finds of the faces of a scene. */
async function turnsIn(
  { image, faces }: DrawnScene,
  finder: Finder,
  detector: Detector,
  min_score: number,
): Promise<TurnOutcome[]> {
  if (faces.length === 0) return [];
  const outcomes: TurnOutcome[] = [];
  const found = (await finder.find(image, { min_score })).map((one) => ({ ...one, logit: logitOf(one.score) }));
  for (const { face, ...place } of judge(found, faces).found) {
    if (!face) continue;
    const upright = ((Math.round((face.angle - place.angle) / (Math.PI / 2)) % 4) + 4) % 4;
    outcomes.push({ turns: await lookAtTurns(detector, image, place), upright });
  }
  return outcomes;
}

/** Share of the faces that are upright in the turn chosen: those of each half of the scenes by the weights of the other half. */
function uprightAcrossHalves(scenes: readonly (readonly TurnOutcome[])[]): number {
  const right = [0, 1].flatMap((half) => {
    const weights = calibrateTurn(scenes.filter((_, k) => k % 2 !== half).flat());
    return scenes.filter((_, k) => k % 2 === half).flat().map(({ turns, upright }) => {
      const scores = turns.map((one) => turnScore(weights, one));
      return scores.indexOf(Math.max(...scores)) === upright ? 1 : 0;
    });
  });
  return mean(right);
}

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
