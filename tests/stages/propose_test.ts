import assert from "node:assert/strict";
import { openDevice } from "../../engine/device.ts";
import { Random } from "../../engine/rng.ts";
import { openDataset } from "../../faces/data/dataset.ts";
import { createImage } from "../../faces/data/image.ts";
import { encodePng, readImage } from "../../faces/data/image_file.ts";
import { boundingBox, boxDiagonal, CROP_SCALE } from "../../faces/landmarks.ts";
import { detectorSpecs, saveDetector } from "../../models/detectors/detector.ts";
import { hourglassConfig } from "../../models/detectors/hourglass.ts";
import { saveFinder } from "../../models/finder/finder.ts";
import { finderConfig, finderSpecs } from "../../models/finder/network.ts";
import { initialise } from "../../models/io/params.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { silent } from "../../runtime/run/progress.ts";
import { runPipeline } from "../../runtime/run/run.ts";
import { stages } from "../../stages/mod.ts";
import { inFolder } from "./run_stages.ts";

Deno.test("dataset/propose makes a dataset of the faces that finder and detector find, with doubts", () =>
  inFolder(async (dir) => {
    const detector = hourglassConfig.parse({
      size_px: 32,
      heatmap_px: 16,
      stacks: 1,
      depth: 1,
      channels: 16,
      groups: 2,
    });
    await saveDetector(`${dir}/detector`, detector, initialise(detectorSpecs(detector), 3));
    // Not trained: it sees faces in noise.
    const finder = finderConfig.parse({ stem: 4, c4: 4, c8: 8, c16: 8, c32: 8, neck: 8 });
    await saveFinder(`${dir}/finder`, finder, initialise(finderSpecs(finder), 3));
    await Deno.mkdir(`${dir}/in/below`, { recursive: true });
    const random = new Random(4, "propose");
    for (const name of ["a", "below/b", "skip"]) {
      const image = createImage(120, 90);
      image.data.forEach((_, i) => image.data[i] = random.int(256));
      await Deno.writeFile(`${dir}/in/${name}.png`, encodePng(image));
    }
    await Deno.writeTextFile(`${dir}/in/c.jfif`, "no picture");
    const run = async (options: string) => {
      await Deno.writeTextFile(
        `${dir}/test.yaml`,
        `stages:
  detector: { uses: detector/load, with: { path: ${dir}/detector } }
  faces:
    uses: dataset/propose
    in: { detector: detector }
    with: { path: ${dir}/in, size_px: 48, finder: ${dir}/finder, exclude: ["skip*"], max_faces: 2, ${options} }
`,
      );
      const pipeline = await readPipeline(`${dir}/test.yaml`, stages, { roots: ["../shared"] });
      await runPipeline(pipeline, { root: `${dir}/runs`, reporter: silent, openDevice });
    };
    await run("min_score: 0.001, style: ink");
    const { records, size_px, load } = await openDataset(`${dir}/runs/test/faces`);
    assert.ok(records.length >= 2 && records.length <= 4, `${records.length} faces`);
    assert.deepEqual([...new Set(records.map(({ group }) => group))], ["a", "below/b"]);
    for (const [i, { style, landmarks, uncertainty_px, doubt, score, source, group }] of records.entries()) {
      const { image } = await load(i);
      assert.deepEqual([size_px, image.width, style, uncertainty_px!.length], [48, 48, "ink", 68]);
      assert.ok(source === group || source === `${group}#2`);
      assert.ok(score! > 0 && score! < 1);
      const { x, y, width, height } = boundingBox(landmarks);
      assert.ok(Math.abs(Math.max(width, height) - 48 / CROP_SCALE) < 0.01 && x > 0 && y > 0);
      const mean = uncertainty_px!.reduce((sum, px) => sum + px) / 68;
      assert.ok(Math.abs(100 * mean / boxDiagonal(landmarks) - doubt!) < 0.02 * doubt!);
    }
    assert.match(
      await Deno.readTextFile(`${dir}/runs/test/faces/bad.jsonl`),
      /^\{"file":"c\.jfif","reason":"Cannot read/,
    );
    assert.ok((await readImage(`${dir}/runs/test/faces/contact.png`)).width > 48);
    await assert.rejects(run("min_score: 1"), /there is no face in 3 pictures, hint: a lower min_score/);
  }));
