/**
 * Trains a landmark detector on one or several datasets, from scratch or from another detector.
 *
 * @module
 */

import { z } from "zod";
import { augment, type Augmentation, augmentation } from "../faces/augment.ts";
import { LANDMARK_COUNT } from "../faces/landmarks.ts";
import { nmePerImage } from "../faces/metrics.ts";
import { DETECTOR, Detector, readDetector, saveDetector, shrink } from "../models/detector.ts";
import {
  hourglass,
  type HourglassConfig,
  hourglassConfig,
  hourglassLoss,
  hourglassOptions,
  landmarksIn,
  toHeatmap,
} from "../models/hourglass.ts";
import { createParameters, initialise, type ParameterSpec, Scope } from "../models/params.ts";
import { Trainer } from "../models/trainer.ts";
import { Graph } from "../runtime/graph.ts";
import { Random } from "../runtime/rng.ts";
import { type Artifact, stage } from "../runtime/stage.ts";
import { type Faces, imageOf, landmarksOf, loadFaces } from "./_faces.ts";
import { train, trainingOptions } from "./_training.ts";

/** Validation images of a look between; the look at the end takes all. */
const GLANCE = 96;

/** `detector/train`: writes `config.json` and `model.safetensors`, the moving average of the weights. */
export const trainDetector = stage({
  id: "detector/train",
  doc: "Trains a landmark detector, a stacked hourglass, from scratch or from the detector given as init.",
  version: 1,
  inputs: { "data*": "dataset", "init?": "detector", "val?": "dataset" },
  output: "detector",
  options: z.object({
    ...trainingOptions,
    batch: trainingOptions.batch.default(16),
    lr: trainingOptions.lr.default(3e-3),
    clip_norm: trainingOptions.clip_norm.default(10),
    mix: z.array(z.number().min(0)).optional().describe(
      "Share of each of data in a batch, in any unit; by default as many as it has images",
    ),
    augment: augmentation.nullable().prefault({}).describe("Random changes of the images; null for none"),
    network: z.strictObject(hourglassOptions).optional().describe("The network; only without init, which has its own"),
    val_every: z.int().min(1).default(200).describe("Steps between looks at val"),
    weights: z.enum(["f32", "f16"]).default("f32").describe("Element type of the file"),
  }),
  async run(ctx, { data, init, val }, options) {
    if (init && options.network) {
      throw new TypeError(`Cannot set "network" as the input "init" has its own: leave one of them out`);
    }
    const start = init && await readDetector(init.dir);
    const config = start?.config ?? hourglassConfig.parse(options.network ?? {});
    const { batch } = options;
    const graph = new Graph();
    const specs = new Map<string, ParameterSpec>();
    const images = graph.input("images", [batch, config.size_px, config.size_px, 3]);
    const outputs = hourglass(new Scope(graph, specs, DETECTOR), images, config);
    const loss = hourglassLoss(outputs, graph.input("target", [batch, LANDMARK_COUNT, 2]));
    const landmarks = landmarksIn(outputs, config);

    const device = await ctx.device();
    const parameters = createParameters(device, specs, start?.tensors ?? initialise(specs, ctx.seed));
    const trainer = new Trainer(
      device,
      { loss, trainable: specs.keys(), outputs: { landmarks }, ...options },
      parameters,
    );
    const detector = new Detector(device, config, trainer.averaged());
    const validation = val && await facesFor(val, config.size_px);
    const draw = batches(await Promise.all(data.map((d) => facesFor(d, config.size_px))), config, options);

    const look = async (faces: Pictures) => {
      const { landmarks } = await detector.predict(faces.images, faces.size_px);
      return average(nmePerImage(landmarks, faces.landmarks));
    };
    const glance = validation && spread(validation, GLANCE);
    const random = new Random(ctx.seed, "detector/train");
    let last: Float32Array | null = null; // landmarks of the batch of the step before
    await train(ctx, trainer, options, async (step) => {
      if (last && step % options.val_every === 0) {
        const found = await trainer.step_plan.read("landmarks");
        const nme_train = average(nmePerImage(found, last));
        const nme_val = glance && await look(glance);
        ctx.metric({ step, nme_train, ...(nme_val !== undefined && { nme_val }) });
        const held = nme_val === undefined ? "" : `, ${nme_val.toFixed(2)} % on images held back`;
        ctx.log(`step ${step}: NME ${nme_train.toFixed(2)} % on the batch${held}`);
      }
      const { images, landmarks, target } = draw(random.at(step));
      last = landmarks;
      return { images, target };
    });
    if (validation) {
      const nme_val = await look(validation);
      ctx.metric({ step: options.steps, nme_val });
      ctx.log(`NME ${nme_val.toFixed(2)} % on ${validation.records.length} images held back`);
    }
    await saveDetector(ctx.dir, config, trainer.averaged(), { dtype: options.weights === "f16" ? "F16" : "F32" });
    detector.destroy();
    trainer.destroy();
    for (const tensor of parameters.values()) tensor.destroy();
  },
});

