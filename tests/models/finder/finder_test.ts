import assert from "node:assert/strict";
import { createImage } from "../../../faces/data/image.ts";
import { circleIntersection, type FaceCandidate, suppress } from "../../../models/finder/decode.ts";
import { Finder, loadFinder, saveFinder, searchSizes } from "../../../models/finder/finder.ts";
import { finderConfig, finderSpecs } from "../../../models/finder/network.ts";
import { createParameters, initialise } from "../../../models/io/params.ts";
import { gpuTest } from "../../gpu.ts";
import { slow } from "../../slow.ts";
import { inFolder } from "../../stages/run_stages.ts";

Deno.test("circleIntersection() is that of sampled circles", () => {
  for (const [x, a, b] of [[0, 10, 6], [2, 10, 6], [6, 10, 6], [7, 10, 10], [9, 10, 6], [3, 4, 10]] as const) {
    let count = 0;
    const step = 0.02;
    for (let v = -6; v < 6; v += step) {
      for (let u = -6; u < 14; u += step) {
        if (Math.hypot(u, v) < a / 2 && Math.hypot(u - x, v) < b / 2) count++;
      }
    }
    const got = circleIntersection({ x: 5, y: 1, side: a }, { x: 5 + x, y: 1, side: b });
    assert.ok(Math.abs(got - count * step * step) < 0.15, `${got}, expected ${count * step * step}`);
  }
});

Deno.test("suppress() leaves the surest face of each place, and faces beside each other", () => {
  const face = (x: number, side: number, logit: number): FaceCandidate => ({ x, y: 0, side, angle: 0, logit });
  const kept = suppress([face(0, 10, 1), face(2, 11, 3), face(9, 10, 0), face(2, 4, 2), face(40, 10, 5)]);
  assert.deepEqual(kept.map(({ x }) => x), [40, 2, 9]);
});

Deno.test("searchSizes() bounds the copies of pictures of any size and shape", () => {
  const sizes = (width: number, height: number, least?: number) =>
    searchSizes({ width, height }, least).map(({ width, height }) => `${width}x${height}`);
  assert.deepEqual(sizes(800, 600), ["640x480", "320x240", "160x120"]);
  assert.deepEqual(sizes(40_000, 30_000), ["640x480", "320x240", "160x120"]);
  assert.deepEqual(sizes(12_800, 100), ["1280x10", "640x5", "320x3", "160x1"]);
  assert.deepEqual(sizes(400, 300), ["400x300", "200x150", "100x75"]);
  assert.deepEqual(sizes(400, 300, 8), ["800x600", "400x300", "200x150", "100x75"]);
  assert.deepEqual(sizes(160, 90), ["256x144", "128x72"]);
  assert.deepEqual(sizes(100, 60), ["200x120", "100x60"]);
  assert.deepEqual(sizes(1, 1), ["2x2"]);
  assert.deepEqual(sizes(2000, 1500, 20), ["1280x960", "640x480", "320x240", "160x120"]);
  assert.deepEqual(sizes(2000, 1500, 200), ["160x120"]);
});

const CONFIG = finderConfig.parse({ stem: 4, c4: 4, c8: 8, c16: 8, c32: 8, neck: 8 });

gpuTest("a finder takes pictures of any size, and is the same when it is read from its folder", async (device) => {
  await inFolder(async (dir) => {
    const specs = finderSpecs(CONFIG);
    const parameters = createParameters(device, specs, initialise(specs, 3));
    using finder = new Finder(device, CONFIG, parameters, { own: true });
    await saveFinder(dir, CONFIG, parameters);
    using again = await loadFinder(device, dir);
    assert.deepEqual(again.config, CONFIG);
    for (const [width, height] of [[1, 1], [70, 33], [200, 10], [33, 300]] as const) {
      const image = createImage(width, height, [200, 20, 90]);
      image.data.forEach((_, k) => image.data[k] = (k * 7919) % 251);
      const found = await finder.find(image, { min_score: 0.001 });
      assert.ok(found.length > 0 || width === 1, "the network is not trained: many faces");
      for (const { x, y, side, angle, score } of found) {
        assert.ok(x >= -0.5 && x <= width - 0.5 && y >= -0.5 && y <= height - 0.5 && side > 0);
        assert.ok(Math.abs(angle) <= Math.PI && score >= 0.001 && score < 1);
      }
      assert.deepEqual(found.map(({ score }) => score), found.map(({ score }) => score).toSorted((a, b) => b - a));
      assert.deepEqual(await again.find(image, { min_score: 0.001 }), found);
      assert.deepEqual(await finder.find(image, { min_score: 0.001, max_faces: 1 }), found.slice(0, 1));
      assert.deepEqual(await finder.find(image, { min_score: 1 }), []);
    }
    await assert.rejects(() => finder.find(createImage(9, 9), { min_score: 2 }), /min_score 2: it must be from 0 to 1/);
    await assert.rejects(() => finder.find(createImage(9, 9), { turns: 3 as 4 }), /turns 3: it must be 1, 2 or 4/);
    await assert.rejects(() => finder.find(createImage(9, 9), { max_faces: 0 }), /max_faces 0: it must be 1 or more/);
  });
});

gpuTest("a finder that searches all turns finds the same in a picture that is turned", async (device) => {
  const specs = finderSpecs(CONFIG);
  using finder = new Finder(device, CONFIG, createParameters(device, specs, initialise(specs, 3)), { own: true });
  const [width, height] = [70, 40];
  const image = createImage(width, height);
  image.data.forEach((_, k) => image.data[k] = (k * 7919) % 251);
  const turned = createImage(height, width);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (y * width + x) * 3;
      turned.data.set(image.data.subarray(from, from + 3), (x * height + height - 1 - y) * 3);
    }
  }
  const options = { min_score: 0.001, turns: 4 } as const;
  const [found, again] = [await finder.find(image, options), await finder.find(turned, options)];
  assert.ok(found.length > 0 && found.length === again.length);
  const round = (value: number) => Number(value.toFixed(3));
  const quarter = found.map(({ x, y, side, angle, score }) => ({
    x: round(height - 1 - y),
    y: round(x),
    side: round(side),
    cos: round(Math.cos(angle + Math.PI / 2)),
    score: round(score),
  }));
  const places = again.map(({ x, y, side, angle, score }) => ({
    x: round(x),
    y: round(y),
    side: round(side),
    cos: round(Math.cos(angle)),
    score: round(score),
  }));
  assert.deepEqual(places, quarter);
  const most = await finder.find(image, { min_score: 0.001 });
  assert.ok(most.every(({ score }) => score <= found[0]!.score));
});

gpuTest("a finder gives back what it took, and keeps few plans", async (device) => {
  const specs = finderSpecs(CONFIG);
  const before = device.memory.live;
  {
    using finder = new Finder(device, CONFIG, createParameters(device, specs, initialise(specs, 3)), { own: true });
    // Two copies of each picture. The first pictures are the largest, and their plans must go.
    const sides = [64, 128, 192, 256, 320];
    const sizes = sides.flatMap((side) => [[320, side], [side, 320]] as const).toReversed();
    const live: number[] = [];
    for (const [width, height] of sizes) {
      await finder.find(createImage(width, height), { min_size_px: 16 });
      live.push(device.memory.live);
    }
    assert.ok(live.at(-1)! < Math.max(...live));
  }
  assert.equal(device.memory.live, before);
}, slow);
