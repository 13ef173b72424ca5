/**
 * Random changes of the colours of images as networks take them.
 *
 * @module
 */
import type { RandomSource } from "../../engine/rng.ts";

/** Changes brightness, contrast and saturation, and adds a tint and noise, in place; values from -1 to 1. */
export function recolour(
  out: Float32Array,
  random: Pick<RandomSource, "uniform" | "normal">,
  { colour, grey, noise }: { readonly colour: number; readonly grey: number; readonly noise: number },
): void {
  const spread = () => (random.uniform() * 2 - 1) * colour;
  const contrast = Math.exp(spread()), brightness = spread();
  const tint = [spread() / 2, spread() / 2, spread() / 2];
  const saturation = random.uniform() < grey ? 0 : Math.exp(2 * spread());
  const sigma = random.uniform() * noise * 2;
  // Philox would take longer over the noise than the GPU over the training step; xorshift32 (Marsaglia 2003) is enough.
  let state = 1 + Math.floor(random.uniform() * 0xfffffffe);
  for (let o = 0; o < out.length; o += 3) {
    const luma = 0.299 * out[o]! + 0.587 * out[o + 1]! + 0.114 * out[o + 2]!;
    for (let k = 0; k < 3; k++) {
      const value = (luma + (out[o + k]! - luma) * saturation) * contrast + brightness + tint[k]!;
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      // The sum of both halves is triangular, with a standard deviation of 1 / 2.45.
      const grain = ((state & 0xffff) + (state >>> 16)) / 65536 - 1;
      out[o + k] = Math.max(-1, Math.min(1, value + sigma * grain * 2.45));
    }
  }
}

/** Cells of the table of powers, and the least brightness that it is good for: to 2e-6. */
const [CELLS, DARK] = [2048, 1 / 32];
const powers = new Float64Array(CELLS + 2);

/** Raises brightness, from 0 to 1, to a power, in place; values from -1 to 1. */
export function applyGamma(out: Float32Array, gamma: number): void {
  for (let k = 0; k < powers.length; k++) powers[k] = (k / CELLS) ** gamma;
  for (let o = 0; o < out.length; o++) {
    const value = (out[o]! + 1) / 2;
    if (value >= DARK && value <= 1) {
      const place = value * CELLS, cell = Math.floor(place);
      const low = powers[cell]!;
      out[o] = 2 * (low + (place - cell) * (powers[cell + 1]! - low)) - 1;
    } else out[o] = 2 * Math.max(0, value) ** gamma - 1;
  }
}
