import assert from "node:assert/strict";
import { z } from "zod";
import { DatasetWriter } from "../../faces/data/dataset_writer.ts";
import { openDataset } from "../../faces/data/dataset.ts";
import { openDevice } from "../../engine/device.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { runPipeline } from "../../runtime/run/run.ts";
import { silent } from "../../runtime/run/progress.ts";
import { type AnyStage, stage } from "../../runtime/stage.ts";
import { stages } from "../../stages/mod.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { inFolder } from "./run_stages.ts";

/** Moves all landmarks to the right. */
const moved = stage({
  id: "fake/moved",
  doc: "Moves landmarks.",
  version: 1,
  inputs: { data: "dataset" },
  output: "dataset",
  options: z.object({ px: z.number() }),
  async run(ctx, { data }, { px }) {
    const source = await openDataset(data.dir);
    const writer = await DatasetWriter.create(ctx.dir, SCHEMAS.ibug68);
    for (const index of source.records.keys()) {
      const { image, record: { file_name: _, ...record } } = await source.load(index);
      await writer.add(image, { ...record, landmarks: record.landmarks.map((v, i) => v + (i % 2 ? 0 : px)) });
    }
    await writer.close();
  },
});

const text = `stages:
  faces: { uses: faces/render, with: { styles: [photo, ink], count: 8, size_px: 64 } }
  near: { uses: fake/moved, in: { data: faces }, matrix: { px: [0, 1] }, with: { px: "\${px}" } }
  far: { uses: fake/moved, in: { data: faces }, with: { px: 8 } }
  star: { uses: detector/load, with: { path: models/tiny/detector } }
  twice: { uses: detector/load, matrix: { seed: [1, 2] }, with: { path: models/tiny/detector } }
  arms: { uses: detector/compare, in: { detectors: [star, "twice@*"], data: ["near@*", far] } }
  plain: { uses: detector/evaluate, in: { detectors: star, data: ["near@*", far] } }
`;

Deno.test("detector/compare takes the runs of a matrix together", async () => {
  await inFolder(async (dir) => {
    await Deno.writeTextFile(`${dir}/test.yaml`, text);
    const registry = { ...stages, "fake/moved": () => Promise.resolve(moved as AnyStage) };
    const pipeline = await readPipeline(`${dir}/test.yaml`, registry, { roots: [Deno.cwd()] });
    const { results } = await runPipeline(pipeline, { root: `${dir}/runs`, reporter: silent, openDevice });
    const rows = results.filter(({ stage }) => stage === "arms");
    const number = (row: typeof rows[number] | undefined, name: string) => Number(row?.[name]);
    assert.deepEqual(rows.map(({ detector, dataset, runs, images }) => [detector, dataset, runs, images]), [
      ["star", "near", 2, 16],
      ["twice", "near", 4, 16],
      ["star", "far", 1, 8],
      ["twice", "far", 2, 8],
    ]);
    for (const row of rows) {
      const [low, mean, high] = ["nme_low", "nme_interocular", "nme_high"].map((name) => number(row, name));
      assert.ok(low! <= mean! && mean! <= high!, JSON.stringify(row));
      assert.ok(number(row, "lowest_run") <= mean! && mean! <= number(row, "highest_run"));
    }
    // Arms are compared on the same draws: the same detector is no better than itself, whatever the interval.
    const close = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-9, `${a} is not ${b}`);
    for (const row of rows) for (const end of ["change_low", "change_high"]) close(number(row, end), 0);
    // Means over the runs of what detector/evaluate says of each.
    const plain = results.filter(({ stage }) => stage === "plain").map((row) => number(row, "nme_interocular"));
    const [first, second, far] = plain as [number, number, number];
    close(number(rows[0], "nme_interocular"), (first + second) / 2);
    close(number(rows[1], "lowest_run"), Math.min(first, second));
    close(number(rows[1], "highest_run"), Math.max(first, second));
    close(number(rows[3], "nme_interocular"), far);
    assert.ok(far > 2 * second);
  });
});
