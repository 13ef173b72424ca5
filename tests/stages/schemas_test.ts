import assert from "node:assert/strict";
import { openDataset } from "../../faces/data/dataset.ts";
import { createImage } from "../../faces/data/image.ts";
import { encodePng } from "../../faces/data/image_file.ts";
import { drawLandmarks } from "../../faces/draw.ts";
import { similarity, transformLandmarks } from "../../faces/landmarks.ts";
import { convertLandmarks, type SchemaName, SCHEMAS } from "../../faces/schema.ts";
import { readPts } from "../../faces/pts.ts";
import { openDevice } from "../../engine/device.ts";
import { Random } from "../../engine/rng.ts";
import { readDetector } from "../../models/detectors/detector.ts";
import { detectorOnnx } from "../../models/detectors/detector_onnx.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { silent } from "../../runtime/run/progress.ts";
import { runPipeline } from "../../runtime/run/run.ts";
import { stages } from "../../stages/mod.ts";
import { inFolder } from "./run_stages.ts";
import { neutralFace } from "../faces/neutral_face.ts";
import { slowTest } from "../slow.ts";

const { ibug68, wflw98 } = SCHEMAS;
const SIDE = 40, COUNT = 12;

/** A face of 98 landmarks: those that `ibug68` has are where the neutral face has them, the others between these. */
function face98(size_px: number): Float32Array {
  const known = neutralFace(size_px), face = new Float32Array(2 * wflw98.count).fill(NaN);
  wflw98.maps["ibug68"]!.forEach(([at], i) => face.set(known.subarray(2 * i, 2 * i + 2), 2 * at!));
  for (const { points, closed } of wflw98.contours) {
    points.forEach((point, i) => {
      if (!Number.isNaN(face[2 * point]!)) return;
      const around = [points[i - 1], points[i + 1] ?? (closed ? points[0] : undefined)].filter((p) => p !== undefined);
      const sure = around.filter((p) => !Number.isNaN(face[2 * p]!));
      for (const axis of [0, 1]) {
        face[2 * point + axis] = sure.reduce((sum, p) => sum + face[2 * p + axis]!, 0) / sure.length;
      }
    });
  }
  for (const [pupil, { points }] of [[96, wflw98.contours[5]!], [97, wflw98.contours[6]!]] as const) {
    for (const axis of [0, 1]) {
      face[2 * pupil + axis] = face[2 * points[0]! + axis]! / 2 + face[2 * points[4]! + axis]! / 2;
    }
  }
  return face;
}

/** Images and a list as WFLW has them. */
async function writeWflw(dir: string): Promise<void> {
  await Deno.mkdir(dir);
  const lines: string[] = [];
  for (let i = 0; i < COUNT; i++) {
    const random = new Random(3, "schemas", i);
    const spread = (size: number) => (2 * random.uniform() - 1) * size;
    const move = similarity([20, 20], 0.8 + spread(0.1), spread(0.2), [spread(2), spread(2)]);
    const face = transformLandmarks(face98(SIDE), move);
    assert.ok(face.every(Number.isFinite));
    await Deno.writeFile(`${dir}/${i}.png`, encodePng(drawLandmarks(face, wflw98, SIDE)));
    lines.push([...face, 0, 0, SIDE, SIDE, 0, 0, 0, 0, 0, 0, `${i}.png`].join(" "));
  }
  await Deno.writeTextFile(`${dir}/list.txt`, lines.join("\n") + "\n");
}

const network = "{ size_px: 32, heatmap_px: 16, stacks: 1, depth: 2, channels: 16, groups: 2 }";
const training = "steps: 2, batch_size: 4, warmup_steps: 0";
const pipeline = (dir: string) => `
stages:
  wflw: { uses: dataset/import, with: { path: ${dir}/in, format: wflw, annotations: ${dir}/in/list.txt, schema: wflw98, size_px: 32 } }
  same: { uses: dataset/import, with: { path: ${dir}/in, format: wflw, annotations: ${dir}/in/list.txt, size_px: 32 } }
  cofw: { uses: dataset/import, with: { path: ${dir}/in, format: wflw, annotations: ${dir}/in/list.txt, schema: cofw29, size_px: 32 } }
  train: { uses: detector/train, in: { data: wflw, val: wflw }, with: { ${training}, augment: { bend: 0.1 }, network: ${network} } }
  star: { uses: detector/train, in: { data: cofw }, with: { ${training}, star: tiny } }
  mixed: { uses: detector/train, in: { data: [same, wflw] }, with: { ${training}, network: ${network} } }
  found: { uses: detector/detect, in: { detector: train, data: wflw } }
  table: { uses: detector/evaluate, in: { detectors: [train, star], data: cofw }, with: { flip: true, normaliser: interpupil } }
  old: { uses: detector/evaluate, in: { detectors: [train, mixed], data: same } }
  half: { uses: dataset/split, in: { data: wflw }, with: { part: train, fraction: 0.5 } }
`;

