import assert from "node:assert/strict";
import {
  boxDiagonal,
  composeAffine,
  faceBox,
  interocular,
  interpupil,
  invertAffine,
  mirrorLandmarks,
  similarity,
  transformLandmarks,
} from "../../faces/landmarks.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { neutralFace } from "./neutral_face.ts";

const { ibug68 } = SCHEMAS;

Deno.test("mirrorLandmarks() of a symmetric face is that face", () => {
  const face = neutralFace(101);
  const mirrored = mirrorLandmarks(face, ibug68, 101);
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
  assert.ok(Math.abs(interocular(once, ibug68) / interocular(face, ibug68) - 1.3 * 0.7) < 1e-5);
});

Deno.test("measures of a face", () => {
  const face = new Float32Array(2 * ibug68.count).fill(10);
  face.set([0, 10], 2 * 36);
  face.set([30, 50], 2 * 45);
  assert.equal(interocular(face, ibug68), 50);
  assert.equal(boxDiagonal(face), 50);
  assert.ok(Math.abs(interpupil(face, ibug68) - Math.hypot(30 / 6, 40 / 6)) < 1e-9);
  assert.deepEqual(faceBox(face, 2), { x: -25, y: -10, side: 80 });
});
