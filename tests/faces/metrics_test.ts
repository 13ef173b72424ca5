import assert from "node:assert/strict";
import {
  bootstrapMean,
  cedCurve,
  evaluate,
  failureRate,
  meanOffsets,
  nmePerImage,
  nmeWithoutOffsets,
} from "../../faces/metrics.ts";
import { Random } from "../../engine/rng.ts";
import { readSafetensors } from "../../formats/safetensors.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { neutralFace } from "./neutral_face.ts";

const random = () => new Random(1, "tests/metrics");

/** `nme/per_image` of the golden case metrics-300w-pupil, fractions, and what STAR makes of them. */
const GOLDEN_NME = [
  0.22531037032604218,
  0.07245679944753647,
  0.0021424239967018366,
  0.7507364153862,
  0.2050323784351349,
  0.05473705008625984,
  0.08055025339126587,
  1.5931569578242488e-05,
  0.0006414378294721246,
  0.11291110515594482,
  0.062435898929834366,
  0.006335255224257708,
  0.27430176734924316,
  0.0898914635181427,
  0.2121039181947708,
  0.019111892208456993,
  0.016704538837075233,
  0.09290260076522827,
  0.045013051480054855,
  7.95991436461918e-05,
  0.04408147931098938,
  0.0020925465505570173,
  0.004325084388256073,
].map((value) => 100 * value);

Deno.test("failureRate() is that of STAR, on its golden row", () => {
  const rows = [[5, 0.5217, 0.356928], [8, 0.3913, 0.429203], [10, 0.2609, 0.481029], [20, 0.2174, 0.629]] as const;
  for (const [threshold, wantedFr, wantedAuc] of rows) {
    const { fr, auc } = failureRate(GOLDEN_NME, threshold);
    assert.equal(Number((fr / 100).toFixed(4)), wantedFr, `FR at ${threshold} %`);
    assert.ok(Math.abs(auc - wantedAuc) <= 1e-6, `AUC at ${threshold} % is ${auc}`);
  }
});

const golden = "../shared/golden";
const missing = !(await Deno.stat(golden).then(() => true, () => false));

for (const [name, normaliser] of [["metrics-300w", "interocular"], ["metrics-300w-pupil", "interpupil"]] as const) {
  Deno.test({
    name: `nmePerImage() and failureRate() are those of STAR in ${name} (needs ../shared)`,
    ignore: missing,
    fn: async () => {
      const { results, nme_mean } = JSON.parse(await Deno.readTextFile(`${golden}/${name}.json`));
      using file = await readSafetensors(`${golden}/${name}.safetensors`);
      const predicted = (await file.read("input/predictions")).data,
        truth = (await file.read("input/groundtruth")).data;
      const wanted = (await file.read("nme/per_image")).data;
      const nme = nmePerImage(predicted, truth, SCHEMAS.ibug68, { normaliser });
      nme.forEach((value, i) => assert.ok(Math.abs(value / 100 - wanted[i]!) <= 1e-5 * 0.75, `image ${i}: ${value}`));
      assert.ok(Math.abs(nme.reduce((a, b) => a + b) / nme.length / 100 - nme_mean) < 1e-7);
      for (const threshold of ["0.05", "0.08", "0.1", "0.2"]) {
        const { fr, auc } = failureRate(nme, 100 * Number(threshold));
        assert.equal(Number((fr / 100).toFixed(4)), results[threshold].fr);
        assert.ok(Math.abs(auc - results[threshold].auc) <= 2e-6, `AUC at ${threshold} is ${auc}`);
      }
    },
  });
}

Deno.test("nmePerImage() divides by its normaliser", () => {
  const truth = neutralFace(100);
  const predicted = truth.map((value, i) => value + (i % 2 === 0 ? 3 : 4)); // 5 pixels off everywhere
  const expect = {
    interocular: 500 / 35.6,
    interpupil: 500 / (2 * (70 + 2 * 103 + 2 * 143 + 178) / 60),
    box_diagonal: 500 / Math.hypot(62, 61.2),
  };
  for (const [normaliser, value] of Object.entries(expect)) {
    const [nme] = nmePerImage(predicted, truth, SCHEMAS.ibug68, { normaliser: normaliser as keyof typeof expect });
    assert.ok(Math.abs(nme! - value) < 1e-3, `${normaliser}: ${nme} is not ${value}`);
  }
});

Deno.test("nmePerImage() and failureRate() refuse what cannot be measured", () => {
  const face = neutralFace(100);
  assert.throws(() => nmePerImage(face, face.subarray(2), SCHEMAS.ibug68), /Cannot compare 136 numbers with 134/);
  assert.throws(() => nmePerImage(face, face.map(() => 1), SCHEMAS.ibug68), /Cannot measure image 0: interocular is 0/);
  assert.throws(
    () => nmePerImage(face.map((v, i) => i === 7 ? NaN : v), face, SCHEMAS.ibug68),
    /Cannot measure image 0/,
  );
  assert.throws(() => failureRate([]), /0 images/);
});

Deno.test("failureRate() of perfect and of hopeless detections", () => {
  const perfect = failureRate([0, 0, 0]), hopeless = failureRate([20, 30]);
  assert.deepEqual([perfect.fr, hopeless.fr, hopeless.auc], [0, 100, 0]);
  assert.ok(Math.abs(perfect.auc - 1) < 1e-9);
  assert.equal(failureRate([10, 10.01], 10).fr, 50); // an error equal to the threshold is no failure
});

Deno.test("cedCurve() counts", () => {
  assert.deepEqual(cedCurve([1, 2, 3, 11], 4, 5), { error: [0, 1, 2, 3, 4], share: [0, 0.25, 0.5, 0.75, 0.75] });
});

