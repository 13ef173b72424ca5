/**
 * Takes one side of a dataset that is split by groups.
 *
 * @module
 */
import { z } from "zod";
import { counted } from "../../formats/numbers.ts";
import { DatasetWriter } from "../../faces/data/dataset_writer.ts";
import { openDataset } from "../../faces/data/dataset.ts";
import { splitByGroup } from "../../faces/data/split.ts";
import { stage } from "../../runtime/stage.ts";
import { datasetInfo } from "../lib/artifacts.ts";

/** `dataset/split`: two stages with one seed and fraction and different parts are the two sides. */
export const splitDataset = stage({
  id: "dataset/split",
  doc: "Selects the training part of a dataset or its holdout; no group is in both.",
  version: 1,
  inputs: { data: "dataset" },
  output: "dataset",
  options: z.object({
    part: z.enum(["train", "holdout"]).describe("Part to select"),
    fraction: z.number().gt(0).lt(1).default(0.2).describe("Share of the images in the holdout"),
    // not the stage's own seed: the stages of the two parts must agree
    seed: z.int().min(0).default(0).describe("Seed of the split; both parts need the same one"),
  }),
  describeOutput: async (_options, { data }) => await datasetInfo([data]),
  async run(ctx, { data }, { part, fraction, seed }) {
    const source = await openDataset(data.dir);
    const indices = splitByGroup(source.records, fraction, seed)[part];
    const writer = await DatasetWriter.create(ctx.dir, source.schema);
    for (const index of indices) {
      ctx.signal.throwIfAborted();
      await writer.copy(source, index);
      ctx.progress(writer.count, indices.length);
    }
    await writer.close();
    ctx.log(`${writer.count} of ${counted(source.records.length, "image")}`);
  },
});
