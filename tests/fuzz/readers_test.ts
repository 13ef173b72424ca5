import assert from "node:assert/strict";
import { openDataset } from "../../faces/data/dataset.ts";
import { openFolder } from "../../faces/data/face_folder.ts";
import { decodeImage, encodeJpeg, encodePng } from "../../faces/data/image_file.ts";
import { parseEdit } from "../../faces/edit_file.ts";
import { loadStyle } from "../../faces/render/styles.ts";
import { formatPts } from "../../faces/pts.ts";
import { parseCsv } from "../../formats/csv.ts";
import { readSafetensors, writeSafetensors } from "../../formats/safetensors.ts";
import { PipelineError } from "../../formats/yaml_tree.ts";
import { decodeText } from "../../formats/text.ts";
import { TarWriter } from "../../formats/tar.ts";
import { readTorchArchive } from "../../formats/torch_archive.ts";
import type { TensorFile } from "../../models/io/parameter_files.ts";
import { openTensors } from "../../models/io/tensor_files.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { readManifest } from "../../runtime/run/cache.ts";
import { stages } from "../../stages/mod.ts";
import { drawFace } from "../cases/_lib.ts";
import { encodeBmp, encodeGif, encodeTiff, encodeWebp } from "../cases/_pictures.ts";
import { withOrientation } from "../faces/data/exif.ts";
import { bytesOf, dictionary, little, tensor, torchFile } from "../formats/torch_file.ts";
import { bytesOfText, fuzz } from "./_fuzz.ts";

/** A folder for all tests of this file. */
const dir = await Deno.makeTempDir({ prefix: "facewright_" });
Deno.test.afterAll(() => Deno.remove(dir, { recursive: true }));

/** A file's path, with these bytes. */
async function at(name: string, bytes: Uint8Array): Promise<string> {
  await Deno.writeFile(`${dir}/${name}`, bytes);
  return `${dir}/${name}`;
}
const read = (path: string) => Deno.readFile(path);
const face = drawFace({ width: 40, height: 32 });

const LOSSY_WEBP = "UklGRjYAAABXRUJQVlA4ICoAAABwAQCdASoQABAAAIAIJaACdAF1AAD++nkuIP/+uif//Wjn//rRz/1xAAA=";
const jpeg = encodeJpeg(face.image);
const pictures: Readonly<Record<string, readonly Uint8Array<ArrayBuffer>[]>> = {
  PNG: [encodePng(face.image)],
  JPEG: [jpeg, withOrientation(jpeg, 6)],
  WebP: [encodeWebp(face.image), Uint8Array.fromBase64(LOSSY_WEBP)],
  BMP: [encodeBmp(face.image)],
  TIFF: [encodeTiff(face.image)],
  GIF: [encodeGif(face.image)],
};
for (const [name, files] of Object.entries(pictures)) {
  fuzz(name, files, (bytes) => {
    const { width, height, data } = decodeImage(bytes, { maxPixels: 1 << 22 });
    assert.equal(data.length, 3 * width * height);
  }, { isText: false });
}

fuzz("CSV", [bytesOfText('name,style,group\na,"ink, wet",g\n"b ""c""",,h\n')], (bytes) => {
  const text = decodeText(bytes, "a.csv");
  const rows = parseCsv(text, "a.csv");
  // Without quotes each line with text is a row.
  if (!text.includes('"')) {
    const lines = text.split(/\r\n?|\n/).filter((line) => line !== "").length;
    assert(rows.length >= lines - text.split(/\r\n?|\n/).filter((line) => line.trim() === "").length);
  }
});

const plain = `${dir}/plain.safetensors`;
await writeSafetensors(
  plain,
  new Map(
    Object.entries({ "a.weight": [2, 3], "a.bias": [2], empty: [0] }).map(([name, shape]) => {
      return [name, { shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.5) }];
    }),
  ),
);

