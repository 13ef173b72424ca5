/**
 * Trains a landmark detector on one or several datasets, from scratch or from another detector.
 *
 * @module
 */

import { z } from "zod";
import { augmentation } from "../../faces/data/augment.ts";
import { schemaName } from "../../faces/schema.ts";
import { Detector, detectorFetches, readDetector, saveDetector } from "../../models/detectors/detector.ts";
import { schemaOf } from "../../models/detectors/network.ts";
import { detectorTraining, trainableNames } from "../../models/detectors/registry.ts";
import { countParameters, createParameters, initialise } from "../../models/io/params.ts";
import { Trainer } from "../../models/trainer.ts";
import { disposing } from "../../engine/tensor.ts";
import { Graph } from "../../engine/graph.ts";
import { stage } from "../../runtime/stage.ts";
import { evaluationOf, facesFor } from "./_evaluation.ts";
import {
  configFor,
  freezeConflicts,
  movesUnless,
  networkConflicts,
  networkOptions,
  WITHOUT_NETWORK,
} from "./_network.ts";
import { Batches, shared } from "../lib/batches.ts";
import { ifKnown, ownConflicts, scheduleConflicts, trainingSchemaConflicts, weightsConflict } from "../lib/checks.ts";
import { formatCount, memoize, trainingCosts, trainingSteps } from "../lib/estimates.ts";
import { train, trainingOptions } from "../lib/training.ts";

/** `detector/train`: writes `config.json` and `model.safetensors`, the moving average of the weights. */
export const trainDetector = stage({
  id: "detector/train",
  doc: "Trains a landmark detector, a stacked hourglass or STAR's, from scratch or from the detector given as init.",
  version: 4,
  inputs: { "data*": "dataset", "init?": "detector", "val?": "dataset" },
  output: "detector",
  options: z.object({
    ...trainingOptions,
    batch_size: trainingOptions.batch_size.default(16),
    lr: trainingOptions.lr.default(3e-3),
    clip_norm: trainingOptions.clip_norm.default(10),
    data_weights: z.array(z.number().min(0)).optional().describe(
      "Weight of each dataset in a batch, in any unit; by default its number of images",
    ),
    augment: augmentation.nullable().prefault({}).describe("Random changes of the images; null for none"),
    ...networkOptions,
    schema: schemaName.optional().describe(
      "Schema of the landmarks that the network finds; only without init; by default that of the first of data. " +
        "Datasets of another schema are converted to it",
    ),
    freeze: z.array(z.string().min(1)).optional().describe(
      "Parameters that are not trained, by name with * and ?, such as pre.*, hgs.0.*",
    ),
    keep: z.enum(["last", "best"]).optional().describe(
      "best: the weights with the smallest NME on val, and those of the last step in last/; by default last",
    ),
    patience: z.int().min(1).optional().describe("Early stopping: steps without a smaller NME on val"),
    val_every: z.int().min(1).default(200).describe("Validation interval, in steps"),
    dtype: z.enum(["f32", "f16"]).default("f32").describe("Element type of the file"),
  }),
  async check(options, { data, init, val }, given) {
    const { freeze, keep, patience, data_weights } = options;
    const config = await ifKnown(() => configFor(options, data, init));
    return [
      ...scheduleConflicts(options),
      ...ownConflicts([...Object.keys(networkOptions), "schema"], given, init),
      ...(init ? [] : networkConflicts(options)),
      !val && keep === "best" && { option: "keep", reason: `the input "val" is missing, on which the best is found` },
      !val && patience !== undefined &&
      { option: "patience", reason: `the input "val" is missing, on which NME is measured` },
      weightsConflict("data_weights", data_weights, data.length, "datasets"),
      ...(config ? freezeConflicts(config, freeze) : []),
      ...await trainingSchemaConflicts(data, config?.schema, "data"),
      ...(val ? await trainingSchemaConflicts([val], config?.schema, "val") : []),
    ];
  },
  describeOutput: async (options, { data, init }) => ({ detector: await configFor(options, data, init) }),
  async cost(options, { data, init, val }, onPlan) {
    const config = await configFor(options, data, init);
    const costs = memoize([config, !!val], { ...options, ...WITHOUT_NETWORK }, (onPlan) => {
      const { specs, loss, landmarks, updates } = detectorTraining(new Graph(), config, options.batch_size);
      const names = trainableNames(config, specs);
      return {
        ...trainingCosts(
          { loss, trainable: names, outputs: { landmarks }, updates, ...options },
          { beside: val ? [detectorFetches(config)] : [], onPlan },
        ),
        detector_parameters: formatCount(
          countParameters(new Map([...specs].filter(([name]) => names.includes(name)))),
        ),
      };
    }, onPlan);
    return { ...trainingSteps(options, config.size_px), ...costs };
  },
  async run(ctx, { data, init, val }, options) {
    const start = init && await readDetector(init.dir);
    const config = start?.config ?? await configFor(options, data);
    const schema = schemaOf(config);
    const { specs, loss, landmarks, updates } = detectorTraining(new Graph(), config, options.batch_size);
    const names = trainableNames(config, specs);
    const moves = movesUnless(options.freeze ?? []);

    const device = await ctx.device();
    const parameters = createParameters(device, specs, start?.tensors ?? initialise(specs, ctx.seed));
    using _parameters = disposing(parameters.values());
    using trainer = new Trainer(
      device,
      {
        loss,
        trainable: names.filter(moves),
        updates: updates.filter(([{ node }]) => node.leaf?.kind === "parameter" && moves(node.leaf.name)),
        outputs: { landmarks },
        ...options,
      },
      parameters,
    );
    using detector = val && new Detector(device, config, trainer.averaged());
    const validation = val && await facesFor(val, config.size_px, schema);
    const datasets = await Promise.all(data.map((d) => facesFor(d, config.size_px, schema)));
    using batches = new Batches({
      kind: "detector",
      seed: ctx.seed,
      batch_size: options.batch_size,
      datasets: datasets.map(shared),
      data_weights: options.data_weights ?? datasets.map(({ records }) => records.length),
      config,
      augment: options.augment,
    });

    const save = (dir: string) =>
      saveDetector(dir, config, trainer.averaged(), { dtype: options.dtype === "f16" ? "F16" : "F32" });
    const measured = detector && validation && { detector, faces: validation };
    const evaluation = evaluationOf(ctx, { trainer, batches, schema, val: measured, save }, options);
    await train(ctx, trainer, options, batches, [evaluation]);
    await evaluation.finish();
  },
});
