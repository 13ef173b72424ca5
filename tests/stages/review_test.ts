import assert from "node:assert/strict";
import { z } from "zod";
import { DatasetWriter } from "../../faces/data/dataset_writer.ts";
import { openDataset } from "../../faces/data/dataset.ts";
import { createImage } from "../../faces/data/image.ts";
import { openDevice } from "../../engine/device.ts";
import { readManifest } from "../../runtime/run/cache.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { runPipeline } from "../../runtime/run/run.ts";
import { silent } from "../../runtime/run/progress.ts";
import { Random } from "../../engine/rng.ts";
import { type AnyStage, stage } from "../../runtime/stage.ts";
import { differenceHash, HASH_BITS, NearHashes, robustZScore, styleStatistics } from "../../stages/lib/alignment.ts";
import { reviewPage } from "../../stages/dataset/_review_page.ts";
import { stages } from "../../stages/mod.ts";
import { neutralFace } from "../faces/neutral_face.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { inFolder } from "./run_stages.ts";

/** Pairs with an odd one: landmarks of picture 3 are moved, picture 5 is there twice. */
const odd = stage({
  id: "fake/odd",
  doc: "Spoils pairs.",
  version: 1,
  inputs: { data: "dataset" },
  output: "dataset",
  options: z.object({}),
  async run(ctx, { data }) {
    const source = await openDataset(data.dir);
    const writer = await DatasetWriter.create(ctx.dir, SCHEMAS.ibug68);
    for (const index of [...source.records.keys(), 5]) {
      const { image, record: { file_name: _, ...record } } = await source.load(index);
      const landmarks = record.landmarks.map((value) => value + (index === 3 ? 20 : 0));
      await writer.add(image, { ...record, landmarks, prompt: `<b>${index}</b>`, edits: [] });
    }
    await writer.close();
  },
});

const text = `stages:
  faces: { uses: faces/render, with: { styles: [photo], count: 10, size_px: 64, yaw_deg: 10 } }
  pairs: { uses: fake/odd, in: { data: faces } }
  star: { uses: detector/load, with: { path: models/tiny/detector } }
  kept: { uses: dataset/review, in: { data: pairs, detector: star }, with: { max_zscore: 20, page: 4 } }
`;

