import assert from "node:assert/strict";
import {
  boxDiagonal,
  composeAffine,
  CONTOURS,
  faceBox,
  interocular,
  interpupil,
  invertAffine,
  LANDMARK_COUNT,
  MIRROR,
  mirrorLandmarks,
  REGIONS,
  similarity,
  transformLandmarks,
} from "../../faces/landmarks.ts";
import { neutralFace } from "./neutral_face.ts";

Deno.test("regions and contours hold every landmark once", () => {
  const all = Array.from({ length: LANDMARK_COUNT }, (_, i) => i);
  const sorted = (lists: Iterable<readonly number[]>) => [...lists].flat().sort((a, b) => a - b);
  assert.deepEqual(sorted(Object.values(REGIONS)), all);
  assert.deepEqual(sorted(CONTOURS.map(({ points }) => points)), all);
  for (const { region, points } of CONTOURS) assert.ok(points.every((point) => REGIONS[region].includes(point)));
});

Deno.test("MIRROR undoes itself and keeps regions", () => {
  MIRROR.forEach((to, from) => assert.equal(MIRROR[to], from));
  for (const points of Object.values(REGIONS)) assert.ok(points.every((point) => points.includes(MIRROR[point]!)));
  const fixed = MIRROR.flatMap((to, from) => to === from ? [from] : []);
  assert.deepEqual(fixed, [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]);
});

Deno.test("mirrorLandmarks() of a symmetric face is that face", () => {
  const face = neutralFace(101);
  const mirrored = mirrorLandmarks(face, 101);
  face.forEach((value, i) => assert.ok(Math.abs(value - mirrored[i]!) < 1e-3, `landmark ${i >> 1}`));
});

Deno.test("affine maps compose and invert", () => {
  const face = neutralFace(64);
  const a = similarity([30, 20], 1.3, 0.4, [3, -2]), b = similarity([5, 60], 0.7, -1);
  const twice = transformLandmarks(transformLandmarks(face, a), b);
  const once = transformLandmarks(face, composeAffine(b, a));
  const back = transformLandmarks(once, invertAffine(composeAffine(b, a)));
  face.forEach((value, i) => {
    assert.ok(Math.abs(twice[i]! - once[i]!) < 1e-3);
    assert.ok(Math.abs(value - back[i]!) < 1e-3);
  });
  assert.ok(Math.abs(interocular(once) / interocular(face) - 1.3 * 0.7) < 1e-5);
});

Deno.test("measures of a face", () => {
  const face = new Float32Array(2 * LANDMARK_COUNT).fill(10);
  face.set([0, 10], 2 * 36);
  face.set([30, 50], 2 * 45);
  assert.equal(interocular(face), 50);
  assert.equal(boxDiagonal(face), 50);
  assert.ok(Math.abs(interpupil(face) - Math.hypot(30 / 6, 40 / 6)) < 1e-9);
  assert.deepEqual(faceBox(face, 2), { x: -25, y: -10, side: 80 });
});
