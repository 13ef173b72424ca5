/**
 * Measures the covariance of the errors of a detector's landmarks.
 *
 * @module
 */

import { z } from "zod";
import { counted } from "../../formats/numbers.ts";
import { augment, type Augmentation } from "../../faces/data/augment.ts";
import { STRONGEST_BEND } from "../../faces/bends.ts";
import { errorCovariance } from "../../faces/error_covariance.ts";
import { convertLandmarks } from "../../faces/schema.ts";
import { loadDetector, readDetector, saveDetector } from "../../models/detectors/detector.ts";
import { writeErrors } from "../../models/detectors/errors.ts";
import { Random } from "../../engine/rng.ts";
import { stage } from "../../runtime/stage.ts";
import { datasetsConflicts, ifKnown, trainingSchemaConflicts } from "../lib/checks.ts";
import { detectorOf } from "../lib/artifacts.ts";
import { imageOf, landmarksOf, loadFaces } from "../lib/faces.ts";

/** No change except bends. */
const UNCHANGED: Augmentation = {
  flip: 0,
  rotation: 0,
  scale: 0,
  shift: 0,
  colour: 0,
  grey: 0,
  noise: 0,
  occlusion: 0,
};

/**
 * `detector/errors`: writes the detector with `errors.safetensors`, the covariance of its errors on faces that it was not trained
 * on. The page of `correct` moves landmarks by it after one that was placed by hand.
 */
export const learnErrors = stage({
  id: "detector/errors",
  doc: "Measures the covariance of a detector's errors, for correct, on faces and on caricatures of them.",
  version: 2,
  inputs: { detector: "detector", "data*": "dataset" },
  output: "detector",
  options: z.object({
    bend: z.number().positive().max(STRONGEST_BEND).default(STRONGEST_BEND).describe(
      "Strength of the bends that make caricatures of the faces, as in detector/train",
    ),
    dtype: z.enum(["f32", "f16"]).default("f32").describe("Element type of the weights"),
  }),
  check: async (_options, { detector, data }) => [
    ...await datasetsConflicts(data),
    ...await trainingSchemaConflicts(data, (await ifKnown(() => detectorOf(detector)))?.schema, "data"),
  ],
  describeOutput: async (_options, { detector }) => ({ detector: await detectorOf(detector) }),
  async run(ctx, { detector: { dir }, data }, { bend, dtype }) {
    using detector = await loadDetector(await ctx.device(), dir);
    const { schema } = detector, faces = await loadFaces(data), { size_px } = faces, count = faces.records.length;
    const random = new Random(ctx.seed, "bends"), changed = new Float32Array(size_px * size_px * 3);
    const images = new Uint8Array(2 * faces.images.length), truth = new Float32Array(2 * faces.landmarks.length);
    images.set(faces.images);
    truth.set(faces.landmarks);
    for (let n = 0; n < count; n++) {
      const { data } = imageOf(faces, n), own = landmarksOf(faces, n), at = count + n;
      const bent = augment(data, size_px, own, faces.schema, random, { ...UNCHANGED, bend }, size_px, changed);
      images.set(changed.map((value) => Math.round((value + 1) * 127.5)), at * data.length);
      truth.set(bent, at * own.length);
    }
    const found = await detector.predict(images, size_px, { flip: true });
    const { config, tensors } = await readDetector(dir);
    await saveDetector(ctx.dir, config, tensors, { dtype: dtype === "f16" ? "F16" : "F32" });
    const right = convertLandmarks(truth, faces.schema, schema);
    await writeErrors(ctx.dir, errorCovariance(found.landmarks, right, schema));
    ctx.log(`${counted(count, "face")} and as many caricatures`);
  },
});
