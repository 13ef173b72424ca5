import assert from "node:assert/strict";
import { mirrorImages, shrink } from "../../../faces/data/image.ts";
import { mirrorLandmarks } from "../../../faces/landmarks.ts";
import {
  detectorSpecs,
  loadDetector,
  readDetector,
  saveDetector,
  uncertainty,
} from "../../../models/detectors/detector.ts";
import { hourglassConfig } from "../../../models/detectors/hourglass.ts";
import { initialise } from "../../../models/io/params.ts";
import type { Device } from "../../../engine/device.ts";
import { Random } from "../../../engine/rng.ts";
import { SCHEMAS } from "../../../faces/schema.ts";
import { inFolder } from "../../stages/run_stages.ts";
import { gpuTest, testDevice } from "../../gpu.ts";

const config = hourglassConfig.parse({ size_px: 32, heatmap_px: 16, stacks: 2, depth: 1, channels: 16, groups: 2 });
const SIDE = 32;
const BYTES = SIDE * SIDE * 3;

/** An untrained network, its maps made sharper so that it looks at the images. */
async function save(dir: string, dtype?: "F16"): Promise<void> {
  const tensors = initialise(detectorSpecs(config), 11);
  await saveDetector(dir, { ...config, temperature: 20 }, tensors, dtype ? { dtype } : {});
}

function noise(count: number): Uint8Array {
  const random = new Random(2, "noise");
  return Uint8Array.from({ length: count * BYTES }, () => random.int(256));
}

function far(a: Float32Array, b: Float32Array): number {
  assert.equal(a.length, b.length);
  return a.reduce((worst, v, i) => Math.max(worst, Math.abs(v - b[i]!)), 0);
}

