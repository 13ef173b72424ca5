import assert from "node:assert/strict";
import { DATASET_FORMATS } from "../../faces/data/annotations/registry.ts";
import { openDataset } from "../../faces/data/dataset.ts";
import { createImage } from "../../faces/data/image.ts";
import { encodeJpeg, encodePng } from "../../faces/data/image_file.ts";
import { boundingBox, type Landmarks, transformLandmarks } from "../../faces/landmarks.ts";
import { overlayLandmarks } from "../../faces/draw.ts";
import { formatPts } from "../../faces/pts.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { detectorSpecs } from "../../models/detectors/detector.ts";
import { STAR_SIZES, type StarDetectorConfig, starNetwork } from "../../models/detectors/star_detector.ts";
import { detectorConfigIn } from "../../models/io/detector_checkpoint.ts";
import { initialise } from "../../models/io/params.ts";
import { saveStarCheckpoint } from "../../models/io/star_checkpoint.ts";
import { openDevice } from "../../engine/device.ts";
import { type Pipeline, readPipeline } from "../../runtime/pipeline/file.ts";
import { silent } from "../../runtime/run/progress.ts";
import { runPipeline } from "../../runtime/run/run.ts";
import { stages } from "../../stages/mod.ts";
import { neutralFace } from "../faces/neutral_face.ts";
import { npy } from "../faces/npy_file.ts";
import { slowTest } from "../slow.ts";
import { inFolder } from "./run_stages.ts";

const { ibug68 } = SCHEMAS;

/** A face of a released pair, off the image's middle by `shift`. */
const faceAt = (shift: number): Landmarks => transformLandmarks(neutralFace(256), [0.8, 0, 20 + shift, 0, 0.8, 30]);
const drawn = (face: Landmarks) => overlayLandmarks(createImage(256, 256, [230, 210, 190]), face, ibug68);

async function write(path: string, content: string | Uint8Array): Promise<void> {
  await Deno.mkdir(path.replace(/[^/]*$/, ""), { recursive: true });
  await (typeof content === "string" ? Deno.writeTextFile : Deno.writeFile)(path, content as never);
}

/** Stands in for what was published: 2 pairs, 2 faces of ArtFace, 3 of CariFace of which 2 are to test on, a checkpoint. */
async function writePublished(dir: string, config: StarDetectorConfig): Promise<void> {
  const pairs = ["anime/0.png", "ukiyo_e/1.png"].map((image, i) => {
    return { image, width: 256, height: 256, landmarks: faceAt(i), style: "", group: "" };
  });
  for (const { image, landmarks } of pairs) {
    await write(`${dir}/pairs/${image}`, encodePng(drawn(landmarks)));
    await write(`${dir}/pts/${image}`, encodePng(drawn(landmarks)));
    await write(`${dir}/pts/${image.replace("png", "pts")}`, formatPts(landmarks.map((px) => px + 1)));
  }
  await write(`${dir}/pairs.tsv`, DATASET_FORMATS.star.write!(pairs, { schema: ibug68, origin: 0 }));
  for (const [i, name] of ["Comics/14", "Al Gore/3"].entries()) {
    const face = { image: "", width: 256, height: 256, landmarks: faceAt(3 * i), style: "", group: "" };
    await write(`${dir}/art/${name}.png`, encodePng(drawn(face.landmarks)));
    await write(`${dir}/art/${name}.ljson`, DATASET_FORMATS.ljson.write!(face, { schema: ibug68, origin: 0 }));
  }
  for (const [i, name] of ["0a", "1b", "2c"].entries()) {
    const face = faceAt(2 * i);
    await write(`${dir}/cari/images/${name}.jpg`, encodeJpeg(drawn(face)));
    const array = npy("<f8", "(68, 2)", new Uint8Array(Float64Array.from(face).buffer));
    await write(`${dir}/cari/landmarks_gt/${name}.jpg.npy`, array);
  }
  await write(`${dir}/test.txt`, "0a\n2c\n");
  const specs = detectorSpecs(config);
  await saveStarCheckpoint(`${dir}/star`, starNetwork(config), specs, initialise(specs, 3));
}

