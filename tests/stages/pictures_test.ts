import assert from "node:assert/strict";
import { openDevice } from "../../engine/device.ts";
import { createImage } from "../../faces/data/image.ts";
import { readImage, writePng } from "../../faces/data/image_file.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { silent } from "../../runtime/run/progress.ts";
import { runPipeline } from "../../runtime/run/run.ts";
import { stages } from "../../stages/mod.ts";
import { openDataset } from "../../faces/data/dataset.ts";
import { inFolder } from "./run_stages.ts";

const head = `
stages:
  finder: { uses: finder/load, with: { path: models/faces/finder } }
  detector: { uses: detector/load, with: { path: models/faces } }
  faces: { uses: faces/render, with: { styles: [photo], count: 3, size_px: 160 } }
`;
const measured = (given: string) => `
  measured:
    uses: finder/pictures
    in: { finder: finder, detector: detector${given}
`;

async function run(dir: string, text: string): Promise<string> {
  await Deno.writeTextFile(`${dir}/test.yaml`, text);
  await runPipeline(await readPipeline(`${dir}/test.yaml`, stages), {
    root: `${dir}/runs`,
    reporter: silent,
    openDevice,
  });
  return `${dir}/runs/test`;
}

const readJson = async (path: string) => JSON.parse(await Deno.readTextFile(path));

Deno.test("finder/pictures measures on pages of a dataset's faces", () =>
  inFolder(async (dir) => {
    const at = await run(dir, head + measured(", data: faces }\n    with: { min_score: 0.2 }"));
    const results = await readJson(`${at}/measured/results.json`);
    assert.deepEqual([results.pictures, results.faces, results.rows.length], [1, 3, 1]);
    assert.ok(results.nme_of_all_at_true_places > 0.5 && results.nme_of_all_at_true_places < 15);
    assert.equal((await readImage(`${at}/measured/pictures.png`)).width > 200, true);
  }));

Deno.test("finder/pictures measures on whole pictures with several faces, and on those turned", () =>
  inFolder(async (dir) => {
    const at = await run(dir, head);
    const { records } = await openDataset(`${at}/faces`);
    const side = 160, page = createImage(2 * side + 30, side + 20, [90, 100, 110]);
    const shifts = [[10, 10], [side + 20, 10]] as const;
    const annotations = [];
    for (const [k, [left, top]] of shifts.entries()) {
      const { file_name, landmarks } = records[k]!;
      const { data } = await readImage(`${at}/faces/${file_name}`);
      for (let y = 0; y < side; y++) {
        page.data.set(data.subarray(y * side * 3, (y + 1) * side * 3), ((y + top) * page.width + left) * 3);
      }
      const keypoints = Array.from(landmarks, (px, i) => px + 0.5 + (i % 2 ? top : left))
        .flatMap((px, i) => i % 2 ? [px, 2] : [px]);
      annotations.push({ id: k + 1, image_id: 1, category_id: 1, num_keypoints: 68, keypoints, bbox: [0, 0, 1, 1] });
    }
    await Deno.mkdir(`${dir}/pictures`);
    await writePng(`${dir}/pictures/page.png`, page);
    const images = [{ id: 1, file_name: "page.png", width: page.width, height: page.height }];
    const keypoints = Array.from({ length: 68 }, (_, k) => `${k}`);
    const categories = [{ id: 1, name: "face", keypoints }];
    await Deno.writeTextFile(`${dir}/coco.json`, JSON.stringify({ images, annotations, categories }));
    await run(
      dir,
      head +
        measured(` }\n    with: { path: ${dir}/pictures, format: coco, annotations: ${dir}/coco.json, turned: true }`),
    );
    const results = await readJson(`${at}/measured/results.json`);
    assert.deepEqual([results.pictures, results.faces, results.recall, results.rows[0].name], [1, 2, 1, "page.png"]);
    assert.ok(results.others_per_picture < 2);
    // Upright faces are framed as by their true places.
    assert.ok(results.nme < 1.5 * results.nme_at_true_places && results.nme_at_true_places < 12);
    assert.ok(results.same_when_turned >= 0 && results.same_when_turned <= 1);
    assert.equal(results.faces_of_turned, 3 * (results.recall * 2 + results.others_per_picture));
  }));

Deno.test("finder/pictures takes either a dataset or a folder", () =>
  inFolder(async (dir) => {
    await assert.rejects(run(dir, head + measured(" }")), /neither it nor the input "data" is given/);
    await Deno.mkdir(`${dir}/pictures`);
    await assert.rejects(
      run(dir, head + measured(`, data: faces }\n    with: { path: ${dir}/pictures }`)),
      /data is given/,
    );
  }));
