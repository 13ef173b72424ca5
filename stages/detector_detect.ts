/**
 * Finds landmarks in the images of a dataset: a first annotation to correct by hand, or what a detector makes of images
 * that were drawn from other landmarks.
 *
 * @module
 */

import { z } from "zod";
import { DatasetWriter } from "../faces/dataset.ts";
import { contactSheet, overlayLandmarks } from "../faces/draw.ts";
import { writePng } from "../faces/image.ts";
import { loadDetector } from "../models/detector.ts";
import { stage } from "../runtime/stage.ts";
import { imageOf, landmarksOf, loadFaces } from "./_faces.ts";

/** Images on the contact sheet, at most. */
const SHEET = 60;

/** `detector/detect`: writes the images with the landmarks found in place of their own; all else is kept. */
export const detectLandmarks = stage({
  id: "detector/detect",
  doc: "Finds landmarks in a dataset's images, and writes them in place of those it has.",
  version: 1,
  inputs: { detector: "detector", data: "dataset" },
  output: "dataset",
  options: z.object({
    flip: z.boolean().default(true).describe("Average what is found in an image and in its mirror image"),
  }),
  async run(ctx, { detector: { dir }, data }, { flip }) {
    const faces = await loadFaces([data]);
    const detector = await loadDetector(await ctx.device(), dir);
    const writer = await DatasetWriter.create(ctx.dir);
    const bytes = faces.size_px * faces.size_px * 3;
    const sheet = [];
    const every = Math.ceil(faces.records.length / SHEET);
    for (let first = 0; first < faces.records.length; first += detector.batch) {
      ctx.signal.throwIfAborted();
      const records = faces.records.slice(first, first + detector.batch);
      const images = faces.images.subarray(first * bytes, (first + records.length) * bytes);
      const found = await detector.predict(images, faces.size_px, { flip });
      for (const [k, { file_name: _, ...record }] of records.entries()) {
        const [image, landmarks] = [imageOf(faces, first + k), landmarksOf(found, k).slice()];
        await writer.add(image, { ...record, landmarks });
        if ((first + k) % every === 0) sheet.push(overlayLandmarks(image, landmarks));
      }
      ctx.progress(first + records.length, faces.records.length);
    }
    detector.destroy();
    await writer.close();
    await writePng(`${ctx.dir}/contact.png`, contactSheet(sheet, 10));
  },
});
