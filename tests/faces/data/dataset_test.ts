import assert from "node:assert/strict";
import { DatasetWriter } from "../../../faces/data/dataset_writer.ts";
import { type DatasetRecord, openDataset } from "../../../faces/data/dataset.ts";
import { openFolder } from "../../../faces/data/face_folder.ts";
import { splitByGroup } from "../../../faces/data/split.ts";
import { createImage, type Image } from "../../../faces/data/image.ts";
import { encodeJpeg, encodePng } from "../../../faces/data/image_file.ts";
import { formatPts } from "../../../faces/pts.ts";
import { SCHEMAS } from "../../../faces/schema.ts";
import { namesIn } from "../../../formats/files.ts";
import { TarWriter } from "../../../formats/tar.ts";
import { neutralFace } from "../neutral_face.ts";

async function inFolder(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("openDataset() reads what DatasetWriter wrote", () =>
  inFolder(async (dir) => {
    const writer = await DatasetWriter.create(dir, SCHEMAS.ibug68);
    const image = createImage(16, 16, [10, 20, 30]), landmarks = neutralFace(16);
    const edits = [{ edit: "chubby", amount: 0.5 }];
    await writer.add(image, { style: "photo", group: "a", landmarks, seed: 3 });
    await writer.add(createImage(16, 16), { style: "ink", group: "b", landmarks, prompt: "a portrait", edits });
    await writer.close();
    const data = await openDataset(dir);
    assert.equal(data.size_px, 16);
    assert.deepEqual(data.records.map(({ style, group, prompt }) => [style, group, prompt]), [
      ["photo", "a", undefined],
      ["ink", "b", "a portrait"],
    ]);
    assert.deepEqual(data.records[1]!.edits, edits);
    const sample = await data.load(0);
    assert.deepEqual(sample.image, image);
    sample.landmarks.forEach((value, i) => assert.ok(Math.abs(value - landmarks[i]!) <= 5e-4));
    const all = await data.loadAll();
    assert.deepEqual([all.images.length, all.landmarks.length], [2 * 16 * 16 * 3, 2 * 136]);
    assert.deepEqual(all.images.subarray(0, 768), image.data);
    // the .pts files beside the images make the folder of images readable by other tools, and by openFolder()
    const folder = await openFolder(`${dir}/images`);
    assert.deepEqual([folder.size_px, folder.records.length, folder.bad.length], [16, 2, 0]);
  }));

Deno.test("a dataset in tar shards reads as one of files, in the order of the calls", () =>
  inFolder(async (dir) => {
    // Encoders that end out of order.
    const encode = async (image: Image) => {
      await new Promise((resolve) => setTimeout(resolve, image.data[0]! % 2 ? 0 : 5));
      return encodePng(image);
    };
    const write = async (to: string, shard_images?: number) => {
      const writer = await DatasetWriter.create(to, SCHEMAS.ibug68, { encoder: { encode }, shard_images });
      await Promise.all(Array.from({ length: 7 }, (_, i) =>
        writer.add(createImage(16, 16, [i, 0, 0]), {
          style: "ink",
          group: `${i}`,
          landmarks: neutralFace(16),
          seed: i,
        })));
      await writer.close();
      return await openDataset(to);
    };
    const files = await write(`${dir}/files`), shards = await write(`${dir}/shards`, 3);
    assert.deepEqual(await namesIn(`${dir}/shards`), ["000000.tar", "000001.tar", "000002.tar"]);
    const bare = ({ file_name: _, ...record }: DatasetRecord) => record;
    assert.deepEqual(shards.records.map(bare), files.records.map(bare));
    assert.equal(shards.records[4]!.file_name, "000001.tar/000004.png");
    assert.deepEqual((await shards.loadAll()).images, (await files.loadAll()).images);
    const copy = await DatasetWriter.create(`${dir}/copy`, SCHEMAS.ibug68);
    for (const index of [6, 2]) await copy.copy(shards, index);
    await copy.close();
    assert.deepEqual((await openDataset(`${dir}/copy`)).records.map(({ seed }) => seed), [6, 2]);
    using tar = new TarWriter(`${dir}/shards/000002.tar`);
    await tar.add("000006.json", new TextEncoder().encode("{}"));
    await tar.close();
    await assert.rejects(
      () => openDataset(`${dir}/shards`),
      /000002.tar\/000006.json: there is no image of the same name/,
    );
  }));

Deno.test("DatasetWriter.add() refuses what does not fit", () =>
  inFolder(async (dir) => {
    const writer = await DatasetWriter.create(dir, SCHEMAS.ibug68);
    const record = { style: "photo", group: "a", landmarks: neutralFace(16) };
    await writer.add(createImage(16, 16), record);
    await assert.rejects(writer.add(createImage(16, 15), record), /Cannot add image 1 .* 16 x 15, 16 x 16 is expected/);
    const landmarks = neutralFace(16).fill(NaN, 3, 4);
    await assert.rejects(writer.add(createImage(16, 16), { ...record, landmarks }), /136 finite numbers/);
  }));

Deno.test("openDataset() names the line of metadata.jsonl", () =>
  inFolder(async (dir) => {
    const good = { file_name: "a.png", style: "s", group: "g", landmarks: Array(68).fill([1, 2]) };
    const cases: [string, RegExp][] = [
      ["", /it names no image/],
      ["{", /metadata\.jsonl:1: .*JSON/],
      [JSON.stringify(good) + "\n" + JSON.stringify({ ...good, style: 3 }), /metadata\.jsonl:2: style: .*string/],
      [
        JSON.stringify({ ...good, file_name: "../b.png" }),
        /metadata\.jsonl:1: its image \.\.\/b\.png is outside of the folder/,
      ],
      [JSON.stringify({ ...good, landmarks: [[1, 2]] }), /metadata\.jsonl:1: landmarks: /],
    ];
    for (const [text, message] of cases) {
      await Deno.writeTextFile(`${dir}/metadata.jsonl`, text);
      await assert.rejects(openDataset(dir), message);
    }
  }));

Deno.test("openFolder() reads styles and groups from index.csv and names all bad files", () =>
  inFolder(async (dir) => {
    const image = createImage(8, 8), pts = formatPts(neutralFace(8));
    await Deno.writeTextFile(`${dir}/index.csv`, 'name,style,group\n"a","ink, wash",g1\nb,,g1\n');
    await Deno.writeFile(`${dir}/a.png`, encodePng(image));
    await Deno.writeFile(`${dir}/b.jpg`, encodeJpeg(image));
    await Deno.writeFile(`${dir}/c.png`, encodePng(image));
    await Deno.writeTextFile(`${dir}/d.png`, "no image");
    for (const name of "abd") await Deno.writeTextFile(`${dir}/${name}.pts`, pts);
    await assert.rejects(
      openFolder(dir),
      /2 of 4 files are bad.*on_bad.*\n {2}c\.png: there is no c\.pts beside it\n {2}d\.png: Cannot read .*d\.png as an image/,
    );
    // A bug is no bad file.
    const broken = new Proxy(SCHEMAS.ibug68, {
      get(schema, key) {
        if (key === "count") throw new TypeError("a bug");
        return Reflect.get(schema, key);
      },
    });
    await assert.rejects(openFolder(dir, { schema: broken, on_bad: "skip" }), { name: "TypeError", message: "a bug" });
    const { records, bad, size_px } = await openFolder(dir, { on_bad: "skip", style: "drawing" });
    assert.deepEqual(records.map(({ style, group }) => [style, group]), [["ink, wash", "g1"], ["drawing", "g1"]]);
    assert.deepEqual([size_px, bad.map(({ file }) => file)], [8, ["c.png", "d.png"]]);
    const chosen = await openFolder(dir, { filter: (name) => name === "b" });
    assert.equal(chosen.records.length, 1);
  }));

Deno.test("splitByGroup() keeps groups together and both sides filled", () => {
  const records = Array.from({ length: 200 }, (_, i) => ({ group: `g${Math.floor(i / 3)}` }));
  for (const fraction of [0.01, 0.1, 0.5, 0.99]) {
    const { train, holdout } = splitByGroup(records, fraction, 7);
    assert.deepEqual([...train, ...holdout].sort((a, b) => a - b), records.map((_, i) => i));
    assert.ok(
      train.length > 0 && Math.abs(holdout.length - 200 * fraction) <= 3,
      `${holdout.length} holdout at ${fraction}`,
    );
    const groups = new Set(train.map((i) => records[i]!.group));
    assert.ok(holdout.every((i) => !groups.has(records[i]!.group)));
  }
  assert.deepEqual(splitByGroup(records, 0.3, 7), splitByGroup(records, 0.3, 7));
  assert.notDeepEqual(splitByGroup(records, 0.3, 7), splitByGroup(records, 0.3, 8));
  assert.throws(() => splitByGroup(records, 0, 7), /Cannot split by fraction: current value is 0/);
  assert.throws(() => splitByGroup([{ group: "a" }], 0.5, 7), /at least 2 groups/);
});