Deno.test("bootstrapMean() is as wide as theory says, and wider when images come in groups", () => {
  const source = random();
  const values = Array.from({ length: 400 }, () => 5 + source.normal());
  const [low, high] = bootstrapMean(values, values.map((_, i) => String(i)), random())!;
  assert.ok(low < 5.1 && high > 4.9);
  assert.ok(Math.abs((high - low) / (2 * 1.96 / 20) - 1) < 0.15, `width ${high - low}`);
  const repeated = values.map((_, i) => values[i - i % 4]!);
  const [lowGrouped, highGrouped] = bootstrapMean(repeated, values.map((_, i) => String(i >> 2)), random())!;
  assert.ok((highGrouped - lowGrouped) / (high - low) > 1.7);
  assert.deepEqual(
    bootstrapMean(values, values.map(String), random()),
    bootstrapMean(values, values.map(String), random()),
  );
  assert.equal(bootstrapMean(values, values.map(() => "one"), random()), null, "one group says nothing of others");
});

Deno.test("evaluate() measures styles and regions apart", () => {
  const truth = new Float32Array(3 * 136), face = neutralFace(100);
  for (let i = 0; i < 3; i++) truth.set(face, 136 * i);
  const predicted = truth.slice();
  for (let point = 48; point < 68; point++) predicted[136 + 2 * point]! += 35.6; // the mouth of image 1, by one iod
  const result = evaluate(predicted, truth, SCHEMAS.ibug68, random(), {
    styles: ["ink", "photo", "ink"],
    groups: ["a", "a", "b"],
    thresholds: [8, 100],
  });
  assert.deepEqual(Object.keys(result.styles), ["ink", "photo"]);
  const { photo, ink } = result.styles;
  assert.deepEqual([ink!.count, ink!.nme, photo!.count], [2, 0, 1]);
  assert.deepEqual(photo!.failures.map(({ threshold }) => threshold), [8, 100]);
  assert.deepEqual([ink!.failures[0]!.fr, photo!.failures[0]!.fr], [0, 100]);
  assert.ok(Math.abs(photo!.regions["mouth"]! - 100) < 1e-3 && photo!.regions["eyes"] === 0);
  assert.ok(Math.abs(photo!.nme - 100 * 20 / 68) < 1e-3);
  assert.ok(Math.abs(result.all.nme - photo!.nme / 3) < 1e-9 && result.per_image.length === 3);
  const [low, high] = result.all.nme_interval!;
  assert.ok(low <= result.all.nme && result.all.nme <= high);
  assert.equal(photo!.nme_interval, null, "one image has no interval");
  const { a, b } = result.groups;
  assert.deepEqual([a!.count, a!.nme, b], [2, photo!.nme / 2, { count: 1, nme: 0 }]);
});

/** Copies of a face, each turned, enlarged and shifted, and landmarks off by some percent of its eye distance. */
function turnedFaces(offsetsOf: (image: number, point: number) => readonly [along: number, down: number]) {
  const face = neutralFace(100);
  const turns = [[0, 1], [0.6, 2], [-2.5, 0.5], [1.5, 1.3]] as const;
  const truth: number[] = [], predicted: number[] = [];
  for (const [image, [angle, scale]] of turns.entries()) {
    const [cos, sin] = [scale * Math.cos(angle), scale * Math.sin(angle)];
    for (let point = 0; point < 68; point++) {
      const [x, y] = [face[2 * point]!, face[2 * point + 1]!];
      const [along, down] = offsetsOf(image, point).map((percent) => 35.6 * percent / 100);
      truth.push(cos * x - sin * y + 7, sin * x + cos * y);
      predicted.push(cos * (x + along!) - sin * (y + down!) + 7, sin * (x + along!) + cos * (y + down!));
    }
  }
  return { truth, predicted };
}

Deno.test("meanOffsets() are in the face's own frame", () => {
  const { truth, predicted } = turnedFaces((image, point) => [point === 8 ? 5 : 0, point === 8 ? image - 3 : 0]);
  const { mean, per_image, shape } = meanOffsets(predicted, truth, SCHEMAS.ibug68);
  const close = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-3, `${a} is not ${b}`);
  mean.forEach((percent, k) => close(percent, k === 16 ? 5 : k === 17 ? -1.5 : 0));
  for (let image = 0; image < 4; image++) close(per_image[image * 136 + 17]!, image - 3);
  [36, 45].forEach((corner, k) => close(shape[2 * corner]!, 100 * k - 50));
  const face = neutralFace(100);
  close(shape[2 * 8 + 1]!, 100 * (face[17]! - (face[73]! + face[91]!) / 2) / 35.6);
});

Deno.test("nmeWithoutOffsets() takes off what other groups have in common", () => {
  // The same for all: nothing is left. Off the other way in one half: what the others say makes it worse.
  const left = (offsetsOf: Parameters<typeof turnedFaces>[0], groups: readonly string[]) => {
    const { truth, predicted } = turnedFaces(offsetsOf);
    return nmeWithoutOffsets(meanOffsets(predicted, truth, SCHEMAS.ibug68), groups);
  };
  const close = (a: number | null, b: number) => assert.ok(a !== null && Math.abs(a - b) < 1e-3, `${a} is not ${b}`);
  close(left(() => [3, 4], ["a", "b", "c", "d"]), 0);
  close(left((image) => [image < 2 ? 3 : -3, 0], ["a", "a", "b", "b"]), 6);
  close(left((image) => [image % 2 ? 3 : -3, 0], ["a", "a", "b", "b"]), 3);
  assert.equal(left(() => [3, 4], ["a", "a", "a", "a"]), null);
});
