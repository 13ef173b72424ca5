/**
 * Previews of a ControlNet during training: the same faces, prompts and noise each time, and how well the images fit.
 *
 * @module
 */

import { itemAt } from "../../engine/lookup.ts";
import { mean } from "../../faces/statistics.ts";
import type { LoadedDataset } from "../../faces/data/dataset.ts";
import { contactSheet, overlayLandmarks } from "../../faces/draw.ts";
import { writePng } from "../../faces/data/image_file.ts";
import { type Model, readModel } from "../../models/io/pipeline_folder.ts";
import type { ControlNetConfig } from "../../models/diffusion/controlnet.ts";
import { loadDetector } from "../../models/detectors/detector.ts";
import { uploadParameters } from "../../models/io/params.ts";
import { disposing } from "../../engine/tensor.ts";
import { Random } from "../../engine/rng.ts";
import type { Parameters } from "../../engine/prepare.ts";
import type { Artifact, StageContext } from "../../runtime/stage.ts";
import { align } from "./alignment.ts";
import { promptOf } from "./diffusion.ts";
import { landmarksOf } from "./faces.ts";
import { ImageGenerator } from "./painting.ts";
import { samplerOf } from "./sampling.ts";
import type { Callback } from "./training.ts";

/** Sampling of previews. */
const SAMPLING = { steps: 20, guidance: 2, eta: 0, control_scale: 1 };

/** Images of a preview, and the networks that make them. */
export interface Previews {
  readonly every: number;
  /** Images of a preview. */
  readonly count: number;
  readonly faces: LoadedDataset;
  /** Prompt template; null for the records' own prompts. */
  readonly prompt: string | null;
  readonly model: Model & { controlnet: ControlNetConfig };
  /** Parameters of a training, which change between evaluations; those of other networks are read from the model. */
  readonly parameters: Parameters;
  /** Detector that measures the images, if one is given. */
  readonly detector?: Artifact | undefined;
}

/** A callback that can also be called at the end. */
export interface PreviewCallback extends Callback, Disposable {}

/**
 * Generates images of faces of the training set, evenly spread over it, next to the requested landmarks: `preview.png` in the work
 * folder is the latest preview, and the metric `alignment_nme` is the mean over its images, percent.
 *
 * Nothing here takes from the random numbers of the training.
 */
export async function previews(ctx: StageContext, of: Previews): Promise<PreviewCallback> {
  const { every, faces, prompt, model, parameters, detector } = of;
  const device = await ctx.device();
  const count = Math.min(of.count, faces.records.length);
  const sampling = { ...SAMPLING, batch_size: count };
  const { specs } = samplerOf(model, faces.size_px, model.tokenizer.length, sampling);
  const others = new Map([...specs].filter(([name]) => !parameters.has(name)));
  const own = await uploadParameters(device, readModel(model, others));
  using owned = disposing(own.values());
  const generator = owned.use(
    new ImageGenerator(device, model, faces.size_px, sampling, new Map([...parameters, ...own])),
  );
  const scoringDetector = detector && owned.use(await loadDetector(device, detector.dir, { batch: count }));
  const random = new Random(ctx.seed, "diffusion/previews");
  const chosen = new Set(Array.from({ length: count }, (_, k) => Math.floor(k * faces.records.length / count)));
  const requests = [...faces.records.entries()].filter(([index]) => chosen.has(index)).map(([index, record]) => ({
    landmarks: landmarksOf(faces, index),
    schema: faces.schema,
    prompt: promptOf(record, prompt),
  }));
  const kept = owned.move();
  return {
    every,
    async evaluate(step) {
      const images = await generator.generate(requests.map((request, k) => ({ ...request, random: random.at(k) })));
      const made = images.map((image, k) => ({ image, landmarks: itemAt(requests, k, "requests").landmarks }));
      const cells = made.flatMap(({ image, landmarks }) => [image, overlayLandmarks(image, landmarks, faces.schema)]);
      await writePng(`${ctx.work}/preview.png`, contactSheet(cells, 8));
      if (detector && scoringDetector) {
        const { nme } = await align(scoringDetector, faces.schema, made, (one) => Promise.resolve(one));
        const alignment_nme = mean(nme);
        ctx.metric({ step, alignment_nme });
        ctx.log(`step ${step}: alignment_nme ${alignment_nme.toFixed(2)} % under ${detector.stage}`);
      }
      return false;
    },
    [Symbol.dispose]: () => kept.dispose(),
  };
}
