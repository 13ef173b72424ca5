import assert from "node:assert/strict";
import { segmentsCross, signedArea } from "../../faces/geometry.ts";

const points = [0, 0, 4, 0, 4, 2, 0, 2, 2, 1];

Deno.test("signedArea() is above 0 clockwise on the screen", () => {
  assert.equal(signedArea(points, [0, 1, 2, 3]), 8);
  assert.equal(signedArea(points, [3, 2, 1, 0]), -8);
});

Deno.test("segmentsCross() tells crossing from touching and passing by", () => {
  const cross = (a: [number, number], b: [number, number]) =>
    segmentsCross(points, { from: a[0], to: a[1] }, { from: b[0], to: b[1] });
  assert.ok(cross([0, 2], [1, 3]));
  assert.ok(!cross([0, 1], [2, 3]));
  assert.ok(!cross([0, 2], [4, 1]), "an end on the other segment");
});