/** The pipeline with the stand-in's files. */
async function published(dir: string, set: readonly string[]): Promise<Pipeline> {
  const at = {
    star: `${dir}/star/model/train.pkl`,
    art: `${dir}/art`,
    caricatures: `${dir}/cari`,
    caricature_list: `${dir}/test.txt`,
  };
  const values = [...Object.entries(at).map(([key, value]) => `${key}=${value}`), ...set];
  return await readPipeline("pipelines/published.yaml", stages, { set: values });
}

const tiny = { ...STAR_SIZES.tiny, stacks: 1, depth: 2, channels: 16 } as const;

Deno.test("published.yaml: the checkpoint's network is known before a run, and both kinds of pairs are the same faces", () =>
  inFolder(async (dir) => {
    await writePublished(dir, tiny);
    const of = async (stage: string, ...set: string[]) => {
      const pipeline = await published(dir, [...set, "size_px=64"]);
      await runPipeline(pipeline, { root: `${dir}/runs`, reporter: silent, openDevice, until: stage });
      const { records, size_px, schema } = await openDataset(`${dir}/runs/published/${stage}`);
      assert.deepEqual([size_px, schema.name], [64, "ibug68"]);
      return records;
    };
    assert.deepEqual(await detectorConfigIn(`${dir}/star/model/train.pkl`), tiny);
    const table = await of("pairs_by_table", `pairs=${dir}/pairs`, `table=${dir}/pairs.tsv`);
    const pts = await of("pairs_by_pts", `pairs_pts=${dir}/pts`);
    assert.deepEqual(table.map(({ source }) => source), ["anime/0", "ukiyo_e/1"]);
    for (const [i, { landmarks }] of table.entries()) {
      landmarks.forEach((px, k) => assert.ok(Math.abs(px - pts[i]!.landmarks[k]!) < 0.002));
      // STAR's square: the box of the landmarks itself.
      const { width, height } = boundingBox(landmarks);
      assert.ok(Math.abs(Math.max(width, height) - 64) < 0.01);
    }
    const caricatures = await of("caricatures", `pairs_pts=${dir}/pts`);
    assert.deepEqual(caricatures.map(({ source }) => source), ["images/0a", "images/2c"]);
  }));

/** Runs the pipeline and checks its table. */
async function checkTable(dir: string, set: readonly string[]): Promise<void> {
  const pipeline = await published(dir, [`pairs=${dir}/pairs`, `table=${dir}/pairs.tsv`, ...set]);
  await runPipeline(pipeline, { root: `${dir}/runs`, reporter: silent, openDevice });
  const { rows } = JSON.parse(await Deno.readTextFile(`${dir}/runs/published/evaluation/results.json`)) as {
    rows: { detector: string; dataset: string; images: number; nme_interocular: number }[];
  };
  const whole = rows.filter(({ dataset }) => !dataset.includes("/"));
  assert.deepEqual(whole.map(({ detector, dataset, images }) => `${detector} ${dataset} ${images}`), [
    "star art 2",
    "detector art 2",
    "star caricatures 2",
    "detector caricatures 2",
  ]);
  for (const { nme_interocular } of whole) assert.ok(nme_interocular > 0);
  assert.notEqual(whole[0]!.nme_interocular, whole[1]!.nme_interocular, "the detector was trained");
}

slowTest(
  "published.yaml: from a checkpoint, pairs and test sets to the table, at 64 pixels",
  () =>
    inFolder(async (dir) => {
      await writePublished(dir, tiny);
      await checkTable(dir, ["size_px=64", "batch_size=2", "steps=2"]);
    }),
);

slowTest("published.yaml: the same with the published network at 256 pixels", () =>
  inFolder(async (dir) => {
    await writePublished(dir, STAR_SIZES.star);
    await checkTable(dir, ["batch_size=1", "steps=1"]);
  }));
