import assert from "node:assert/strict";
import { Random } from "../../../engine/rng.ts";
import { createImage } from "../../../faces/data/image.ts";
import { boundingBox } from "../../../faces/landmarks.ts";
import { composePage, type PageFace } from "../../../faces/scenes/page.ts";

const SIDE = 40;
/** A white square with marks of one colour each, and the landmarks of these. */
function marked(): PageFace {
  const image = createImage(SIDE, SIDE, [255, 255, 255]);
  const marks = [[8, 9], [31, 10], [20, 30]] as const;
  marks.forEach(([x, y], channel) => {
    for (let row = y - 4; row <= y + 4; row++) {
      for (let column = x - 4; column <= x + 4; column++) {
        for (let c = 0; c < 3; c++) image.data[(row * SIDE + column) * 3 + c] = c === channel ? 255 : 0;
      }
    }
  });
  return { image, landmarks: Float32Array.from(marks.flat()) };
}

Deno.test("composePage() puts faces beside each other, with their landmarks, turned and of several sizes", () => {
  const random = new Random(1, "page_test"), side = 600;
  const angles: number[] = [], sizes: number[] = [];
  for (let k = 0; k < 12; k++) {
    const { image, faces } = composePage(Array.from({ length: 6 }, marked), side, random.at(k));
    assert.deepEqual([image.width, image.height, faces.length], [side, side, 6]);
    const middles = faces.map((landmarks) => {
      for (let mark = 0; mark < 3; mark++) {
        const [x, y] = [Math.round(landmarks[2 * mark]!), Math.round(landmarks[2 * mark + 1]!)];
        const at = (y * side + x) * 3;
        assert.deepEqual([...image.data.subarray(at, at + 3)], [0, 1, 2].map((c) => c === mark ? 255 : 0));
      }
      const [ax, ay, bx, by] = landmarks as unknown as [number, number, number, number];
      angles.push(Math.atan2(by - ay, bx - ax));
      const { x, y, width, height } = boundingBox(landmarks);
      sizes.push(Math.hypot(bx - ax, by - ay));
      return [x + width / 2, y + height / 2] as const;
    });
    middles.forEach(([x, y], i) => {
      for (const [u, v] of middles.slice(i + 1)) assert.ok(Math.hypot(x - u, y - v) > 0.08 * side);
    });
  }
  assert.ok(angles.some((angle) => angle > 2) && angles.some((angle) => angle < -2));
  assert.ok(Math.max(...sizes) > 2.5 * Math.min(...sizes));
});

Deno.test("composePage() makes images smaller that have no room", () => {
  const { faces } = composePage(Array.from({ length: 30 }, marked), 300, new Random(2, "page_test"));
  assert.equal(faces.length, 30);
});
