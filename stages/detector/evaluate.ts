/**
 * Measures detectors on datasets: the table of a pipeline, error curves, and sheets of the best and worst images.
 *
 * @module
 */

import { z } from "zod";
import type { Faces } from "../../faces/data/dataset.ts";
import { contactSheet, overlayLandmarks } from "../../faces/draw.ts";
import { cropSquare, cropTransform, type Image } from "../../faces/data/image.ts";
import { writePng } from "../../faces/data/image_file.ts";
import { transformLandmarks } from "../../faces/landmarks.ts";
import { evaluate } from "../../faces/metrics.ts";
import { convertLandmarks } from "../../faces/schema.ts";
import { roundTo } from "../../faces/statistics.ts";
import { loadDetector } from "../../models/detectors/detector.ts";
import { itemAt } from "../../engine/lookup.ts";
import { Random } from "../../engine/rng.ts";
import { stage } from "../../runtime/stage.ts";
import { detectorsConflicts } from "../lib/checks.ts";
import { imageOf, landmarksOf, loadFaces } from "../lib/faces.ts";
import { flipOption, normaliserOption } from "./_options.ts";
import { addResults, noResults, writeCed, writeResults } from "../report/_results.ts";

/** Columns of a sheet: the best images and as many of the worst. */
const COLUMNS = 10;
/** Least side of an image on a sheet, pixels. */
const CELL_PX = 128;

/**
 * `detector/evaluate`: every detector on every dataset; `results.json` has the styles and regions too, `DATASET_ced` the
 * error curves as SVG and PNG.
 */
export const evaluateDetectors = stage({
  id: "detector/evaluate",
  doc: "Measures detectors on datasets: NME, and at each threshold failure rate and area under the error curve.",
  version: 4,
  inputs: { "detectors*": "detector", "data*": "dataset" },
  output: "table",
  options: z.object({
    normaliser: normaliserOption,
    thresholds: z.array(z.number().min(0.5)).min(1).optional()
      .describe("Errors above which a face counts as a failure, percent; by default only 10"),
    flip: flipOption,
  }),
  check: async (_options, { detectors, data }) => await detectorsConflicts(detectors, data),
  async run(ctx, { detectors, data }, { normaliser, thresholds, flip }) {
    const device = await ctx.device();
    const results = noResults();
    let done = 0;
    for (const artifact of data) {
      const dataset = artifact.stage;
      const faces = await loadFaces([artifact]);
      const cells: Image[] = [], labels: string[] = [];
      for (const { dir, stage: detector } of detectors) {
        ctx.signal.throwIfAborted();
        using network = await loadDetector(device, dir);
        const { landmarks } = await network.predict(faces.images, faces.size_px, { flip });
        const found = convertLandmarks(landmarks, network.schema, faces.schema);
        const evaluation = evaluate(found, faces.landmarks, faces.schema, new Random(ctx.seed, "bootstrap"), {
          normaliser,
          ...(thresholds && { thresholds }),
          styles: faces.records.map(({ style }) => style),
          groups: faces.records.map(({ group }) => group),
        });
        ctx.summary(addResults(results, detector, dataset, evaluation));
        const { per_image } = evaluation;
        for (const { index, nme } of bestAndWorst(per_image, COLUMNS / 2)) {
          cells.push(overlay(faces, index, found));
          labels.push(`${nme.toFixed(1)} ${detector}`);
          const { file_name } = itemAt(faces.records, index, "records");
          results.examples.push({
            detector,
            dataset,
            file_name,
            nme,
            landmarks: points({ landmarks: found, schema: faces.schema }, index),
          });
        }
        ctx.progress(++done, detectors.length * data.length);
      }
      await writeCed(`${ctx.dir}/${dataset}_ced`, dataset, results.ced);
      await writePng(`${ctx.dir}/${dataset}.png`, contactSheet(cells, Math.min(COLUMNS, cells.length), { labels }));
    }
    await writeResults(ctx.dir, results);
  },
});

/** Landmarks of an image, `[P][2]`, to a thousandth of a pixel. */
function points(found: Pick<Faces, "landmarks" | "schema">, index: number): number[][] {
  const face = landmarksOf(found, index);
  return Array.from(
    { length: face.length / 2 },
    (_, i) => [...face.subarray(2 * i, 2 * i + 2)].map((px) => roundTo(px, 3)),
  );
}

/** The images with the smallest and the largest errors, smallest first; all images if there are no more. */
function bestAndWorst(errors: readonly number[], each: number): { index: number; nme: number }[] {
  const order = errors.map((nme, index) => ({ index, nme })).sort((a, b) => a.nme - b.nme);
  return order.length <= 2 * each ? order : [...order.slice(0, each), ...order.slice(-each)];
}

/** An image with the landmarks found in it, enlarged if it is smaller than a cell. */
function overlay(faces: Faces, index: number, found: Float32Array): Image {
  const whole = { x: -0.5, y: -0.5, side: faces.size_px };
  const side = Math.max(CELL_PX, faces.size_px);
  const face = transformLandmarks(landmarksOf({ ...faces, landmarks: found }, index), cropTransform(whole, side));
  return overlayLandmarks(cropSquare(imageOf(faces, index), whole, side), face, faces.schema);
}
