import assert from "node:assert/strict";
import { drawGridWarp, GREATEST_OFFSET, type GridWarp, warpBack, warpLandmarks } from "../../faces/grid_warp.ts";
import { Random } from "../../engine/rng.ts";
import { neutralFace } from "./neutral_face.ts";

const SIDE = 64;
const STRENGTHS = [0.05, 0.14, GREATEST_OFFSET];

/** Offsets of all pixels, `[SIDE, SIDE, 2]`. */
function offsetsOf(warp: GridWarp): Float64Array {
  const offsets = new Float64Array(2 * SIDE * SIDE);
  for (let k = 0; k < SIDE * SIDE; k++) {
    const [x, y] = [k % SIDE, Math.floor(k / SIDE)];
    const at = Float64Array.of(x, y);
    warpBack(at, warp);
    offsets.set([at[0]! - x, at[1]! - y], 2 * k);
  }
  return offsets;
}

Deno.test("warpLandmarks() is the inverse of warpBack(), outside the picture too", () => {
  const face = neutralFace(SIDE);
  face.set([-20, 5, SIDE + 30, SIDE + 30]);
  for (const strength of STRENGTHS) {
    for (let step = 0; step < 40; step++) {
      const warp = drawGridWarp(new Random(1, "warp", step), SIDE, strength);
      const moved = warpLandmarks(face, warp);
      for (let k = 0; k < face.length; k += 2) {
        const at = Float64Array.of(moved[k]!, moved[k + 1]!);
        warpBack(at, warp);
        assert.ok(Math.hypot(at[0]! - face[k]!, at[1]! - face[k + 1]!) < 1e-3, `${strength}, step ${step}, ${k}`);
      }
    }
  }
});

Deno.test("drawGridWarp() never folds a picture, and moves it as far as asked for", () => {
  for (const strength of STRENGTHS) {
    let most = 0;
    for (let step = 0; step < 60; step++) {
      const warp = drawGridWarp(new Random(2, "warp", step), SIDE, strength);
      const field = offsetsOf(warp);
      const at = (x: number, y: number, axis: number) => field[2 * (y * SIDE + x) + axis]!;
      for (let y = 0; y + 1 < SIDE; y++) {
        for (let x = 0; x + 1 < SIDE; x++) {
          const [a, b] = [1 + at(x + 1, y, 0) - at(x, y, 0), at(x, y + 1, 0) - at(x, y, 0)];
          const [c, d] = [at(x + 1, y, 1) - at(x, y, 1), 1 + at(x, y + 1, 1) - at(x, y, 1)];
          assert.ok(a * d - b * c > 0.01, `${strength}, step ${step}: it folds at ${x}, ${y}`);
          most = Math.max(most, Math.abs(at(x, y, 0)));
        }
      }
    }
    assert.ok(most <= strength * SIDE && most > 0.5 * strength * SIDE, `${strength}: ${most} pixels`);
  }
});

Deno.test("warpBack() has no step in its slope between cells", () => {
  const field = offsetsOf(drawGridWarp(new Random(3, "warp"), SIDE, 0.14));
  for (let k = 0; k < SIDE * SIDE; k++) {
    // The slope changes by little from pixel to pixel.
    if (k % SIDE > 1) assert.ok(Math.abs(field[2 * k]! - 2 * field[2 * k - 2]! + field[2 * k - 4]!) < 0.1);
  }
});
