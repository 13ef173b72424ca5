import assert from "node:assert/strict";
import { greyOf, snapContour } from "../../cli/correct/edges.ts";
import { boxOf, dragContour, mirrorFrom, movePoints } from "../../cli/correct/shapes.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { neutralFace } from "../faces/neutral_face.ts";

type Pair = readonly [number, number];
const row = Array.from({ length: 5 }, (_, k): Pair => [10 * k, 0]);
const all = [0, 1, 2, 3, 4];
const near = (a: readonly Pair[], b: readonly Pair[], within = 1e-9) =>
  a.forEach(([x, y], p) => assert.ok(Math.hypot(x - b[p]![0], y - b[p]![1]) <= within, `${p}: ${a[p]} ${b[p]}`));

Deno.test("dragContour() moves the held landmark whole, half the reach away half, and none at the reach", () => {
  const moved = dragContour(row, all, false, 2, [0, 8], 0.5);
  near(moved, [[0, 0], [10, 4], [20, 8], [30, 4], [40, 0]]);
  // Closed it is 80 pixels round, so that the reach is 40 to both sides.
  const ring = dragContour(row, all, true, 0, [0, 8], 0.5);
  assert.deepEqual(ring.map(([, y]) => Number(y.toFixed(3))), [8, 6.828, 4, 1.172, 0]);
  near(dragContour(new Array(3).fill([5, 5]), [0, 1, 2], false, 1, [1, 0], 0.5), [[5, 5], [6, 5], [5, 5]]);
});

Deno.test("movePoints() turns clockwise, scales and shifts some landmarks about a centre", () => {
  const moved = movePoints(row, [1, 3], { centre: [20, 0], angle: Math.PI / 2, scale: 2, by: [1, 0] });
  near(moved, [[0, 0], [21, -20], [20, 0], [21, 20], [40, 0]], 1e-9);
  assert.deepEqual(boxOf(moved, [1, 3]).h, 40);
});

Deno.test("mirrorFrom() places a feature as on the other side, whatever the feature was", () => {
  const flat = neutralFace(100), { mirror } = SCHEMAS.ibug68;
  const turn = (x: number, y: number): Pair => [0.9 * x - 0.3 * y + 20, 0.3 * x + 0.9 * y];
  const face = Array.from({ length: 68 }, (_, p) => turn(flat[2 * p]!, flat[2 * p + 1]!));
  const eye = [36, 37, 38, 39, 40, 41],
    wrong = movePoints(face, eye, { centre: [0, 0], angle: 0, scale: 1, by: [30, 9] });
  near(mirrorFrom(wrong, mirror, eye), face, 0.01);
  near(mirrorFrom(face, mirror, [30]), face);
});

Deno.test("snapContour() moves a contour across onto an edge, those that are fixed aside, and none where there is no edge", () => {
  const width = 60, height = 30, rgba = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < width * height; i++) rgba.fill(Math.floor(i / width) < 14 ? 40 : 220, 4 * i, 4 * i + 3);
  const line = Array.from({ length: 5 }, (_, k): Pair => [10 + 10 * k, 17]);
  const grey = greyOf(rgba, width, height);
  const snapped = snapContour(grey, line, all, false, new Set(), 6);
  near(snapped, line.map(([x]): Pair => [x, 13.5]), 0.6);
  assert.deepEqual(snapContour(grey, line, all, false, new Set([2]), 6)[2], line[2]);
  const flat = greyOf(rgba.fill(90), width, height);
  near(snapContour(flat, line, all, true, new Set(), 6), line);
  near(snapContour(greyOf(new Uint8ClampedArray(4), 1, 1), line, all, false, new Set(), 6), line);
});
