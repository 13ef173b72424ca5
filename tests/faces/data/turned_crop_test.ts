import assert from "node:assert/strict";
import { Random } from "../../../engine/rng.ts";
import { createImage, cropSquare, cropTransform, type Image, turnQuarter } from "../../../faces/data/image.ts";
import {
  cropTurned,
  Pyramid,
  turnedFaceBox,
  type TurnedSquare,
  turnedTransform,
} from "../../../faces/data/turned_crop.ts";
import { boundingBox, CROP_SCALE, faceBox, similarity, transformLandmarks } from "../../../faces/landmarks.ts";
import { faceAngle, facePlace } from "../../../faces/place.ts";
import { SCHEMAS } from "../../../faces/schema.ts";
import { neutralFace } from "../neutral_face.ts";

function noise(width: number, height: number): Image {
  const random = new Random(3, "turned_crop");
  return { width, height, data: createImage(width, height).data.map(() => random.int(256)) };
}

const largest = (a: Uint8Array, b: Uint8Array) => a.reduce((most, v, i) => Math.max(most, Math.abs(v - b[i]!)), 0);

Deno.test("cropTurned() cuts as cropSquare() where nothing is turned, inside and across the border", () => {
  const image = noise(90, 70);
  for (const box of [{ x: 10.3, y: 5.7, side: 24 }, { x: -12, y: 20.25, side: 61.5 }, { x: 3, y: 4, side: 13.1 }]) {
    const square = { x: box.x + box.side / 2, y: box.y + box.side / 2, side: box.side, angle: 0 };
    const turned = cropTurned(new Pyramid(image), square, 32);
    assert.ok(largest(turned.data, cropSquare(image, box, 32).data) <= 1, JSON.stringify(box));
    turnedTransform(square, 32).forEach((v, i) => assert.ok(Math.abs(v - cropTransform(box, 32)[i]!) < 1e-9));
  }
});

Deno.test("cropTurned() of an image that is turned by quarters is the same, also of smaller copies", () => {
  // 70 pixels are 9 of a sixteenth part, rounded up, which sides of 96 and 64 need not be.
  for (const [image, side] of [[noise(90, 70), 40], [noise(96, 64), 300]] as const) {
    let turned = image, square: TurnedSquare = { x: 40, y: 31, side, angle: 0.4 };
    const first = cropTurned(new Pyramid(image), square, 32).data;
    for (let k = 0; k < 4; k++) {
      square = { x: turned.height - 1 - square.y, y: square.x, side, angle: square.angle + Math.PI / 2 };
      turned = turnQuarter(turned);
      assert.ok(largest(cropTurned(new Pyramid(turned), square, 32).data, first) <= 1, `${k + 1} quarters`);
    }
  }
});

Deno.test("cropTurned() shows a dot where turnedTransform() places it, at any size and angle", () => {
  for (const [side, angle] of [[20, 1], [64, -2.5], [200, 0.7], [900, 3]] as const) {
    const image = createImage(1000, 800), square = { x: 510.5, y: 400, side, angle };
    const [x, y] = [510.5 + 0.2 * side, 400 - 0.15 * side], radius = Math.max(1.5, side / 16);
    for (let py = 0; py < 800; py++) {
      for (let px = 0; px < 1000; px++) {
        if (Math.hypot(px - x, py - y) <= radius) image.data.fill(255, (py * 1000 + px) * 3, (py * 1000 + px) * 3 + 3);
      }
    }
    const crop = cropTurned(new Pyramid(image), square, 64);
    let [sum, across, down] = [0, 0, 0];
    for (let i = 0; i < 64 * 64; i++) {
      const value = crop.data[3 * i]!;
      sum += value;
      across += value * (i % 64);
      down += value * Math.floor(i / 64);
    }
    const [expectedX, expectedY] = transformLandmarks(Float32Array.of(x, y), turnedTransform(square, 64));
    const off = Math.hypot(across / sum - expectedX!, down / sum - expectedY!);
    assert.ok(off < 0.25, `side ${side}, angle ${angle}: off by ${off} pixels`);
  }
});

Deno.test("faceAngle() follows the face all around, and turnedFaceBox() stays the same part of it", () => {
  const schema = SCHEMAS.ibug68, face = neutralFace(100), upright = faceBox(face);
  assert.ok(Math.abs(faceAngle(face, schema)) < 1e-6);
  for (const angle of [-3, -1.5, -0.2, 0.5, 2, 3.1]) {
    const turn = similarity([20, 70], 1.5, angle), turned = transformLandmarks(face, turn);
    assert.ok(Math.abs(faceAngle(turned, schema) - angle) < 1e-5);
    assert.ok(Math.abs(facePlace(turned).side * CROP_SCALE - 1.5 * upright.side) < 1e-3);
    const { x, y, side } = turnedFaceBox(turned, angle);
    const centre = Float32Array.of(upright.x + upright.side / 2, upright.y + upright.side / 2);
    const [u, v] = transformLandmarks(centre, turn);
    assert.ok(Math.hypot(x - u!, y - v!) < 1e-3 && Math.abs(side - 1.5 * upright.side) < 1e-3);
    const cropped = boundingBox(transformLandmarks(turned, turnedTransform({ x, y, side, angle }, 128)));
    assert.ok(Math.abs(Math.max(cropped.width, cropped.height) - 128 / CROP_SCALE) < 1e-3);
  }
});

Deno.test("faceAngle() knows the eyes and the mouth of every schema", () => {
  for (const schema of Object.values(SCHEMAS)) {
    const landmarks = new Float32Array(2 * schema.count).map((_, i) => i % 2);
    for (const [side, x] of [["left", -1], ["right", 1]] as const) {
      for (const point of schema.normalisers.interpupil[side]) landmarks.set([x, 0], 2 * point);
    }
    const turned = transformLandmarks(landmarks, similarity([3, 4], 2, 1.1));
    assert.ok(Math.abs(faceAngle(landmarks, schema)) < 1e-6, schema.name);
    assert.ok(Math.abs(faceAngle(turned, schema) - 1.1) < 1e-5, schema.name);
  }
});
