import assert from "node:assert/strict";
import { SCHEMAS } from "../../../faces/schema.ts";
import { edgeCurve, pointMap, starMaps } from "../../../models/detectors/star_targets.ts";
import { neutralFace } from "../../faces/neutral_face.ts";

Deno.test("pointMap() has its centre at a whole pixel, also beside and beyond the border", () => {
  const top = (x: number, y: number) => {
    const at = pointMap(x, y, 32).indexOf(1);
    return [at % 32, Math.floor(at / 32)];
  };
  assert.deepEqual(top(10.4, 20.6), [10, 21]);
  assert.deepEqual(top(2.2, -7), [3, 1]); // as the peer has it, one pixel too far
  assert.deepEqual(top(31.4, 40), [31, 31]);
  assert.ok(Math.abs(pointMap(10, 10, 32)[10 * 32 + 13]! - Math.exp(-2)) < 1e-7);
});

Deno.test("edgeCurve() goes through its points, stays on a line and near a circle", () => {
  const line = [0, 0.5, 1.5, 2, 3].flatMap((x) => [x, 0]);
  const straight = edgeCurve(line, false);
  assert.equal(straight.length, 2 * (4 * 5 + 1));
  for (let k = 1; k < straight.length; k += 2) assert.ok(Math.abs(straight[k]!) < 1e-12);
  const circle = Array.from({ length: 12 }, (_, k) => [Math.cos(k * Math.PI / 6), Math.sin(k * Math.PI / 6)]).flat();
  const round = edgeCurve(circle, true);
  assert.equal(round.length, 2 * 12 * 5);
  for (let k = 0; k < round.length; k += 2) {
    assert.ok(Math.abs(Math.hypot(round[k]!, round[k + 1]!) - 1) < 2e-4, `${k}`);
  }
  assert.deepEqual([...edgeCurve([0, 0, 0, 0, 5, 0], false)], [0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0]);
});

Deno.test("starMaps() draws a blob and its edge where each landmark is", () => {
  const face = neutralFace(64);
  const edges = SCHEMAS.ibug68.contours.map(({ closed, points }) => [closed, points] as const);
  const { pointmaps, edgemaps } = starMaps(face, 64, edges);
  assert.deepEqual([pointmaps.length, edgemaps.length], [16 * 16 * 68, 16 * 16 * 9]);
  for (let p = 0; p < 68; p++) {
    const cell = (axis: number) => Math.max(0, Math.min(15, Math.floor((face[p * 2 + axis]! + 0.5) / 4)));
    assert.ok(pointmaps[(cell(1) * 16 + cell(0)) * 68 + p]! > 0.1, `landmark ${p}`);
  }
  assert.ok(edgemaps.every((v) => v >= 0 && v <= 1));
  assert.throws(() => starMaps(face, 66, edges), { name: "InputError" });
});
