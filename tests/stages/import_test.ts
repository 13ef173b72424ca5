import assert from "node:assert/strict";
import { openDataset } from "../../faces/data/dataset.ts";
import { createImage } from "../../faces/data/image.ts";
import { encodeJpeg, encodePng, readImage } from "../../faces/data/image_file.ts";
import { boundingBox, type Landmarks, transformLandmarks } from "../../faces/landmarks.ts";
import { formatPts } from "../../faces/pts.ts";
import { neutralFace } from "../faces/neutral_face.ts";
import { npy } from "../faces/npy_file.ts";
import { inFolder, runStages } from "./run_stages.ts";

const face = transformLandmarks(neutralFace(80), [1, 0, 30, 0, 1, 10]);

/** A white picture of 160 x 120 with a black square of 9 pixels about the tip of the nose. */
function picture() {
  const image = createImage(160, 120, [255, 255, 255]);
  const [x, y] = [Math.round(face[2 * 30]!), Math.round(face[2 * 30 + 1]!)];
  for (let j = -4; j <= 4; j++) {
    for (let i = -4; i <= 4; i++) image.data.fill(0, ((y + j) * 160 + x + i) * 3, ((y + j) * 160 + x + i) * 3 + 3);
  }
  return image;
}

async function writeFaces(dir: string, faces: Record<string, Landmarks>): Promise<void> {
  await Deno.mkdir(dir);
  for (const [i, [name, landmarks]] of Object.entries(faces).entries()) {
    await Deno.writeFile(`${dir}/${name}.${i % 2 ? "jpg" : "png"}`, (i % 2 ? encodeJpeg : encodePng)(picture()));
    await Deno.writeTextFile(`${dir}/${name}.pts`, formatPts(landmarks));
  }
}

Deno.test("dataset/import crops around the landmarks and takes them along", () =>
  inFolder(async (dir) => {
    await writeFaces(`${dir}/in`, { a: face, b: face, skip_c: face });
    await Deno.writeTextFile(`${dir}/in/index.csv`, "name,style,group\na,ink,g\nb,,g\nskip_c,,h\n");
    const of = await runStages(
      dir,
      `  faces: { uses: dataset/import, with: { path: ${dir}/in, size_px: 64, exclude: ["skip_*"], style: drawing } }`,
    );
    const data = await openDataset(of("faces"));
    assert.deepEqual(data.records.map(({ style, group, source }) => [style, group, source]), [
      ["ink", "g", "a"],
      ["drawing", "g", "b"],
    ]);
    const { width, height } = boundingBox(data.records[0]!.landmarks);
    assert.ok(Math.abs(Math.max(width, height) - 64 / 1.54) < 0.01);
    for (const index of [0, 1]) {
      const { image, landmarks } = await data.load(index);
      const [x, y] = [Math.round(landmarks[60]!), Math.round(landmarks[61]!)];
      const light = (dx: number, dy: number) => image.data[((y + dy) * 64 + x + dx) * 3]!;
      assert.ok(light(0, 0) < 30, "the tip of the nose is black");
      for (const [dx, dy] of [[8, 0], [-8, 0], [0, 8], [0, -8]] as const) assert.ok(light(dx, dy) > 200);
    }
    assert.ok((await readImage(`${of("faces")}/contact.png`)).width > 128);
  }));

Deno.test("dataset/import counts from 1 with origin 1: every landmark moves by the scale of the crop", () =>
  inFolder(async (dir) => {
    await Deno.mkdir(`${dir}/in`);
    await Deno.writeFile(`${dir}/in/a.png`, encodePng(createImage(80, 80)));
    await Deno.writeTextFile(`${dir}/in/a.pts`, formatPts(neutralFace(80)));
    const use = (origin: number) =>
      `{ uses: dataset/import, with: { path: ${dir}/in, size_px: 40, crop: none, origin: ${origin} } }`;
    const of = await runStages(dir, `  zero: ${use(0)}\n  one: ${use(1)}`);
    const [zero, one] = await Promise.all(
      ["zero", "one"].map(async (id) => (await openDataset(of(id))).records[0]!.landmarks),
    );
    zero!.forEach((value, i) => assert.ok(Math.abs(value - one![i]! - 0.5) < 2e-3));
  }));

