import assert from "node:assert/strict";
import { createCanvas, fill, type FillOptions, type Shape } from "../../../faces/scenes/canvas.ts";

const SIDE = 50, BOUNDS = { x: 24, y: 20, reach: 40 };

/** A canvas with a shape in the colour (x, y, 0) / side. */
function painted(shape: Shape, options: Omit<FillOptions, "owner">) {
  const canvas = createCanvas(SIDE);
  fill(canvas, BOUNDS, shape, (y, from, to, out) => {
    for (let x = from; x < to; x++) out.set([x / SIDE, y / SIDE, 0], 3 * x);
  }, { owner: 7, ...options });
  return canvas;
}

Deno.test("fill() mixes colours by the distance of each pixel to the outline, and evaluates few of them", () => {
  const disc: Shape = (x, y) => Math.hypot(x - 24, y - 20) - 14;
  const cross: Shape = (x, y) => Math.min(Math.abs(x - 24), Math.abs(y - 20)) - 6;
  for (
    const [shape, steepness, most] of [[disc, 1, 0.35], [cross, 1, 0.5], [disc, 3, 0.6], [disc, Infinity, 1]] as const
  ) {
    for (const feather of [1, 2, 9]) {
      let evaluated = 0;
      const { pixels, owners } = painted((x, y) => {
        evaluated++;
        return shape(x, y);
      }, { feather, steepness });
      if (feather === 1) assert.ok(evaluated <= most * SIDE * SIDE, `${evaluated} evaluated`);
      for (let y = 0, k = 0; y < SIDE; y++) {
        for (let x = 0; x < SIDE; x++, k++) {
          const share = Math.max(0, Math.min(1, 0.5 - shape(x, y) / feather));
          const colour = [x / SIDE, y / SIDE, 0].map((value) => -1 + (value + 1) * share);
          colour.forEach((value, c) => assert.ok(Math.abs(pixels[3 * k + c]! - value) < 1e-6, `at ${x}, ${y}`));
          assert.equal(owners[k], share > 0.5 ? 7 : 0);
        }
      }
    }
  }
});

Deno.test("fill() leaves what is beyond the bounds", () => {
  const { owners } = painted(() => -Infinity, {});
  assert.ok(owners.every((owner) => owner === 7));
  const canvas = createCanvas(SIDE);
  fill(canvas, { x: 10, y: 60, reach: 20 }, () => -Infinity, (_y, from, to, out) => out.fill(0, 3 * from, 3 * to), {
    owner: 1,
  });
  owners.forEach((_, k) => {
    const [x, y] = [k % SIDE, Math.floor(k / SIDE)];
    assert.equal(canvas.owners[k], x <= 30 && y >= 40 ? 1 : 0, `at ${x}, ${y}`);
  });
});
