import assert from "node:assert/strict";
import { compress, lowerResolution, posterise } from "../../../faces/data/degrade.ts";
import { Random } from "../../../engine/rng.ts";

/** A picture of smooth waves, and sharp edges if told so. */
function waves(side: number, edges = false): Float32Array {
  return Float32Array.from({ length: side * side * 3 }, (_, k) => {
    const [x, y] = [Math.floor(k / 3) % side / side, Math.floor(k / 3 / side) / side];
    const smooth = 0.7 * Math.sin(5 * x + k % 3) * Math.cos(4 * y);
    return edges && (Math.floor(x * 16) + Math.floor(y * 16)) % 2 ? -smooth : smooth;
  });
}

function difference(a: Float32Array, b: Float32Array): number {
  return Math.sqrt(a.reduce((sum, v, k) => sum + (v - b[k]!) ** 2, 0) / a.length);
}

Deno.test("lowerResolution() keeps what is smooth where it is, loses what is fine, and keeps means", () => {
  for (const side of [64, 50]) {
    let most = 0;
    for (let step = 0; step < 20; step++) {
      const [smooth, fine] = [waves(side), waves(side, true)];
      lowerResolution(smooth, side, new Random(1, "low", step));
      lowerResolution(fine, side, new Random(1, "low", step));
      assert.ok(difference(smooth, waves(side)) < 0.04, `${difference(smooth, waves(side))}`);
      most = Math.max(most, difference(fine, waves(side, true)));
      const plain = new Float32Array(side * side * 3).fill(0.3);
      lowerResolution(plain, side, new Random(1, "low", step));
      assert.ok(plain.every((v) => Math.abs(v - 0.3) < 1e-5));
    }
    assert.ok(most > 0.1, `edges change by ${most}`);
  }
});

Deno.test("lowerResolution() leaves a point of light where it was", () => {
  const side = 64;
  for (let step = 0; step < 20; step++) {
    const picture = new Float32Array(side * side * 3);
    const bell = (k: number) =>
      Math.exp(-((Math.floor(k / 3) % side - 30.3) ** 2 + (Math.floor(k / 3 / side) - 25.6) ** 2) / 20);
    for (let k = 0; k < picture.length; k++) picture[k] = bell(k);
    lowerResolution(picture, side, new Random(2, "low", step));
    let [x, y, sum] = [0, 0, 0];
    for (let k = 0; k < picture.length; k += 3) {
      x += picture[k]! * (k / 3 % side);
      y += picture[k]! * Math.floor(k / 3 / side);
      sum += picture[k]!;
    }
    assert.ok(Math.hypot(x / sum - 30.3, y / sum - 25.6) < 0.05, `${x / sum}, ${y / sum}`);
  }
});

Deno.test("posterise() leaves 3 to 10 steps from darkest to brightest", () => {
  const counts = Array.from({ length: 60 }, (_, step) => {
    const picture = Float32Array.from({ length: 3000 }, (_, k) => 2 * k / 2999 - 1);
    posterise(picture, new Random(1, "steps", step));
    assert.equal(picture[0], -1);
    assert.equal(picture[2999], 1);
    return new Set(picture).size;
  });
  assert.equal(Math.min(...counts), 3);
  assert.equal(Math.max(...counts), 10);
});

Deno.test("compress() keeps flat pictures and smooth ones, loses what is fine, and leaves seams between blocks", () => {
  for (const side of [64, 53]) {
    let [most, inside, between] = [0, 0, 0];
    for (let step = 0; step < 20; step++) {
      const flat = Float32Array.from({ length: side * side * 3 }, (_, k) => [0.5, -0.2, 0.1][k % 3]!);
      const same = flat.slice();
      compress(flat, side, new Random(1, "jpeg", step));
      // The mean of a block is rounded to the coarsest step, 16 * 50 / 8 of 8 * 127.5, and colours to a little more.
      assert.ok(flat.every((v, k) => Math.abs(v - same[k]!) < 0.2 && v >= -1 && v <= 1), `${difference(flat, same)}`);
      const [smooth, fine] = [waves(side), waves(side, true)];
      compress(smooth, side, new Random(1, "jpeg", step));
      compress(fine, side, new Random(1, "jpeg", step));
      assert.ok(difference(smooth, waves(side)) < 0.09, `${difference(smooth, waves(side))}`);
      most = Math.max(most, difference(fine, waves(side, true)));
      for (let x = 8; x + 8 < side; x++) {
        const jump = Math.abs(smooth[(20 * side + x) * 3]! - smooth[(20 * side + x - 1) * 3]!);
        if (x % 8 === 0) between += jump / Math.floor(side / 8 - 1);
        else inside += jump / (7 * Math.floor(side / 8 - 1));
      }
    }
    assert.ok(most > 0.1 && between > 1.2 * inside, `fine: ${most}, seams: ${between}, elsewhere ${inside}`);
  }
});
