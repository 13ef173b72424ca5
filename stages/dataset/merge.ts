/**
 * Puts datasets together.
 *
 * @module
 */
import { z } from "zod";
import { InputError } from "../../formats/input_error.ts";
import { counted } from "../../formats/numbers.ts";
import { DatasetWriter } from "../../faces/data/dataset_writer.ts";
import { openDataset } from "../../faces/data/dataset.ts";
import { itemAt } from "../../engine/lookup.ts";
import { Random } from "../../engine/rng.ts";
import { stage } from "../../runtime/stage.ts";
import { datasetInfo } from "../lib/artifacts.ts";
import { datasetsConflicts, weightsConflict } from "../lib/checks.ts";
import { globFilter } from "../lib/glob.ts";

const count = z.int().min(1);

/** `dataset/merge`: images of equal groups in different datasets are one group afterwards. */
export const mergeDatasets = stage({
  id: "dataset/merge",
  doc: "Merges datasets, all styles or chosen ones, up to a limit.",
  version: 1,
  inputs: { "data*": "dataset" },
  output: "dataset",
  options: z.object({
    limit: z.union([count, z.array(count)]).optional()
      .describe(
        "Largest number of images of each dataset, drawn at random; a list gives one number per dataset, in their order",
      ),
    include: z.array(z.string()).default([]).describe("Styles to include, with * and ?; all when empty"),
    exclude: z.array(z.string()).default([]).describe("Styles to exclude, with * and ?"),
    shard_images: z.int().min(1).max(1_000_000).optional().describe(
      "Images of each tar archive, the form of WebDataset for very many images; by default files of their own",
    ),
  }),
  check: async ({ limit }, { data }) => [
    Array.isArray(limit) && weightsConflict("limit", limit, data.length, "datasets"),
    ...await datasetsConflicts(data),
  ],
  describeOutput: async (_options, { data }) => await datasetInfo(data),
  async run(ctx, { data }, { limit, include, exclude, shard_images }) {
    const random = new Random(ctx.seed, "limit");
    const isChosen = globFilter(include, exclude);
    const parts = await Promise.all(data.map(async ({ dir, stage }) => ({ stage, dataset: await openDataset(dir) })));
    const writer = await DatasetWriter.create(ctx.dir, itemAt(parts, 0, "datasets").dataset.schema, {
      shard_images,
    });
    for (const [i, { stage, dataset }] of parts.entries()) {
      const most = Array.isArray(limit) ? limit[i] : limit;
      const chosen = dataset.records.flatMap(({ style }, index) => isChosen(style) ? [index] : []);
      while (most !== undefined && chosen.length > most) chosen.splice(random.int(chosen.length), 1);
      for (const index of chosen) {
        ctx.signal.throwIfAborted();
        await writer.copy(dataset, index);
      }
      ctx.progress(i + 1, parts.length, { images: writer.count });
      ctx.log(`${chosen.length} of ${counted(dataset.records.length, "image")} of ${stage}`);
    }
    if (writer.count === 0) {
      const styles = [...new Set(parts.flatMap(({ dataset }) => dataset.records.map(({ style }) => style)))].sort();
      throw new InputError(`Cannot merge datasets as no image is of a chosen style`, {
        hint: `there are ${styles.join(", ")}`,
      });
    }
    await writer.close();
  },
});
