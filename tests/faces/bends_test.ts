import assert from "node:assert/strict";
import { bendBack, bendLandmarks, drawBends, STRONGEST_BEND } from "../../faces/bends.ts";
import { interocular, mirrorLandmarks } from "../../faces/landmarks.ts";
import { Random } from "../../engine/rng.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { neutralFace } from "./neutral_face.ts";

const SIDE = 64;
const face = neutralFace(SIDE);
const draws = Array.from(
  { length: 200 },
  (_, step) => drawBends(face, SCHEMAS.ibug68, new Random(5, "bends", step), STRONGEST_BEND),
);

Deno.test("bendLandmarks() is the way back's inverse, also for the strongest bends", () => {
  const at = new Float64Array(2);
  let most = 0;
  for (const [step, bends] of draws.entries()) {
    const moved = bendLandmarks(face, bends);
    for (let k = 0; k < face.length; k += 2) {
      at.set([moved[k]!, moved[k + 1]!]);
      bendBack(at, bends);
      const off = Math.hypot(at[0]! - face[k]!, at[1]! - face[k + 1]!);
      assert.ok(off < 0.02, `step ${step}: landmark ${k / 2} comes back ${off} pixels from where it was`);
      most = Math.max(most, Math.hypot(moved[k]! - face[k]!, moved[k + 1]! - face[k + 1]!));
    }
  }
  assert.ok(most > SIDE / 8, `the farthest way is ${most} pixels`);
});

Deno.test("bends never fold a picture", () => {
  const at = new Float64Array(2), H = 1e-3;
  const back = (x: number, y: number, step: number) => {
    at.set([x, y]);
    bendBack(at, draws[step]!);
    return [at[0]!, at[1]!] as const;
  };
  for (let step = 0; step < draws.length; step++) {
    for (let y = 0; y < SIDE; y += 3) {
      for (let x = 0; x < SIDE; x += 3) {
        const [[x0, y0], [x1, y1], [x2, y2]] = [back(x, y, step), back(x + H, y, step), back(x, y + H, step)];
        const area = ((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)) / H ** 2;
        assert.ok(area > 0, `step ${step} at ${x}, ${y}: ${area}`);
      }
    }
  }
});

Deno.test("drawBends() does to one side of a face what it does to the other", () => {
  // Two bends that do not reach each other keep a symmetric face symmetric.
  const upright = face.map((v, k) => (v + mirrorLandmarks(face, SCHEMAS.ibug68, SIDE)[k]!) / 2);
  let bent = 0;
  for (let step = 0; step < 200; step++) {
    const bends = drawBends(upright, SCHEMAS.ibug68, new Random(6, "bends", step), 0.1);
    const lone = bends.length === 2 && Math.abs(bends[0]!.x - bends[1]!.x) > 3 * bends[0]!.deviation;
    if (!lone) continue;
    const moved = bendLandmarks(upright, bends);
    const mirrored = mirrorLandmarks(moved, SCHEMAS.ibug68, SIDE);
    const off = Math.max(...moved.map((v, k) => Math.abs(v - mirrored[k]!)));
    const change = Math.max(...moved.map((v, k) => Math.abs(v - upright[k]!)));
    assert.ok(off < 0.1 * change, `step ${step}: ${off} pixels off, where it moved by ${change}`);
    if (change > 0.02 * interocular(face, SCHEMAS.ibug68)) bent++;
  }
  assert.ok(bent > 3, `${bent}`);
});