slowTest("other schemas go through import, training, detection, evaluation and export", () =>
  inFolder(async (dir) => {
    await writeWflw(`${dir}/in`);
    await Deno.writeTextFile(`${dir}/test.yaml`, pipeline(dir));
    await runPipeline(await readPipeline(`${dir}/test.yaml`, stages), {
      root: `${dir}/runs`,
      reporter: silent,
      openDevice,
    });
    const of = (stage: string) => `${dir}/runs/test/${stage}`;

    const datasets = await Promise.all(["wflw", "same", "cofw", "found", "half"].map((name) => openDataset(of(name))));
    assert.deepEqual(datasets.map(({ schema }) => schema.name), ["wflw98", "ibug68", "cofw29", "wflw98", "wflw98"]);
    const { records } = datasets[0]!;
    assert.deepEqual(await readPts(`${of("wflw")}/images/000000.pts`, wflw98), records[0]!.landmarks);
    // The crop is about all the landmarks, which 98 and 68 have the same box of.
    const converted = convertLandmarks(records[3]!.landmarks, wflw98, ibug68);
    datasets[1]!.records[3]!.landmarks.forEach((px, i) => assert.ok(Math.abs(px - converted[i]!) < 2e-3));

    const schemas: Record<string, SchemaName> = { train: "wflw98", star: "cofw29", mixed: "ibug68" };
    for (const [stage, schema] of Object.entries(schemas)) {
      const { config, tensors } = await readDetector(of(stage));
      assert.equal(config.schema, schema);
      const text = new TextDecoder("latin1").decode(detectorOnnx(config, tensors));
      assert.ok(text.includes(`${SCHEMAS[schema].count} facial landmarks, ${schema}`));
    }
    const { rows, regions } = JSON.parse(await Deno.readTextFile(`${of("table")}/results.json`));
    assert.ok(rows.every((row: Record<string, number>) => row["nme_interpupil"]! > 0));
    assert.deepEqual(Object.keys(regions[0]).slice(2), Object.keys(SCHEMAS.cofw29.regions));
  }));

Deno.test("a detector of fewer landmarks than the data has is refused, with both schemas", () =>
  inFolder(async (dir) => {
    await writeWflw(`${dir}/in`);
    const text = pipeline(dir).replace(/ {2}(train|star|found|table|old|half):[^\n]*\n/g, "") +
      "  wrong: { uses: detector/evaluate, in: { detectors: mixed, data: wflw } }\n";
    await Deno.writeTextFile(`${dir}/test.yaml`, text);
    await assert.rejects(readPipeline(`${dir}/test.yaml`, stages), {
      name: "PipelineError",
      message: /landmarks of "wflw" are of wflw98, which "mixed" does not find: it finds ibug68/,
    });
  }));

Deno.test("a dataset line of another schema than the first is refused", () =>
  inFolder(async (dir) => {
    await Deno.mkdir(`${dir}/images`);
    await Deno.writeFile(`${dir}/images/0.png`, encodePng(createImage(8, 8)));
    const line = (schema: SchemaName, count: number) =>
      JSON.stringify({
        file_name: "images/0.png",
        style: "ink",
        group: "a",
        schema,
        landmarks: Array.from({ length: count }, () => [1, 2]),
      });
    const write = (...lines: string[]) => Deno.writeTextFile(`${dir}/metadata.jsonl`, lines.join("\n"));
    await write(line("wflw98", 98), line("ibug68", 68));
    await assert.rejects(
      openDataset(dir),
      /metadata\.jsonl:2: its schema is ibug68, that of the first image is wflw98/,
    );
    await write(line("cofw29", 68));
    await assert.rejects(openDataset(dir), /metadata\.jsonl:1: landmarks: there are 68 and cofw29 has 29/);
  }));
