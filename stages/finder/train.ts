/**
 * Trains a face finder on scenes that are composed of rendered faces as the training goes, and calibrates its scores.
 *
 * @module
 */

import { z } from "zod";
import { contactSheet } from "../../faces/draw.ts";
import { writePng } from "../../faces/data/image_file.ts";
import { Graph } from "../../engine/graph.ts";
import { disposing } from "../../engine/tensor.ts";
import { Finder, readFinder, saveFinder } from "../../models/finder/finder.ts";
import { averagePrecision, calibrate, rateAt } from "../../models/finder/measure.ts";
import {
  type FinderConfig,
  finderConfig,
  finderOptions,
  finderTrainable,
  finderTraining,
  SIDE_STEP_PX,
} from "../../models/finder/network.ts";
import { countParameters, createParameters, initialise } from "../../models/io/params.ts";
import { Trainer } from "../../models/trainer.ts";
import { stage } from "../../runtime/stage.ts";
import { Batches, shared } from "../lib/batches.ts";
import { ownConflicts, scheduleConflicts, weightsConflict } from "../lib/checks.ts";
import { formatCount, trainingCosts } from "../lib/estimates.ts";
import { drawPlace, judgeScenes, loadParts, sceneConflicts, scenes } from "../lib/scenes.ts";
import { train, trainingOptions } from "../lib/training.ts";

/** Scenes of a validation during training, and the side of those and of a calibration's, pixels. */
const VAL_SCENES = 40, VAL_PX = 320;
/** Share of the scenes of a calibration without a face; others have clutter beside their faces. */
const EMPTY = 0.25;
/** Scenes on the sheet. */
const SHEET = 48, SHEET_COLUMNS = 8;

/** `finder/train`: writes `config.json` and `model.safetensors`, and `scenes.png` with some of its scenes. */
export const trainFinder = stage({
  id: "finder/train",
  doc:
    "Trains a face finder on scenes that are composed of rendered faces, and calibrates its scores on scenes of val.",
  version: 2,
  inputs: { "data*": "dataset", "val*": "dataset", "init?": "finder" },
  output: "finder",
  options: z.object({
    ...trainingOptions,
    batch_size: trainingOptions.batch_size.default(8),
    lr: trainingOptions.lr.default(2e-3),
    clip_norm: trainingOptions.clip_norm.default(10),
    data_weights: z.array(z.number().min(0)).optional().describe(
      "Weight of each dataset in scenes, in any unit; by default its number of images",
    ),
    side_px: z.int().min(2 * SIDE_STEP_PX).max(1024).multipleOf(SIDE_STEP_PX).default(192).describe(
      "Side of the scenes, pixels",
    ),
    network: z.strictObject(finderOptions).optional().describe("The network; only without init, which has its own"),
    calibration_scenes: z.int().min(1).max(100_000).default(400).describe(
      "Scenes of val that scores are calibrated on at the end",
    ),
    val_every: z.int().min(1).default(200).describe("Validation interval, in steps"),
    dtype: z.enum(["f32", "f16"]).default("f32").describe("Element type of the file"),
  }),
  async check(options, { data, val, init }, given) {
    return [
      ...scheduleConflicts(options),
      ...ownConflicts(["network"], given, init),
      weightsConflict("data_weights", options.data_weights, data.length, "datasets"),
      ...await sceneConflicts(data, "data"),
      ...await sceneConflicts(val, "val"),
    ];
  },
  cost(options, _inputs, onPlan) {
    const config = finderConfig.parse(options.network ?? {});
    const { specs, loss, updates } = finderTraining(new Graph(), config, options.batch_size, options.side_px);
    const trainable = finderTrainable(specs);
    return {
      step: `training, ${options.batch_size} scenes of ${options.side_px} px`,
      steps: options.steps,
      ...trainingCosts({ loss, trainable, updates, ...options }, { onPlan }),
      finder_parameters: formatCount(countParameters(specs)),
    };
  },
  async run(ctx, { data, val, init }, options) {
    const start = init && await readFinder(init.dir);
    const config: FinderConfig = start?.config ?? finderConfig.parse(options.network ?? {});
    const { batch_size, side_px } = options;
    const { specs, loss, updates } = finderTraining(new Graph(), config, batch_size, side_px);
    const device = await ctx.device();
    const parameters = createParameters(device, specs, start?.tensors ?? initialise(specs, ctx.seed));
    using _parameters = disposing(parameters.values());
    using trainer = new Trainer(device, { loss, trainable: finderTrainable(specs), updates, ...options }, parameters);
    using finder = new Finder(device, config, trainer.averaged());

    const { datasets, weights } = await loadParts(data, options.data_weights);
    const parts = datasets.map(shared);
    await writePng(
      `${ctx.dir}/scenes.png`,
      sheetOf(scenes(parts, weights, { seed: ctx.seed, count: SHEET, side: side_px })),
    );
    using batches = new Batches({
      kind: "finder",
      seed: ctx.seed,
      batch_size,
      datasets: parts,
      data_weights: weights,
      side: side_px,
    });
    const validation = await loadParts(val, undefined);
    // Neither the seed of the pipeline nor the training changes them.
    const judged = async (count: number, seed: number) => {
      const some = scenes(validation.datasets, validation.weights, { seed, count, side: VAL_PX, empty: EMPTY });
      return (await Array.fromAsync(judgeScenes(finder, some))).map(([, judgement]) => judgement);
    };
    const evaluate = async (step: number) => {
      const pictures = await judged(Math.min(VAL_SCENES, options.calibration_scenes), 0);
      const precision = averagePrecision(pictures), { recall, false_per_picture } = rateAt(pictures, 0);
      ctx.metric({ step, average_precision: precision, recall, false_per_picture });
      ctx.log(
        `step ${step}: average precision ${precision.toFixed(3)}, recall ${recall.toFixed(3)} ` +
          `at ${false_per_picture.toFixed(2)} false ones a scene`,
      );
      return false;
    };
    await train(ctx, trainer, options, batches, [{ every: options.val_every, evaluate }]);
    const pictures = await judged(options.calibration_scenes, 1);
    const calibration = calibrate(pictures.flatMap(({ found }) => found));
    const average_precision = averagePrecision(pictures);
    ctx.metric({ step: trainer.steps, average_precision });
    ctx.log(`average precision ${average_precision.toFixed(3)} in ${options.calibration_scenes} scenes of val`);
    const dtype = options.dtype === "f16" ? "F16" : "F32";
    // Of other weights.
    const { with_detector: _, ...network } = config;
    await saveFinder(ctx.dir, { ...network, calibration }, trainer.averaged(), { dtype });
  },
});

/** Scenes with the places of their faces: green ones count, red ones do not. */
function sheetOf(all: ReturnType<typeof scenes>) {
  const images = [...all].map(({ image, faces }) => {
    for (const face of faces) drawPlace(image, face, face.counts ? [0, 255, 0] : [255, 0, 0]);
    return image;
  });
  return contactSheet(images, SHEET_COLUMNS);
}
