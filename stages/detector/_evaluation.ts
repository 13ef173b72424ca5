/**
 * Evaluations of a detector in training: NME on the batch and on validation images, the best weights, early stopping.
 *
 * @module
 */
import type { Faces, LoadedDataset } from "../../faces/data/dataset.ts";
import { shrink } from "../../faces/data/image.ts";
import { rescale } from "../../faces/landmarks.ts";
import { nmePerImage } from "../../faces/metrics.ts";
import { convertLandmarks, type LandmarkSchema } from "../../faces/schema.ts";
import { mean } from "../../faces/statistics.ts";
import type { Detector } from "../../models/detectors/detector.ts";
import type { Trainer } from "../../models/trainer.ts";
import type { Artifact, StageContext } from "../../runtime/stage.ts";
import type { Batches } from "../lib/batches.ts";
import { BestCheckpoint } from "../lib/best_weights.ts";
import { imageOf, landmarksOf, loadFaces } from "../lib/faces.ts";
import type { Callback } from "../lib/training.ts";

/** Images of an evaluation during training; the one at the end takes all. */
const VAL_SUBSET = 96;

/** A training that is evaluated. */
export interface Evaluated {
  readonly trainer: Trainer;
  readonly batches: Batches;
  readonly schema: LandmarkSchema;
  /** The detector with the averaged weights, and validation images. */
  readonly val: { readonly detector: Detector; readonly faces: LoadedDataset } | undefined;
  /** Writes the averaged weights to a folder. */
  save(dir: string): Promise<void>;
}

/** An evaluation between steps, and at the end the last one, which also writes the weights that are kept. */
export interface Evaluation extends Callback {
  /** Measures the end, and writes the detector. */
  finish(): Promise<void>;
}

/** Creates the evaluation of a training. */
export function evaluationOf(
  ctx: StageContext,
  { trainer, batches, schema, val, save }: Evaluated,
  { keep, patience, val_every }: {
    readonly keep?: "last" | "best" | undefined;
    readonly patience?: number | undefined;
    readonly val_every: number;
  },
): Evaluation {
  const best = new BestCheckpoint(`${ctx.work}/best`);
  const subset = val && spread(val.faces, VAL_SUBSET);
  const measure = async (detector: Detector, faces: Faces) => {
    const { landmarks } = await detector.predict(faces.images, faces.size_px);
    return mean(nmePerImage(landmarks, faces.landmarks, schema));
  };
  return {
    every: val_every,
    async evaluate(step) {
      const { landmarks: truth } = await batches.get(step - 1);
      const nme_train = mean(nmePerImage(await trainer.step_plan.read("landmarks"), truth!, schema));
      const nme_val = val && subset && await measure(val.detector, subset);
      ctx.metric({ step, nme_train, ...(nme_val !== undefined && { nme_val }) });
      const validated = nme_val === undefined ? "" : `, ${nme_val.toFixed(2)} % on validation images`;
      ctx.log(`step ${step}: NME ${nme_train.toFixed(2)} % on the batch${validated}`);
      if (nme_val === undefined || (keep !== "best" && patience === undefined)) return false;
      const since = await best.update(step, nme_val, save);
      if (since < (patience ?? Infinity)) return false;
      ctx.log(`no smaller NME in ${since} steps: the training ends here`);
      return true;
    },
    async finish() {
      if (val) {
        const nme_val = await measure(val.detector, val.faces);
        ctx.metric({ step: trainer.steps, nme_val });
        ctx.log(`NME ${nme_val.toFixed(2)} % on ${val.faces.records.length} validation images`);
      }
      if (keep !== "best" || !val || !subset) return await save(ctx.dir);
      // The end is measured as the rest was, on a part of the images.
      await best.update(trainer.steps, await measure(val.detector, subset), save);
      await save(`${ctx.dir}/last`);
      await best.copyTo(ctx.dir);
      ctx.log(`kept are the weights of step ${best.step}`);
    },
  };
}

/** A dataset in memory, its images no more than needed larger than the network's, its landmarks of the schema wanted. */
export async function facesFor(artifact: Artifact, to_px: number, schema: LandmarkSchema): Promise<LoadedDataset> {
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
