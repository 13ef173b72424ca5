/**
 * Trains a landmark detector on one or several datasets, from scratch or from another detector.
 *
 * @module
 */

import { z } from "zod";
import { counted } from "../../formats/numbers.ts";
import { augmentation } from "../../faces/data/augment.ts";
import type { Faces, LoadedDataset } from "../../faces/data/dataset.ts";
import { shrink } from "../../faces/data/image.ts";
import { rescale } from "../../faces/landmarks.ts";
import { nmePerImage } from "../../faces/metrics.ts";
import { mean } from "../../faces/statistics.ts";
import {
  convertLandmarks,
  DEFAULT_SCHEMA,
  type LandmarkSchema,
  type SchemaName,
  schemaName,
} from "../../faces/schema.ts";
import { Detector, detectorFetches, readDetector, saveDetector } from "../../models/detectors/detector.ts";
import { type DetectorNetwork, schemaOf } from "../../models/detectors/network.ts";
import {
  DETECTOR,
  DETECTOR_NETWORKS,
  type DetectorConfig,
  DETECTORS,
  detectorTraining,
  trainableNames,
} from "../../models/detectors/registry.ts";
import { countParameters, createParameters, initialise } from "../../models/io/params.ts";
import { Trainer } from "../../models/trainer.ts";
import { disposing } from "../../engine/tensor.ts";
import { Graph } from "../../engine/graph.ts";
import { type Artifact, type Conflicts, stage } from "../../runtime/stage.ts";
import { Batches, shared } from "../lib/batches.ts";
import { BestCheckpoint } from "../lib/best_weights.ts";
import { ifKnown, ownConflicts, scheduleConflicts, trainingSchemaConflicts, weightsConflict } from "../lib/checks.ts";
import { type ArtifactRef, detectorOf, schemaNameOf } from "../lib/artifacts.ts";
import { formatCount, memoize, trainingCosts, trainingSteps } from "../lib/estimates.ts";
import { imageOf, landmarksOf, loadFaces } from "../lib/faces.ts";
import { globFilter } from "../lib/glob.ts";
import { train, trainingOptions } from "../lib/training.ts";

/** Images of an evaluation during training; the one at the end takes all. */
const VAL_SUBSET = 96;

type Networks = typeof DETECTORS;

/** The option of each network, by its name. */
const networkOptions = Object.fromEntries(DETECTOR_NETWORKS.map(({ option: { name, schema } }) => [name, schema])) as {
  [K in keyof Networks as Networks[K]["option"]["name"]]: Networks[K]["option"]["schema"];
};

/** Options without those that ask for a network. */
const WITHOUT_NETWORK = Object.fromEntries(Object.keys(networkOptions).map((name) => [name, undefined]));

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

    const evaluate = async (faces: Faces) => {
      const { landmarks } = await detector!.predict(faces.images, faces.size_px);
      return mean(nmePerImage(landmarks, faces.landmarks, schema));
    };
    const subset = validation && spread(validation, VAL_SUBSET);
    const dtype = options.dtype === "f16" ? "F16" : "F32";
    const save = (dir: string) => saveDetector(dir, config, trainer.averaged(), { dtype });
    const best = new BestCheckpoint(`${ctx.work}/best`);
    const evaluateSubset = async (step: number) => {
      const { landmarks: truth } = await batches.get(step - 1);
      const nme_train = mean(nmePerImage(await trainer.step_plan.read("landmarks"), truth!, schema));
      const nme_val = subset && await evaluate(subset);
      ctx.metric({ step, nme_train, ...(nme_val !== undefined && { nme_val }) });
      const validated = nme_val === undefined ? "" : `, ${nme_val.toFixed(2)} % on validation images`;
      ctx.log(`step ${step}: NME ${nme_train.toFixed(2)} % on the batch${validated}`);
      if (nme_val === undefined || (options.keep !== "best" && options.patience === undefined)) return false;
      const since = await best.update(step, nme_val, save);
      if (since < (options.patience ?? Infinity)) return false;
      ctx.log(`no smaller NME in ${counted(since, "step")}: the training ends here`);
      return true;
    };
    await train(ctx, trainer, options, batches, [{ every: options.val_every, evaluate: evaluateSubset }]);
    if (validation) {
      const nme_val = await evaluate(validation);
      ctx.metric({ step: trainer.steps, nme_val });
      ctx.log(`NME ${nme_val.toFixed(2)} % on ${counted(validation.records.length, "validation image")}`);
    }
    if (options.keep === "best") {
      // The end is measured as the rest was, on a part of the images.
      await best.update(trainer.steps, await evaluate(subset!), save);
      await save(`${ctx.dir}/last`);
      await best.copyTo(ctx.dir);
      ctx.log(`kept are the weights of step ${best.step}`);
    } else await save(ctx.dir);
  },
});

