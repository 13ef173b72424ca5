import assert from "node:assert/strict";
import { CURVE_POINTS, landmarksOf } from "../../../faces/render/landmarks.ts";

const JAW = 65, BROW = 17;

/** A head whose outline is half a circle, walked ever faster, and whose brows and features lie on straight lines. */
function circleHead(): Float32Array {
  const curves = new Float32Array(CURVE_POINTS * 2);
  for (let i = 0; i < JAW; i++) {
    const half = (i - 32) / 32; // -1 beside the left eye, 0 at the chin
    const angle = Math.PI / 2 * Math.sign(half) * Math.abs(half) ** 1.7;
    curves.set([Math.sin(angle), Math.cos(angle)], i * 2);
  }
  for (let i = 0; i < 2 * BROW; i++) curves.set([i < BROW ? (i / 16) ** 2 : 2 + i - BROW, -1], (JAW + i) * 2);
  // Outer eye corners, 36 and 45, are 1 apart.
  for (let i = JAW + 2 * BROW; i < CURVE_POINTS; i++) curves.set([i / 9, 0], i * 2);
  return curves;
}

Deno.test("landmarksOf() spreads the outline and the brows evenly over their length", () => {
  const landmarks = landmarksOf(circleHead());
  const distance = (a: number, b: number): number =>
    Math.hypot(landmarks[2 * a]! - landmarks[2 * b]!, landmarks[2 * a + 1]! - landmarks[2 * b + 1]!);
  const radius = 1 - 0.012; // annotators put the outline a little inside of the silhouette
  const chord = 2 * radius * Math.sin(Math.PI / 32);
  for (let i = 0; i < 16; i++) assert(Math.abs(distance(i, i + 1) / chord - 1) < 0.03, `${i} to ${i + 1}`);
  for (let i = 1; i < 16; i++) {
    const length = Math.hypot(landmarks[2 * i]!, landmarks[2 * i + 1]!);
    assert(Math.abs(length - radius) < 0.004, `${i}: ${length} from the middle`);
  }
  for (let i = 17; i < 21; i++) assert(Math.abs(distance(i, i + 1) - 0.25) < 0.01, `${i} to ${i + 1}`);
  for (let i = 22; i < 26; i++) assert(Math.abs(distance(i, i + 1) - 4) < 1e-4, `${i} to ${i + 1}`);
  const ends = [0, 8, 16].flatMap((i) => [landmarks[2 * i]!, landmarks[2 * i + 1]!]);
  [-1, 0, 0, 1, 1, 0].forEach((v, i) => assert(Math.abs(ends[i]! - v) < 0.02, `end ${i}`));
});

Deno.test("landmarksOf() takes nose, eyes and mouth as they are", () => {
  const curves = circleHead();
  assert.deepEqual(landmarksOf(curves).subarray(27 * 2), curves.subarray((JAW + 2 * BROW) * 2));
});