/** The same device with tensors of so many bytes at most. */
function allowing(device: Device, bytes: number): Device {
  const limits = {
    maxTextureDimension2D: bytes / (1024 * 16),
    maxBufferSize: bytes,
    maxStorageBufferBindingSize: bytes,
  };
  const gpu = new Proxy(device.gpu, {
    get(target, key) {
      if (key === "limits") return limits;
      const value = Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { ...device, gpu };
}

gpuTest(
  "Detector.predict() does not depend on the batch, and works in pixels of the images given",
  () =>
    inFolder(async (dir) => {
      await save(dir);
      const device = testDevice();
      const images = noise(5);
      const [one, many] = [await loadDetector(device, dir, { batch: 2 }), await loadDetector(device, dir)];
      const { landmarks: found, covariance, features } = await many.predict(images, SIDE);
      const alone = await one.predict(images, SIDE);
      assert.ok(features!.every((value) => value >= 0) && far(features!, alone.features!) < 1e-3);
      const D = features!.length / 5;
      assert.ok(far(features!.subarray(0, D), features!.subarray(D, 2 * D)) > 1e-3);
      assert.ok(far(found, alone.landmarks) < 1e-3 && far(covariance, alone.covariance) < 1e-2);
      assert.ok(far(found.subarray(0, 136), found.subarray(136, 272)) > 0.05, "it looks at the images");
      using partial = await loadDetector(device, dir, { partial: true });
      for (const count of [1, 3, 5]) {
        const { landmarks } = await partial.predict(images.subarray(0, count * BYTES), SIDE);
        assert.ok(far(landmarks, found.subarray(0, count * 136)) < 1e-3);
      }

      // An adapter that holds less takes as many at once as it holds; one that holds too little for one says so.
      for (const [kib, batch] of [[600, 8], [150, 2], [80, 1]] as const) {
        const limited = allowing(device, kib * 1024);
        using fewer = await loadDetector(limited, dir);
        using lazy = await loadDetector(limited, dir, { partial: true });
        assert.equal(fewer.batch, batch, `${kib} KiB`);
        for (const detector of [fewer, lazy]) {
          assert.ok(far((await detector.predict(images, SIDE)).landmarks, found) < 1e-3);
          assert.ok(detector.batch <= Math.max(batch, 4));
        }
      }
      await assert.rejects(loadDetector(allowing(device, 4096), dir), {
        name: "AllocationError",
        message: /^Cannot allocate a tensor of \d+ (elements|bytes): .* hint: use a smaller batch or size$/,
      });

      // Twice as many pixels of the same picture: a pixel's centre (p + 0.5) becomes 2 (p + 0.5).
      const large = new Uint8Array(4 * BYTES);
      for (let y = 0; y < 2 * SIDE; y++) {
        for (let x = 0; x < 2 * SIDE; x++) {
          const from = ((y >> 1) * SIDE + (x >> 1)) * 3;
          large.set(images.subarray(from, from + 3), (y * 2 * SIDE + x) * 3);
        }
      }
      const twice = await many.predict(large, 2 * SIDE);
      assert.ok(far(twice.landmarks.map((px) => (px + 0.5) / 2 - 0.5), found.subarray(0, 136)) < 1e-3);
      assert.ok(far(twice.covariance.map((v) => v / 4), covariance.subarray(0, 204)) < 1e-2);
      for (let k = 0; k < covariance.length; k += 3) {
        const [xx, yy, xy] = covariance.subarray(k);
        assert.ok(xx! > 0 && yy! > 0 && xy! ** 2 <= xx! * yy!, "a covariance");
        assert.ok(xx! + yy! < SIDE ** 2, "the map is no wider than the image");
      }

      const both = await many.predict(images.subarray(0, BYTES), SIDE, { flip: true });
      const other = await many.predict(mirrorImages(images.subarray(0, BYTES), SIDE), SIDE, { flip: true });
      assert.ok(
        far(both.landmarks, mirrorLandmarks(other.landmarks, SCHEMAS.ibug68, SIDE)) < 1e-3,
        "with flip, the mirror image has the mirrored landmarks",
      );
      SCHEMAS.ibug68.mirror.forEach((from, k) => {
        const [[xx, yy, xy], [mxx, myy, mxy]] = [both.covariance.subarray(3 * k), other.covariance.subarray(3 * from)];
        assert.ok(Math.max(Math.abs(xx! - mxx!), Math.abs(yy! - myy!), Math.abs(xy! + mxy!)) < 1e-2);
      });
      const once = await many.predict(images.subarray(0, BYTES), SIDE);
      const views: Float32Array[] = [];
      for (const px of [0, 2]) {
        for (const mirrored of [false, true]) {
          const image = mirrored ? mirrorImages(images.subarray(0, BYTES), SIDE) : images.subarray(0, BYTES);
          const moved = new Uint8Array(BYTES);
          for (let at = 0; at < BYTES; at++) {
            const c = at % 3, x = Math.floor(at / 3) % SIDE, y = Math.floor(at / 3 / SIDE);
            moved[at] = image[(Math.max(0, y - px) * SIDE + Math.max(0, x - px)) * 3 + c]!;
          }
          const { landmarks } = await many.predict(moved, SIDE);
          const back = landmarks.map((at) => at - px);
          views.push(mirrored ? mirrorLandmarks(back, SCHEMAS.ibug68, SIDE) : back);
        }
      }
      const mean = views[0]!.map((_, i) => views.reduce((sum, view) => sum + view[i]!, 0) / 4);
      assert.ok(far(both.landmarks, mean) < 1e-3, "the mean of the image and its mirror image, both also moved");
      const squares = views.flatMap((a, i) =>
        views.slice(i + 1).map((b) => a.reduce((sum, px, k) => sum + (px - b[k]!) ** 2, 0) / 68)
      );
      const apart = Math.sqrt(squares.reduce((a, b) => a + b) / 6);
      assert.ok(apart > 0.05 && Math.abs(both.disagreement![0]! - apart) < 1e-3);
      assert.ok(Math.abs(other.disagreement![0]! - apart) < 1e-3 && !("disagreement" in once));
      const [sure, unsure] = [uncertainty(once), uncertainty(both)];
      assert.deepEqual([sure.length, unsure.length], [68, 68]);
      assert.ok(Math.abs(sure[7]! ** 2 - once.covariance[21]! - once.covariance[22]!) < 1e-2);
      assert.ok(Math.abs(unsure[7]! ** 4 / apart ** 2 - both.covariance[21]! - both.covariance[22]!) < 1e-2);

      await assert.rejects(one.predict(images.subarray(1), SIDE), /\[n, 32, 32, 3\] is expected/);
      for (const detector of [one, many]) detector.destroy();
    }),
);

gpuTest(
  "Detector.each() holds a batch of images at most, and finds what predict() finds",
  () =>
    inFolder(async (dir) => {
      await save(dir);
      const detector = await loadDetector(testDevice(), dir, { batch: 4 });
      const images = noise(9);
      const imageOf = (k: number) => k === 5 ? null : images.subarray(k * BYTES, (k + 1) * BYTES);
      const { landmarks, covariance } = await detector.predict(images, SIDE);
      let read = 0, taken = 0, most = 0;
      const items = function* () {
        for (; read < 9; read++) {
          most = Math.max(most, read + 1 - taken);
          yield read;
        }
      };
      for await (const [k, found] of detector.each(items(), imageOf, SIDE)) {
        assert.equal(k, taken++);
        assert.equal(found === null, k === 5);
        if (!found) continue;
        assert.ok(far(found.landmarks, landmarks.subarray(k * 136, (k + 1) * 136)) < 1e-3);
        assert.ok(far(found.covariance, covariance.subarray(k * 204, (k + 1) * 204)) < 1e-2);
      }
      assert.deepEqual([taken, most], [9, 4]);
      detector.destroy();
    }),
);

Deno.test("a detector's folder keeps network and weights, in half precision too", () =>
  inFolder(async (dir) => {
    await save(dir, "F16");
    const { config: read, tensors } = await readDetector(dir);
    assert.deepEqual(read, { ...config, temperature: 20 });
    for (const [name, { data }] of initialise(detectorSpecs(config), 11)) {
      assert.ok(far(tensors.get(name)!.data, data) < 1e-3, name);
    }
    await Deno.writeTextFile(`${dir}/config.json`, JSON.stringify({ model_type: "bert" }));
    await assert.rejects(readDetector(dir), /"model_type" is "bert", not "hourglass" or "star"/);
    await Deno.writeTextFile(`${dir}/config.json`, "{");
    await assert.rejects(readDetector(dir), /config\.json as a detector: .*JSON/);
    await Deno.remove(`${dir}/config.json`);
    await assert.rejects(readDetector(dir), /config\.json is missing/);
  }));

Deno.test("shrink() takes area averages by a whole factor, and leaves small images alone", () => {
  const images = noise(1);
  assert.equal(shrink(images, SIDE, 20).images, images);
  const { images: small, size_px } = shrink(images, SIDE, 10);
  assert.deepEqual([size_px, small.length], [11, 11 * 11 * 3]);
  const half = shrink(images, SIDE, 16).images;
  const mean = [0, 1, SIDE, SIDE + 1].reduce((sum, k) => sum + images[k * 3]!, 0) / 4;
  assert.ok(Math.abs(half[0]! - mean) <= 0.5);
});
