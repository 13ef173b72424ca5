import assert from "node:assert/strict";
import type { Faces } from "../../faces/data/dataset.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { scenes } from "../../stages/lib/scenes.ts";
import { neutralFace } from "../faces/neutral_face.ts";

Deno.test("scenes() spreads scenes of clutter alone over the others, which stay the same", () => {
  const faces: Faces = {
    images: new Uint8Array(48 * 48 * 3).fill(128),
    landmarks: neutralFace(48),
    size_px: 48,
    schema: SCHEMAS.ibug68,
  };
  const some = (
    clutter?: number,
  ) => [...scenes([faces], [1], { seed: 3, count: 8, side: 64, empty: 0, ...clutter !== undefined && { clutter } })];
  const all = some(), quarter = some(0.25);
  assert.ok(all.every(({ faces }) => faces.length > 0));
  assert.deepEqual(all, some(0));
  assert.deepEqual(quarter.map(({ faces }) => faces.length === 0), [0, 0, 0, 1, 0, 0, 0, 1].map(Boolean));
  quarter.forEach((scene, k) =>
    k % 4 === 3 ? assert.notDeepEqual(scene.image, all[k]!.image) : assert.deepEqual(scene, all[k])
  );
  assert.ok(some(1).every(({ faces }) => faces.length === 0));
});
