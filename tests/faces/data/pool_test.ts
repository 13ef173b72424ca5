import assert from "node:assert/strict";
import { DatasetWriter } from "../../../faces/data/dataset_writer.ts";
import { openDataset } from "../../../faces/data/dataset.ts";
import type { Image } from "../../../faces/data/image.ts";
import { encodePng, writePng } from "../../../faces/data/image_file.ts";
import { inOrder, PicturePool } from "../../../faces/data/pool.ts";
import { Random } from "../../../engine/rng.ts";
import { inFolder } from "../../stages/run_stages.ts";
import { SCHEMAS } from "../../../faces/schema.ts";
import { neutralFace } from "../neutral_face.ts";

const random = new Random(1, "pictures");
const picture = (side: number): Image => ({
  width: side,
  height: side,
  data: Uint8Array.from({ length: side * side * 3 }, () => random.int(256)),
});

Deno.test("pictures are decoded, cropped and encoded to the same bytes in any number of threads", async () => {
  await inFolder(async (dir) => {
    const [image, path] = [picture(40), `${dir}/a.png`];
    await writePng(path, image);
    const how = { crop: "landmarks", scale: 1.5, size_px: 16 } as const;
    const results = [];
    for (const threads of [0, 1, 2]) {
      using pool = new PicturePool(0, threads);
      const [decoded, face, png] = await Promise.all([
        pool.decode(path),
        pool.face(path, neutralFace(40), SCHEMAS.ibug68, how),
        pool.encode(image),
      ]);
      assert.deepEqual(decoded, image);
      assert.deepEqual(png, encodePng(image));
      results.push(face);
      await assert.rejects(pool.decode(`${dir}/none.png`), Deno.errors.NotFound);
      await assert.rejects(pool.face(path, new Float32Array(136), SCHEMAS.ibug68, how), {
        name: "InputError",
        message: /outer eye corners/,
      });
    }
    assert.deepEqual(results[1], results[0]);
    assert.deepEqual(results[2], results[0]);
    assert.equal(image.data.length, 40 * 40 * 3, "what is encoded stays with who gave it");
  });
});

Deno.test("results come in order, however many calls are under way, and so does an error", async () => {
  let going = 0, most = 0;
  const started: Promise<number>[] = [];
  const call = async (index: number) => {
    most = Math.max(most, ++going);
    await new Promise((resolve) => setTimeout(resolve, (7 * index) % 5));
    going--;
    if (index === 8) throw new RangeError("eight");
    return index;
  };
  const start = (index: number) => {
    const result = call(index);
    started.push(result);
    return result;
  };
  const seen: number[] = [];
  await assert.rejects(
    async () => {
      for await (const index of inOrder(12, 3, start)) seen.push(index);
    },
    { message: "eight" },
  );
  assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.equal(most, 3);
  await Promise.allSettled(started);
});

Deno.test("a dataset that threads encode and decode has its images in the order of the calls", async () => {
  await inFolder(async (dir) => {
    using pool = new PicturePool(0, 2);
    const writer = await DatasetWriter.create(dir, SCHEMAS.ibug68, { encoder: pool });
    // The first takes longest: an image of noise after one of a colour.
    const images = Array.from(
      { length: 12 },
      (_, k) => k % 3 ? picture(32) : { ...picture(32), data: new Uint8Array(3072) },
    );
    await Promise.all(images.map((image, k) => {
      const added = writer.add(image, { style: "photo", group: `${k}`, landmarks: neutralFace(32) });
      assert.equal(writer.count, k + 1);
      return added;
    }));
    // A file is taken as it is.
    await writePng(`${dir}/last.png`, images[0]!);
    await writer.addFile(`${dir}/last.png`, 32, { style: "photo", group: "12", landmarks: neutralFace(32) });
    images.push(images[0]!);
    await assert.rejects(
      writer.addFile(`${dir}/last.png`, 16, { style: "photo", group: "13", landmarks: neutralFace(16) }),
      /its size is 16 x 16, 32 x 32 is expected/,
    );
    await writer.close();
    const data = await openDataset(dir);
    assert.deepEqual(data.records.map(({ group }) => group), images.map((_, k) => `${k}`));
    const { images: all } = await data.loadAll();
    images.forEach(({ data }, k) => assert.deepEqual(all.subarray(k * 3072, (k + 1) * 3072), data));
  });
});