/** Options that ask for a network, which are set. */
function asksFor(options: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(networkOptions).filter((name) => options[name] !== undefined);
}

/** The network of a training: that of `init`, or one from scratch for the landmarks of the data. */
async function configFor(
  options: Readonly<Record<string, unknown>> & { readonly schema?: SchemaName | undefined },
  data: readonly ArtifactRef[],
  init?: ArtifactRef,
): Promise<DetectorConfig> {
  if (init) return await detectorOf(init);
  const schema = options.schema ?? await schemaNameOf(data);
  const [name] = asksFor(options);
  const { success, data: config } = optionOf(name).config(name && options[name], schema);
  // What is wrong with it is a conflict of the option.
  if (!success) throw new Deno.errors.NotFound("The network cannot be built");
  return config;
}

/** The option of a name; that of the usual network without one. */
function optionOf(name: string | undefined): DetectorNetwork<DetectorConfig>["option"] {
  return (DETECTOR_NETWORKS.find(({ option }) => option.name === name) ?? DETECTORS.hourglass).option;
}

/** Conflicts of the options that configure a network: at most one may be given, and it must be valid. */
function networkConflicts(options: Readonly<Record<string, unknown>>): Conflicts {
  const [name, other] = asksFor(options);
  const { error } = optionOf(name).config(name && options[name], DEFAULT_SCHEMA);
  return [
    other !== undefined && { option: other, reason: `"${name}" is given too`, hint: "leave one of them out" },
    ...(error?.issues ?? []).map(({ path, message }) => ({
      option: [name ?? "network", ...path],
      reason: `it ${message}`,
    })),
  ];
}

/** Patterns of `freeze` that fit no parameter, or all. */
function freezeConflicts(config: DetectorConfig, freeze: readonly string[] | undefined): Conflicts {
  if (!freeze?.length) return [];
  const { specs } = detectorTraining(new Graph(), config, 1);
  const names = [...specs.keys()].map(shortName);
  const unknown = freeze.findIndex((pattern) => !names.some(globFilter([pattern], [])));
  return [
    unknown >= 0 && {
      option: ["freeze", unknown],
      reason: `the network has no parameter "${freeze[unknown]}"`,
      hint: `"${names[0]}" is one`,
    },
    !trainableNames(config, specs).some(movesUnless(freeze)) &&
    { option: "freeze", reason: "no parameter is left to train" },
  ];
}

/** Name of a parameter as files and `freeze` have it. */
const shortName = (name: string) => name.slice(DETECTOR.length);

/** Returns a test for the names of trained parameters: those that no pattern of `freeze` fits. */
function movesUnless(freeze: readonly string[]): (name: string) => boolean {
  const moves = globFilter([], freeze);
  return (name) => moves(shortName(name));
}

/** A dataset in memory, its images no more than needed larger than the network's, its landmarks of the schema wanted. */
async function facesFor(artifact: Artifact, to_px: number, schema: LandmarkSchema): Promise<LoadedDataset> {
  const faces = await loadFaces([artifact]);
  const small = shrink(faces.images, faces.size_px, to_px);
  const ratio = small.size_px / faces.size_px;
  const landmarks = convertLandmarks(faces.landmarks, faces.schema, schema).map((px) => rescale(px, ratio));
  return { ...faces, ...small, landmarks, schema };
}

/** Some images of a dataset, evenly spread over it. */
function spread(faces: LoadedDataset, most: number): Faces {
  const { records, size_px, schema } = faces;
  const count = Math.min(most, records.length);
  const bytes = size_px * size_px * 3;
  const [images, landmarks] = [new Uint8Array(count * bytes), new Float32Array(count * 2 * schema.count)];
  for (let k = 0; k < count; k++) {
    const i = Math.floor(k * records.length / count);
    images.set(imageOf(faces, i).data, k * bytes);
    landmarks.set(landmarksOf(faces, i), k * 2 * schema.count);
  }
  return { images, landmarks, schema, size_px };
}
