/**
 * Finds landmarks in the images of a dataset: a first annotation to correct by hand, or a detector's view of images
 * that were drawn from other landmarks.
 *
 * @module
 */

import { z } from "zod";
import { DatasetWriter } from "../../faces/data/dataset_writer.ts";
import { openDataset } from "../../faces/data/dataset.ts";
import { contactSheet, overlayLandmarks } from "../../faces/draw.ts";
import type { Image } from "../../faces/data/image.ts";
import { writePng } from "../../faces/data/image_file.ts";
import { loadDetector } from "../../models/detectors/detector.ts";
import { exists, readJsonIfUsable, writeAtomic } from "../../formats/files.ts";
import { type ShardContext, stage } from "../../runtime/stage.ts";
import { datasetInfo, detectorOf } from "../lib/artifacts.ts";

/** Images on the contact sheet, at most. */
const SHEET = 60;

/** `detector/detect`: writes the images with the landmarks found in place of their own; all else is kept. */
export const detectLandmarks = stage({
  id: "detector/detect",
  doc: "Replaces the landmarks of a dataset by those that a detector finds in its images.",
  version: 2,
  inputs: { detector: "detector", data: "dataset" },
  output: "dataset",
  options: z.object({
    flip: z.boolean().default(true).describe(
      "Average the landmarks of an image and of its mirror image, both also moved by half a pixel of the heatmaps",
    ),
    columns: z.int().min(1).max(SHEET).optional().describe("Images in a row of contact.png; by default 10"),
  }),
  describeOutput: async (_options, { detector, data }) => ({
    ...await datasetInfo([data]),
    schema: (await detectorOf(detector)).schema,
  }),
  async shard(ctx, { detector: { dir }, data }, { flip }, { index, count }) {
    const source = await openDataset(data.dir);
    const kept = (i: number) => exists(pathOf(ctx, i));
    const mine = source.records.map((_, i) => i).filter((i) => Math.floor(i / PART) % count === index);
    const missing = mine.filter((i) => !kept(i));
    if (!missing.length) return;
    using detector = await loadDetector(await ctx.device(), dir);
    async function* samples() {
      for (const i of missing) {
        ctx.signal.throwIfAborted();
        yield { i, image: (await source.load(i)).image };
      }
    }
    let done = mine.length - missing.length;
    for await (const [{ i }, found] of detector.each(samples(), ({ image }) => image.data, source.size_px, { flip })) {
      writeAtomic(pathOf(ctx, i), JSON.stringify([...found!.landmarks]));
      ctx.progress(++done, mine.length);
    }
  },
  async run(ctx, { detector: { dir }, data }, { flip, columns = 10 }) {
    const source = await openDataset(data.dir);
    using detector = await loadDetector(await ctx.device(), dir);
    const writer = await DatasetWriter.create(ctx.dir, detector.schema);
    const count = source.records.length;
    async function* samples() {
      for (let i = 0; i < count; i++) {
        ctx.signal.throwIfAborted();
        yield { ...await source.load(i), known: readJsonIfUsable<number[]>(pathOf(ctx, i)) };
      }
    }
    const sheet: Image[] = [];
    const every = Math.ceil(count / SHEET);
    const cropOf = ({ image, known }: { image: Image; known?: readonly number[] | undefined }) =>
      known ? null : image.data;
    for await (const [sample, found] of detector.each(samples(), cropOf, source.size_px, { flip })) {
      const { image, known, record: { file_name: _, ...record } } = sample;
      const landmarks = known ? Float32Array.from(known) : found!.landmarks;
      if (writer.count % every === 0) sheet.push(overlayLandmarks(image, landmarks, detector.schema));
      await writer.add(image, { ...record, landmarks });
      ctx.progress(writer.count, count);
    }
    await writer.close();
    await writePng(`${ctx.dir}/contact.png`, contactSheet(sheet, columns));
  },
});

/** Images that one process takes in a row. */
const PART = 32;

/** File of the landmarks that another process found in an image. */
const pathOf = ({ work }: ShardContext, index: number) => `${work}/${String(index).padStart(6, "0")}.json`;
