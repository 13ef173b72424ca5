import assert from "node:assert/strict";
import { bendBack, drawBends, STRONGEST_BEND } from "../../faces/bends.ts";
import { CoarseMap } from "../../faces/coarse_map.ts";
import { drawGridWarp, GREATEST_OFFSET, warpBack } from "../../faces/grid_warp.ts";
import { Random } from "../../engine/rng.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { neutralFace } from "./neutral_face.ts";

/** The greatest distance of an interpolated place from the exact one, and the root of the mean square. */
function distances(side: number, map: (at: Float64Array) => void): { most: number; rms: number } {
  const coarse = new CoarseMap(side, map);
  const [xs, ys, at] = [new Float64Array(side), new Float64Array(side), new Float64Array(2)];
  let [most, squares] = [0, 0];
  for (let row = 0; row < side; row++) {
    coarse.row(row, xs, ys);
    for (let column = 0; column < side; column++) {
      at.set([column, row]);
      map(at);
      const off = Math.hypot(xs[column]! - at[0]!, ys[column]! - at[1]!);
      most = Math.max(most, off);
      squares += off * off;
    }
  }
  return { most, rms: Math.sqrt(squares) / side };
}

Deno.test("CoarseMap is exact for what is affine or cubic, at any size", () => {
  for (const side of [1, 2, 7, 33, 50]) {
    const { most } = distances(side, (at) => {
      const [x, y] = [at[0]! / side, at[1]! / side];
      at[0] = 3 + x - 2 * y + x ** 3;
      at[1] = x * y ** 2 - y;
    });
    assert.ok(most < 1e-12, `${side} px: ${most}`);
  }
});

Deno.test("CoarseMap is off by far less than a pixel for bends and warps of faces", () => {
  const side = 128, face = neutralFace(side);
  // As strong as trainings have them, and as strong as there are.
  for (const [bend, offset, limit] of [[0.18, 0.12, 0.05], [STRONGEST_BEND, GREATEST_OFFSET, 0.1]] as const) {
    let [most, squares] = [0, 0];
    const draws = 60;
    for (let step = 0; step < draws; step++) {
      const random = new Random(3, "map", step);
      const bends = drawBends(face, SCHEMAS.ibug68, random, bend);
      const warp = drawGridWarp(random, side, offset);
      const off = distances(side, (at) => {
        warpBack(at, warp);
        bendBack(at, bends);
      });
      most = Math.max(most, off.most);
      squares += off.rms ** 2 / draws;
    }
    assert.ok(most < limit && Math.sqrt(squares) < limit / 20, `${bend}: ${most} px, rms ${Math.sqrt(squares)}`);
  }
});