Deno.test("dataset/import stops at bad files and names all of them, or sets them aside", () =>
  inFolder(async (dir) => {
    const far = face.map((value) => value + 500), flat = face.map(() => 50);
    await writeFaces(`${dir}/in`, { a: face, b: far, c: flat, d: face, e: face });
    await Deno.writeTextFile(`${dir}/in/d.pts`, "version: 1\n{\n1 2\n}");
    await Deno.writeFile(`${dir}/in/e.png`, encodePng(picture()).slice(0, 200)); // the header is whole
    const use = (on_bad: string, exclude: string) =>
      runStages(
        dir,
        `  faces: { uses: dataset/import, with: { path: ${dir}/in, size_px: 32, on_bad: ${on_bad}, exclude: [${exclude}] } }`,
      );
    await assert.rejects(
      use("stop", ""),
      /1 of 5 files are bad[^]*d\.jpg: Cannot read .*d\.pts:4: there are 2 numbers/,
    );
    await assert.rejects(
      use("stop", "d"),
      /3 of 4 files are bad[^]*b\.jpg: only 0 landmarks are inside[^]*c\.png: the outer eye corners[^]*e\.png: Cannot decode/,
    );
    const of = await use("skip", "");
    assert.equal((await openDataset(of("faces"))).records.length, 1);
    const bad = (await Deno.readTextFile(`${of("faces")}/bad.jsonl`)).trim().split("\n").map((line) =>
      JSON.parse(line).file
    );
    assert.deepEqual(bad, ["d.jpg", "b.jpg", "c.png", "e.png"]);
  }));

Deno.test("dataset/import reads a list of faces, several of one image, and names the bad ones", () =>
  inFolder(async (dir) => {
    await Deno.mkdir(`${dir}/in/sub`, { recursive: true });
    await Deno.writeFile(`${dir}/in/sub/a.png`, encodePng(picture()));
    const columns = Array.from(face, (_, i) => `${i % 2 ? "y" : "x"}${i >> 1}`);
    const rows = ["sub/a.png", "sub/a.png", "sub/none.png"].map((name, i) =>
      `${name},${face.map((px) => px + i).join()}`
    );
    await Deno.writeTextFile(`${dir}/faces.csv`, [`name,${columns}`, ...rows, "sub/a.png,1"].join("\n"));
    const use = (more: string) =>
      runStages(
        dir,
        `  faces: { uses: dataset/import, with: { path: ${dir}/in, size_px: 32, format: csv, ${more} } }`,
      );
    const of = await use(`annotations: ${dir}/faces.csv, on_bad: skip`);
    const { records } = await openDataset(of("faces"));
    assert.deepEqual(records.map(({ source, group }) => [source, group]), [["sub/a", "sub/a"], ["sub/a#2", "sub/a"]]);
    const bad = (await Deno.readTextFile(`${of("faces")}/bad.jsonl`)).trim().split("\n").map((line) =>
      JSON.parse(line)
    );
    assert.deepEqual(bad.map(({ file, reason }) => `${file.replace(dir, "")} ${reason}`), [
      "/faces.csv:5 there are 2 fields instead of 137",
      "sub/none.png there is no such image",
    ]);
    await assert.rejects(use(`annotations: ${dir}/faces.csv`), /2 of 4 files are bad[^]*faces\.csv:5[^]*none\.png/);
    await assert.rejects(
      use("style: ink"),
      /Cannot use "format" in stage "faces" as "annotations", the file with the landmarks, is missing/,
    );
  }));

Deno.test("dataset/import reads text files beside the images, as Caricature-Data has them", () =>
  inFolder(async (dir) => {
    await Deno.mkdir(`${dir}/in`);
    for (const name of ["a", "b"]) await Deno.writeFile(`${dir}/in/${name}.png`, encodePng(picture()));
    const lines = Array.from({ length: 68 }, (_, i) => `${face[2 * i]} ${face[2 * i + 1]}`);
    await Deno.writeTextFile(`${dir}/in/a.txt`, lines.join("\n"));
    const of = await runStages(
      dir,
      `  faces: { uses: dataset/import, with: { path: ${dir}/in, size_px: 32, format: text, on_bad: skip } }`,
    );
    assert.equal((await openDataset(of("faces"))).records.length, 1);
    assert.match(
      await Deno.readTextFile(`${of("faces")}/bad.jsonl`),
      /"b\.png","reason":"there is no b\.txt beside it"/,
    );
  }));