/** Reads every tensor: as many elements as its shape says. */
async function readAll(file: TensorFile): Promise<void> {
  for (const name of file.names) {
    const { shape, data } = await file.read(name);
    assert.equal(data.length, shape.reduce((a, b) => a * b, 1));
    assert.deepEqual(file.info(name).shape, shape);
  }
}

fuzz("safetensors", [await read(plain)], async (bytes) => {
  using file = await readSafetensors(await at("fuzz.safetensors", bytes));
  await readAll(file);
}, { isText: false });

const weights = bytesOf(...[1, 2, 3, 4, 5, 6].map((value) => new Uint8Array(Float32Array.of(value).buffer)));
const archive = torchFile(
  dictionary([
    ["a.weight", tensor({ key: "0", shape: [2, 3] })],
    ["state_dict", dictionary([["b", tensor({ key: "0", shape: [3], strides: [2], elements: 6 })]])],
    ["epoch", bytesOf("J", little(7, 4))],
  ]),
  { "0": weights },
);
const torch = await read("tests/formats/torch_2_13.pth");
fuzz("torch archive, pickle and zip", [archive, torch], async (bytes) => {
  using file = await readTorchArchive(await at("fuzz.pth", bytes));
  await readAll(file);
}, { isText: false });

fuzz("checkpoints by their content", [archive, await read(plain)], async (bytes) => {
  using file = await openTensors(await at("fuzz.ckpt", bytes));
  await readAll(file);
}, { isText: false });

const pipeline = `name: fuzz
seed: 7
params: { count: 3, sizes: [32, 64] }
stages:
  faces: { uses: faces/render, matrix: { size: "\${sizes}" }, with: { count: "\${count}", size_px: "\${size}" } }
  train: { uses: dataset/split, in: { data: faces }, with: { part: train } }
  report: { uses: report/html, in: { all: "*" } }
`;
fuzz("YAML of pipelines", [bytesOfText(pipeline)], async (bytes) => {
  try {
    await readPipeline(await at("fuzz.yaml", bytes), stages);
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error;
    assert(error.problems.length > 0);
    for (const { at } of error.problems) assert(at.offset >= 0 && at.offset <= at.source.text.length);
  }
}, { share: 0.25 });

const edits = [...Deno.readDirSync("pipelines/edits")].filter(({ name }) => name.endsWith(".yaml")).slice(0, 3);
fuzz("YAML of edits", await Promise.all(edits.map(({ name }) => read(`pipelines/edits/${name}`))), (bytes) => {
  parseEdit(decodeText(bytes, "edit.yaml"), "edit.yaml");
});

fuzz(
  "YAML of styles",
  [await read("pipelines/styles/anime.yaml"), await read("pipelines/styles/cubist.yaml")],
  async (bytes) => {
    await loadStyle(await at("style.yaml", bytes));
  },
);

const record = {
  file_name: "images/0.png",
  style: "photo",
  group: "a",
  landmarks: Array.from({ length: 68 }, (_, i) => [i % 9, i / 8]),
};
const metadata = [0, 1, 2].map((k) => JSON.stringify({ ...record, group: `g${k}` })).join("\n");
await Deno.mkdir(`${dir}/data/images`, { recursive: true });
await Deno.writeFile(`${dir}/data/images/0.png`, encodePng(drawFace({ width: 32, height: 32 }).image));
// Images of others must not be read by a dataset of somebody else's.
await Deno.writeFile(`${dir}/outside.png`, encodePng(drawFace({ width: 32, height: 32 }).image));
fuzz("metadata.jsonl of datasets", [bytesOfText(metadata)], async (bytes) => {
  await at("data/metadata.jsonl", bytes);
  const { records, load } = await openDataset(`${dir}/data`);
  const lines = decodeText(bytes, "").split("\n").filter((line) => line.trim()).length;
  assert.equal(records.length, lines);
  for (const { landmarks, file_name } of records) {
    assert.equal(landmarks.length, 136);
    assert(landmarks.every(Number.isFinite));
    assert(!file_name.split(/[\\/]/).includes("..") && !file_name.startsWith("/"), file_name);
  }
  await load(0);
});

