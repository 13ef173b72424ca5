import assert from "node:assert/strict";
import { contactSheet, drawCondition, drawLandmarks, overlayFaces, overlayLandmarks } from "../../faces/draw.ts";
import { createImage, type Image } from "../../faces/data/image.ts";
import { mirrorLandmarks, transformLandmarks } from "../../faces/landmarks.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { neutralFace } from "./neutral_face.ts";

function pixel({ width, data }: Image, x: number, y: number): number[] {
  return [...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)];
}

Deno.test("drawLandmarks() draws contours where they are and nothing elsewhere", () => {
  const face = neutralFace(64).fill(-50, 0, 27 * 2).fill(-50, 31 * 2); // the bridge of the nose alone
  face.set([32, 20, 32, 25, 32, 30, 32, 41], 27 * 2);
  const image = drawLandmarks(face, SCHEMAS.ibug68, 64);
  assert.deepEqual(pixel(image, 32, 36), [0, 112, 255]);
  assert.deepEqual(pixel(image, 33, 36), [0, 0, 0]);
  assert.deepEqual(pixel(image, 32, 43), [0, 0, 0]);
  const touched = Array.from({ length: 64 * 64 }, (_, i) => i).filter((i) => image.data[3 * i + 2]! > 0);
  assert.deepEqual(touched, Array.from({ length: 22 }, (_, i) => (20 + i) * 64 + 32));
});

Deno.test("drawLandmarks() is anti-aliased: half a pixel aside is half the light on both", () => {
  const face = neutralFace(64).fill(-50, 0, 27 * 2).fill(-50, 31 * 2);
  face.set([32.5, 20, 32.5, 25, 32.5, 30, 32.5, 41], 27 * 2);
  const image = drawLandmarks(face, SCHEMAS.ibug68, 64);
  assert.deepEqual(pixel(image, 32, 36), [0, 56, 128]);
  assert.deepEqual(pixel(image, 33, 36), [0, 56, 128]);
});

Deno.test("drawLandmarks() of a mirrored face is not the mirrored drawing: left and right have their colours", () => {
  const face = neutralFace(64);
  const image = drawLandmarks(mirrorLandmarks(face, SCHEMAS.ibug68, 64), SCHEMAS.ibug68, 64);
  const flipped = drawLandmarks(face, SCHEMAS.ibug68, 64);
  const lit = (value: Image) => value.data.filter((v) => v > 0).length;
  assert.ok(lit(image) > 500);
  const [x, y] = [Math.round(face[2 * 38]!), Math.round(face[2 * 38 + 1]!)];
  assert.notDeepEqual(pixel(image, x, y), pixel(flipped, 63 - x, y));
});

Deno.test("drawCondition() is the drawing from 0 to 1, at any size", () => {
  const face = neutralFace(256);
  for (const size_px of [32, 64, 256]) {
    const condition = drawCondition(face, SCHEMAS.ibug68, size_px, 256);
    assert.deepEqual(
      [...condition],
      [...drawLandmarks(face, SCHEMAS.ibug68, size_px, 256).data].map((value) => Math.fround(value / 255)),
    );
    assert.ok(condition.some((value) => value === 1));
  }
});

Deno.test("overlayLandmarks() leaves the picture it is given alone", () => {
  const image = createImage(64, 64, [90, 90, 90]), copy = image.data.slice();
  assert.notDeepEqual(overlayLandmarks(image, neutralFace(64), SCHEMAS.ibug68).data, copy);
  assert.deepEqual(image.data, copy);
});

Deno.test("contactSheet() lays out cells, shrinks what is too large and writes labels", () => {
  const images = [createImage(32, 32, [255, 0, 0]), createImage(64, 32, [0, 255, 0]), createImage(8, 8, [0, 0, 255])];
  const sheet = contactSheet(images, 2, { cell_px: 32, labels: ["A", "", "much too long for its cell"] });
  assert.deepEqual([sheet.width, sheet.height], [2 * 34 + 2, 2 * 43 + 2]);
  assert.deepEqual(pixel(sheet, 2, 2), [255, 0, 0]);
  assert.deepEqual(pixel(sheet, 36, 2), [0, 255, 0]);
  assert.deepEqual(pixel(sheet, 36, 18), [24, 24, 24]); // a 64 x 32 image fills half the height
  assert.deepEqual(pixel(sheet, 2, 45), [0, 0, 255]);
  const letter = Array.from(
    { length: 7 },
    (_, y) => [0, 1, 2, 3, 4].map((x) => pixel(sheet, 2 + x, 35 + y)[0]! > 100 ? "#" : "."),
  );
  assert.deepEqual(letter.map((row) => row.join("")), [".###.", "#...#", "#...#", "#...#", "#####", "#...#", "#...#"]);
  assert.throws(() => contactSheet([], 3), /contact sheet of 0 images/);
});

Deno.test("overlayFaces() draws each face as wide as suits its size, on a copy of at most the size asked for", () => {
  const picture = createImage(400, 200, [10, 20, 30]);
  const small = transformLandmarks(neutralFace(40), [1, 0, 20, 0, 1, 20]);
  const large = transformLandmarks(neutralFace(180), [1, 0, 200, 0, 1, 10]);
  const drawn = overlayFaces(picture, [small, large], SCHEMAS.ibug68);
  assert.deepEqual([drawn.width, drawn.height], [400, 200]);
  assert.ok(picture.data.every((value, i) => value === [10, 20, 30][i % 3]), "the picture is as before");
  const changed = (image: Image, from: number, to: number) => {
    let count = 0;
    for (let i = 0; i < image.width * image.height; i++) {
      const x = i % image.width;
      if (x >= from && x < to && image.data[3 * i] !== 10) count++;
    }
    return count;
  };
  const [few, many] = [changed(drawn, 0, 100), changed(drawn, 200, 400)];
  assert.ok(few > 100 && many > 4 * few, `${few} and ${many} pixels`);
  const half = overlayFaces(picture, [small, large], SCHEMAS.ibug68, 200);
  assert.deepEqual([half.width, half.height], [200, 100]);
  assert.ok(changed(half, 100, 200) > 0.15 * many && changed(half, 100, 200) < 0.6 * many);
});