Deno.test("dataset/review leaves out pairs that do not fit and duplicates, and shows the doubtful ones", async () => {
  await inFolder(async (dir) => {
    await Deno.writeTextFile(`${dir}/test.yaml`, text);
    const registry = { ...stages, "fake/odd": () => Promise.resolve(odd as AnyStage) };
    const roots = [Deno.cwd()];
    const run = async () =>
      await runPipeline(await readPipeline(`${dir}/test.yaml`, registry, { roots }), {
        root: `${dir}/runs`,
        reporter: silent,
        openDevice,
      });
    await run();
    const at = `${dir}/runs/test/kept`;
    const { records } = await openDataset(at);
    const names = records.map(({ prompt }) => /\d+/.exec(prompt!)![0]);
    assert.deepEqual(names, ["0", "1", "2", "4", "5", "6", "7", "8", "9"]);
    const { pairs, styles } = JSON.parse(await Deno.readTextFile(`${at}/review.json`));
    assert.equal(pairs[0].file_name, "images/000003.png");
    assert.equal(pairs[0].verdict, "rejected");
    assert.ok(pairs[0].alignment_nme > 2 * styles[0].median && pairs[0].found.length === 136);
    const { pairs: all, kept, rejected, duplicate } = styles[0];
    assert.deepEqual({ all, kept, rejected, duplicate }, { all: 11, kept: 9, rejected: 1, duplicate: 1 });
    const page = await Deno.readTextFile(`${at}/review.html`);
    assert.equal(page.match(/<figure/g)!.length, 4);
    assert.ok(page.includes("&lt;b&gt;3&lt;/b&gt;") && !/<b>\d|src="(?!data:)|href=/.test(page));
    assert.ok(page.indexOf("000003.png") < page.indexOf("<figcaption>", page.indexOf("000003.png")));
    const [row] = readManifest(at)!.summary;
    assert.deepEqual([row!["detector"], row!["dataset"], row!["images"], row!["kept"], row!["duplicates"]], [
      "star",
      "pairs",
      11,
      9,
      1,
    ]);
    assert.ok(Number(row!["alignment_low"]) < Number(row!["alignment_nme"]));

    await Deno.writeTextFile(`${dir}/test.yaml`, text.replace("max_zscore: 20", "max_nme: 0.001"));
    await assert.rejects(
      run,
      /Cannot keep any of the 11 pairs of "pairs": the smallest alignment_nme under "star" is/,
    );
  });
});

Deno.test("doubt is relative to the style", () => {
  const styles = ["ink", "ink", "ink", "ink", "oil", "oil", "oil", "one"];
  const nme = [4, 5, 6, 30, 20, 21, 22, 9];
  const usual = styleStatistics(nme, styles);
  assert.equal(usual.get("ink")!.median, 5.5);
  assert.ok(robustZScore(30, usual.get("ink")!) > 10 && robustZScore(22, usual.get("oil")!) < 1);
  assert.equal(robustZScore(9, usual.get("one")!), 0);
  assert.ok(robustZScore(18, usual.get("one")!) > 3, "one pair has no spread of its own");

  // Many pairs speak for themselves: 1 and 3 in turn have a median distance of 1 from their median.
  const many = Array.from({ length: 4000 }, (_, i) => i % 2 ? 1 : 3);
  const { median, deviation } = styleStatistics(many, many.map(() => "ink")).get("ink")!;
  assert.equal(median, 2);
  assert.ok(Math.abs(deviation - 1.4826) < 1e-9);
  assert.deepEqual(styleStatistics([5, 5, 5], ["a", "a", "a"]).get("a"), { median: 5, deviation: 0.25 });
});

Deno.test("near hashes are found as comparing all with all would", () => {
  const random = new Random(1, "tests/review");
  const hash = () =>
    Uint32Array.from({ length: HASH_BITS / 32 }, () => random.int(2 ** 16) * 2 ** 16 + random.int(2 ** 16));
  for (const most of [0, 3, 12]) {
    const near = new NearHashes(most);
    for (let i = 0; i < 50; i++) {
      const one = hash();
      assert.ok(near.add(one));
      const flipped = (count: number) => {
        const other = one.slice();
        const bits = new Set<number>();
        while (bits.size < count) bits.add(random.int(HASH_BITS));
        for (const bit of bits) other[bit >> 5]! ^= 1 << (bit & 31);
        return other;
      };
      assert.equal(near.add(flipped(most)), false);
      assert.equal(near.add(flipped(most + 1)), true);
    }
  }
});

Deno.test("a picture's hash forgives noise and tells pictures apart", () => {
  const random = new Random(2, "tests/review");
  const picture = (phase: number, noise: number) => {
    const image = createImage(48, 48);
    for (let i = 0; i < image.data.length; i++) {
      const x = Math.floor(i / 3) % 48, y = Math.floor(i / 144);
      image.data[i] = 128 + 100 * Math.sin(x / 5 + phase) * Math.cos(y / 7 - phase) + noise * random.uniform();
    }
    return differenceHash(image);
  };
  const near = new NearHashes(12);
  assert.ok(near.add(picture(0, 0)));
  assert.equal(near.add(picture(0, 4)), false);
  assert.ok(near.add(picture(1, 0)));
});

Deno.test("names in a review are escaped", () => {
  const face = neutralFace(16);
  const record = { file_name: "a.png", style: `"><script>`, group: "a", landmarks: face, edits: [] };
  const pair = {
    index: 0,
    record,
    alignment_nme: 1,
    doubt: 0,
    verdict: "kept",
    png: new Uint8Array(),
    found: face,
  } as const;
  const page = reviewPage("<data>", "<star>", { size_px: 16, schema: SCHEMAS.ibug68 }, [], [pair]);
  assert.ok(!/<script|<data|<star/.test(page));
});
