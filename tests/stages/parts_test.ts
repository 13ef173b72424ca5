import assert from "node:assert/strict";
import { join } from "node:path";
import { openDevice } from "../../engine/device.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { silent } from "../../runtime/run/progress.ts";
import { runTask } from "../../runtime/run/task.ts";
import { stages } from "../../stages/mod.ts";
import { slowTest } from "../slow.ts";
import { inFolder } from "./run_stages.ts";

const TEXT = `name: test
stages:
  faces: { uses: faces/render, with: { styles: [photo, ink], count: 70, size_px: 64 } }
  detector: { uses: detector/load, with: { path: models/tiny/detector } }
  found: { uses: detector/detect, in: { detector: detector, data: faces } }
  model: { uses: model/load, with: { path: models/tiny } }
  pairs:
    uses: dataset/generate
    in: { model: model, landmarks: faces }
    with: { styles: [ink, anime], per_style: 3, steps: 1, guidance: 1, batch_size: 2 }
`;

/** Hashes of the files below a folder, but those about how it was made. */
function filesBelow(dir: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { name, isDirectory } of Deno.readDirSync(dir)) {
    if (isDirectory) Object.assign(found, filesBelow(join(dir, name)));
    else if (!name.startsWith("manifest")) found[name] = Deno.readFileSync(join(dir, name)).toBase64();
  }
  return found;
}

slowTest(
  "stages that can be divided make the same bytes from parts, of which some were made twice or not at all",
  async () => {
    await inFolder(async (dir) => {
      await Deno.writeTextFile(`${dir}/test.yaml`, TEXT);
      const pipeline = await readPipeline(`${dir}/test.yaml`, stages, { roots: [Deno.cwd()] });
      const device = await openDevice();
      const task = async (root: string, stage: string, part?: readonly [index: number, count: number]) => {
        await runTask(pipeline, { stage, shard: part && { index: part[0], count: part[1] } }, {
          root: `${dir}/${root}`,
          signal: new AbortController().signal,
          reporter: silent,
          openDevice: () => Promise.resolve({ ...device, destroy() {} }),
        });
      };
      for (const stage of ["faces", "detector", "found", "model", "pairs"]) {
        await task("whole", stage);
        const { spec } = pipeline.stages.find(({ id }) => id === stage)!;
        for (const index of spec.shard ? [2, 0, 0] : []) await task("parts", stage, [index, 3]);
        await task("parts", stage);
        assert.deepEqual(filesBelow(`${dir}/parts/test/${stage}`), filesBelow(`${dir}/whole/test/${stage}`), stage);
      }
      device.destroy();
    });
  },
);