Deno.test("dataset/import reads NumPy files in a folder beside the images, as CariFace has them", () =>
  inFolder(async (dir) => {
    await Deno.mkdir(`${dir}/images`);
    await Deno.mkdir(`${dir}/landmarks`);
    for (const name of ["a", "b"]) await Deno.writeFile(`${dir}/images/${name}.jpg`, encodeJpeg(picture()));
    const points = new Uint8Array(Float64Array.from(face).buffer);
    await Deno.writeFile(`${dir}/landmarks/a.jpg.npy`, npy("<f8", "(68, 2)", points));
    const of = await runStages(
      dir,
      `  faces: { uses: dataset/import, with: { path: ${dir}/images, size_px: 32, format: npy, on_bad: skip } }`,
    );
    const { records } = await openDataset(of("faces"));
    assert.equal(records.length, 1);
    const { width, height } = boundingBox(records[0]!.landmarks);
    assert.ok(Math.abs(Math.max(width, height) - 32 / 1.54) < 0.01);
    assert.match(
      await Deno.readTextFile(`${of("faces")}/bad.jsonl`),
      /"b\.jpg","reason":"there is no b\.npy, b\.jpg\.npy, .* beside it"/,
    );
  }));

Deno.test("dataset/import takes the images of a list, and names those that are not there", () =>
  inFolder(async (dir) => {
    await writeFaces(`${dir}/in`, { a: face, b: face, "c.1": face, d: face });
    await Deno.writeTextFile(`${dir}/list.txt`, "b.jpg\r\nimages/x.png\nc.1\n\n");
    const use = (on_bad: string) =>
      runStages(
        dir,
        `  faces: { uses: dataset/import, with: { path: ${dir}/in, size_px: 32, list: ${dir}/list.txt, on_bad: ${on_bad} } }`,
      );
    await assert.rejects(use("stop"), /1 of 3 files are bad[^]*list\.txt: images\/x\.png: there is no such image/);
    const of = await use("skip");
    assert.deepEqual((await openDataset(of("faces"))).records.map(({ source }) => source), ["b", "c.1"]);
    assert.match(
      await Deno.readTextFile(`${of("faces")}/bad.jsonl`),
      /images\/x\.png","reason":"there is no such image"/,
    );
  }));

Deno.test("dataset/import reads a folder of annotation files, as HELEN has them", () =>
  inFolder(async (dir) => {
    await Deno.mkdir(`${dir}/in/train_1`, { recursive: true });
    await Deno.mkdir(`${dir}/in/annotation`);
    for (const [i, name] of ["10_1", "20_1"].entries()) {
      await Deno.writeFile(`${dir}/in/train_1/${name}.jpg`, encodeJpeg(picture()));
      const lines = Array.from({ length: 194 }, (_, k) => `${(k * 7) % 79} , ${(k * 11) % 77}`);
      await Deno.writeTextFile(`${dir}/in/annotation/${i + 1}.txt`, [name, ...lines].join("\n"));
    }
    const use = (annotations: string) =>
      runStages(
        dir,
        "  faces: { uses: dataset/import, with: { size_px: 32, format: helen, schema: helen194, " +
          `path: ${dir}/in, annotations: ${dir}/in/${annotations} } }`,
      );
    const { records, schema } = await openDataset((await use("annotation"))("faces"));
    assert.deepEqual([schema.name, ...records.map(({ source }) => source)], [
      "helen194",
      "train_1/10_1",
      "train_1/20_1",
    ]);
    await assert.rejects(use("nowhere"), /Cannot read "annotations" .* as the file or folder is missing/);
  }));

Deno.test("dataset/import without a crop wants square images", () =>
  inFolder(async (dir) => {
    await writeFaces(`${dir}/in`, { a: face });
    await assert.rejects(
      runStages(dir, `  faces: { uses: dataset/import, with: { path: ${dir}/in, size_px: 32, crop: none } }`),
      /a\.png: its size is 160 x 120 but crop is "none"/,
    );
  }));

Deno.test({
  name: "dataset/import reads real drawings (needs ../shared)",
  ignore: !(await Deno.stat("../shared/data").then(() => true, () => false)),
  fn: () =>
    inFolder(async (dir) => {
      const of = await runStages(
        dir,
        `  art: { uses: dataset/import, with: { path: ../shared/data/faces-art, size_px: 64 } }`,
      );
      const { records, size_px } = await openDataset(of("art"));
      assert.deepEqual([records.length, size_px], [31, 64]);
      assert.ok(
        new Set(records.map(({ style }) => style)).size === 6 && new Set(records.map(({ group }) => group)).size < 31,
      );
    }),
});