/** What a batch or a look takes of {@linkcode Faces}. */
type Pictures = Pick<Faces, "images" | "landmarks" | "size_px">;

/** A dataset in memory, its images no more than needed larger than the network's. */
async function facesFor(artifact: Artifact, to_px: number): Promise<Faces> {
  const faces = await loadFaces([artifact]);
  const small = shrink(faces.images, faces.size_px, to_px);
  const ratio = small.size_px / faces.size_px;
  return { ...faces, ...small, landmarks: faces.landmarks.map((px) => (px + 0.5) * ratio - 0.5) };
}

/** Some images of a dataset, evenly spread over it. */
function spread(faces: Faces, most: number): Pictures {
  const { records, size_px } = faces;
  const count = Math.min(most, records.length);
  const bytes = size_px * size_px * 3;
  const [images, landmarks] = [new Uint8Array(count * bytes), new Float32Array(count * 2 * LANDMARK_COUNT)];
  for (let k = 0; k < count; k++) {
    const i = Math.floor(k * records.length / count);
    images.set(imageOf(faces, i).data, k * bytes);
    landmarks.set(landmarksOf(faces, i), k * 2 * LANDMARK_COUNT);
  }
  return { images, landmarks, size_px };
}

/** Draws batches: the images, their landmarks in pixels, and those as the loss takes them. */
function batches(
  datasets: readonly Faces[],
  config: HourglassConfig,
  { batch, mix, augment: how }: { batch: number; mix?: number[] | undefined; augment: Augmentation | null },
) {
  const shares = mix ?? datasets.map(({ records }) => records.length);
  const total = shares.reduce((a, b) => a + b, 0);
  if (shares.length !== datasets.length || !(total > 0)) {
    throw new RangeError(
      `Cannot mix ${datasets.length} datasets by [${shares}]: one share each is expected, and not all 0`,
    );
  }
  const { size_px: side } = config;
  return (random: Random) => {
    const images = new Float32Array(batch * side * side * 3);
    const landmarks = new Float32Array(batch * 2 * LANDMARK_COUNT);
    for (let k = 0; k < batch; k++) {
      let place = random.uniform() * total;
      const from = Math.max(0, shares.findIndex((share) => (place -= share) < 0));
      const faces = datasets[from]!;
      const index = random.int(faces.records.length);
      const [{ data: image }, face] = [imageOf(faces, index), landmarksOf(faces, index)];
      const out = images.subarray(k * side * side * 3, (k + 1) * side * side * 3);
      landmarks.set(augment(image, faces.size_px, face, random, how, side, out), k * 2 * LANDMARK_COUNT);
    }
    return { images, landmarks, target: landmarks.map((px) => toHeatmap(px, config)) };
  };
}

function average(values: Float64Array): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