await Deno.mkdir(`${dir}/made`, { recursive: true });
const manifest = JSON.stringify({
  key: "0123",
  stage: "faces",
  uses: "faces/render",
  options: { count: 3 },
  seconds: 1.5,
  output: { files: 2, bytes: 10, hash: "ab" },
  summary: [{ detector: "a", nme: 1 }],
});
fuzz("manifest.json of runs", [bytesOfText(manifest)], async (bytes) => {
  await at("made/manifest.json", bytes);
  readManifest(`${dir}/made`);
});

const landmarks = formatPts(face.landmarks);
await Deno.mkdir(`${dir}/in`, { recursive: true });
for (const name of ["a", "b", "c"]) {
  await Deno.writeFile(`${dir}/in/${name}.png`, encodePng(face.image));
  await Deno.writeTextFile(`${dir}/in/${name}.pts`, landmarks);
}
fuzz("index.csv of folders", [bytesOfText("name,style,group\na,ink,g\nb,,g\nc,oil,h\n")], async (bytes) => {
  await at("in/index.csv", bytes);
  const { records, bad } = await openFolder(`${dir}/in`, { on_bad: "skip" });
  const named = new Set(bad.map(({ file }) => file));
  assert.equal(new Set(records.map(({ file_name }) => file_name)).size + named.size, 3);
});

const list = ["a", "b", "c"].map((name) => `${name}.png,${[...face.landmarks].join()}`);
const columns = Array.from({ length: 136 }, (_, i) => `${i % 2 ? "y" : "x"}${i >> 1}`).join();
await Deno.mkdir(`${dir}/listed/in`, { recursive: true });
for (const name of ["a", "b", "c"]) await Deno.writeFile(`${dir}/listed/in/${name}.png`, encodePng(face.image));
for (const name of ["a", "secret"]) await Deno.writeFile(`${dir}/listed/${name}.png`, encodePng(face.image));
const paths = ["../a.png", "../secret.png", `${dir}/listed/a.png`, "./../a.png", "in/../../a.png", "..\\a.png"];
const lists = [
  list,
  list.with(1, list[1]!.replace("b.png", paths[0]!)),
  ...paths.map((path) => [...list, list[0]!.replace("a.png", path)]),
];
fuzz(
  "lists that name images of other folders",
  lists.map((rows) => bytesOfText([`name,${columns}`, ...rows].join("\n"))),
  async (bytes) => {
    const annotations = await at("listed/list.csv", bytes);
    const inside = await Deno.realPath(`${dir}/listed/in`);
    const { records, load } = await openFolder(inside, { format: "csv", annotations, on_bad: "skip" });
    for (const { file_name } of records) {
      const real = await Deno.realPath(`${inside}/${file_name}`);
      assert(real.startsWith(`${inside}/`), `${file_name} leads to ${real}`);
    }
    await load(0);
  },
  { share: 0.5 },
);

const shard = `${dir}/shard.tar`;
{
  const writer = new TarWriter(shard);
  for (const k of [0, 1, 2]) {
    const { file_name: _, ...rest } = record;
    await writer.add(`00000${k}.json`, bytesOfText(JSON.stringify({ ...rest, group: `g${k}` })));
    await writer.add(`00000${k}.png`, encodePng(drawFace({ width: 32, height: 32 }).image));
  }
  await writer.close();
}
await Deno.mkdir(`${dir}/shards`, { recursive: true });
fuzz("tar shards of datasets", [await read(shard)], async (bytes) => {
  await at("shards/000000.tar", bytes);
  const { records, load } = await openDataset(`${dir}/shards`);
  // Names of metadata that are whole in the file are those of its entries.
  const names = new TextDecoder("latin1").decode(bytes).match(/00000[0-2]\.json/g) ?? [];
  assert(records.length >= new Set(names).size, `${records.length} images of ${names}`);
  await load(0);
}, { isText: false, share: 0.5 });
