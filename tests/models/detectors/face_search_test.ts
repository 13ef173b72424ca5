import assert from "node:assert/strict";
import { createImage, type Image } from "../../../faces/data/image.ts";
import { transformLandmarks } from "../../../faces/landmarks.ts";
import { type Finder, searchFace, searchWindows } from "../../../models/detectors/face_search.ts";
import { hourglassConfig } from "../../../models/detectors/hourglass.ts";
import { SCHEMAS } from "../../../faces/schema.ts";
import { neutralFace } from "../../faces/neutral_face.ts";

const SIDE = 32;

/** Takes a white square for a face, and guesses to the left where it sees no whole one. */
const finder: Finder = {
  config: hourglassConfig.parse({ size_px: SIDE, heatmap_px: 16, depth: 2 }),
  schema: SCHEMAS.ibug68,
  batch: 8,
  predict(images) {
    const count = images.length / (SIDE * SIDE * 3);
    const landmarks = new Float32Array(count * 136);
    for (let k = 0; k < count; k++) {
      const lit = Array.from({ length: SIDE * SIDE }, (_, i) => i).filter((i) =>
        images[(k * SIDE * SIDE + i) * 3]! > 127
      );
      const span = (values: number[]) => [Math.min(...values), Math.max(...values)] as const;
      const [[x0, x1], [y0, y1]] = [span(lit.map((i) => i % SIDE)), span(lit.map((i) => Math.floor(i / SIDE)))];
      const whole = lit.length > 16 && x0 > 0 && y0 > 0 && x1 < SIDE - 1 && y1 < SIDE - 1;
      const [x, y, side] = whole ? [(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0 + 1] : [5, 16, 8];
      // The box of the neutral face's landmarks is 0.62 of its picture.
      const scale = side / (0.62 * 100);
      landmarks.set(
        transformLandmarks(neutralFace(100), [scale, 0, x - 49.5 * scale, 0, scale, y - 57 * scale]),
        k * 136,
      );
    }
    return Promise.resolve({ landmarks, covariance: new Float32Array(count * 204) });
  },
};

function picture(width: number, height: number, x: number, y: number, side: number): Image {
  const image = createImage(width, height);
  for (let row = y; row < y + side; row++) image.data.fill(255, (row * width + x) * 3, (row * width + x + side) * 3);
  return image;
}

Deno.test("searchFace() finds a face anywhere, of any size, and says so when there is none", async () => {
  for (const [x, y, side] of [[30, 20, 60], [130, 50, 30], [10, 75, 24]] as const) {
    for (const scale of [1, 3]) {
      const image = picture(180 * scale, 120 * scale, x * scale, y * scale, side * scale);
      const found = await searchFace(finder, image);
      assert.ok(found, `a face of ${side} pixels at ${x}, ${y}`);
      const middle = (at: number) => at + found.box.side / 2 + 0.5;
      assert.ok(Math.abs(middle(found.box.x) / scale - x - side / 2) < 0.15 * side, `x is ${middle(found.box.x)}`);
      assert.ok(Math.abs(middle(found.box.y) / scale - y - side / 2) < 0.25 * side, `y is ${middle(found.box.y)}`);
      assert.ok(Math.abs(found.box.side / scale / (1.54 * side) - 1) < 0.2, `side is ${found.box.side}`);
    }
  }
  assert.equal(await searchFace(finder, createImage(90, 60)), null);
});

Deno.test("searchWindows() has a bound: long thin pictures have fewer sizes, and none at all is an error", () => {
  const sizesOf = (width: number, height: number) => searchWindows(width, height).length;
  assert.deepEqual([sizesOf(300, 300), sizesOf(900, 300), sizesOf(300, 1500)], [5, 5, 4]);
  for (const [width, height] of [[300, 3000], [20, 1000], [8, 400], [1, 100]] as const) {
    const windows = searchWindows(width, height);
    assert.equal(windows[0]![0]!.side, width);
    assert.ok(windows.flat().length <= 800, `${width} x ${height}`);
  }
  assert.throws(() => searchWindows(4, 4000), {
    name: "InputError",
    message: "Cannot search an image of 4 x 4000 pixels for a face: it is too long and thin, " +
      "hint: give the place of the face with --box x,y,width,height",
  });
});

Deno.test("searchWindows() covers the picture at every size", () => {
  const sizes = searchWindows(300, 200);
  assert.equal(sizes[0]![0]!.side, 200);
  for (const boxes of sizes) {
    const { side } = boxes[0]!;
    assert.equal(Math.min(...boxes.map(({ x }) => x)), -0.5);
    assert.ok(Math.abs(Math.max(...boxes.map(({ x }) => x)) + side - 299.5) < 1e-9);
    assert.ok(boxes.every((box, k) => k === 0 || box.y > boxes[k - 1]!.y || box.x - boxes[k - 1]!.x <= 0.3 * side));
  }
});
