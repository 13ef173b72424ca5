/**
 * Losses of images on their way: resolution, tones, and the frequencies that JPEG leaves out.
 *
 * All change an image of `[side, side, 3]` values from -1 to 1 in place.
 *
 * @module
 */

import type { RandomSource } from "../../engine/rng.ts";

/** Greatest factor by which an image is made smaller. */
const SMALLEST = 4;

/** Makes an image up to four times smaller, by the mean over each pixel, and as large as before between those. */
export function lowerResolution(
  out: Float32Array,
  side: number,
  random: Pick<RandomSource, "uniform" | "normal">,
): void {
  const small = Math.max(8, Math.round(side / SMALLEST ** random.uniform()));
  if (small >= side) return;
  const step = side / small;
  const narrow = new Float32Array(side * small * 3);
  shrinkLines(out, narrow, {
    lines: side,
    line: side * 3,
    along: 3,
    from: side,
    to: small,
    outLine: small * 3,
    outAlong: 3,
  });
  const tiny = new Float32Array(small * small * 3);
  shrinkLines(narrow, tiny, {
    lines: small,
    line: 3,
    along: small * 3,
    from: side,
    to: small,
    outLine: 3,
    outAlong: small * 3,
  });
  const [first, share] = [new Int32Array(side), new Float32Array(side)];
  for (let k = 0; k < side; k++) {
    const at = Math.max(0, Math.min(small - 1, (k + 0.5) / step - 0.5));
    first[k] = Math.min(small - 2, Math.floor(at));
    share[k] = at - first[k]!;
  }
  for (let y = 0, o = 0; y < side; y++) {
    const v = share[y]!, row = first[y]! * small;
    for (let x = 0; x < side; x++) {
      const u = share[x]!;
      let p = (row + first[x]!) * 3, q = p + small * 3;
      for (let k = 0; k < 3; k++, p++, q++, o++) {
        const top = tiny[p]! * (1 - u) + tiny[p + 3]! * u;
        const bottom = tiny[q]! * (1 - u) + tiny[q + 3]! * u;
        out[o] = top * (1 - v) + bottom * v;
      }
    }
  }
}

/** Places of the elements of an array's lines. */
interface Lines {
  lines: number;
  /** Elements from a line to the next, and from a pixel to the next in it. */
  line: number;
  along: number;
  /** Pixels of a line, before and after. */
  from: number;
  to: number;
  outLine: number;
  outAlong: number;
}

/** Writes lines of fewer pixels, each the mean over what it covers. */
function shrinkLines(image: Float32Array, out: Float32Array, lines: Lines): void {
  const { line, along, from, to, outLine, outAlong } = lines;
  const step = from / to;
  for (let i = 0; i < to; i++) {
    const [low, high] = [i * step, (i + 1) * step];
    const first = Math.floor(low), last = Math.min(from, Math.ceil(high - 1e-9));
    for (let j = 0; j < lines.lines; j++) {
      const o = j * outLine + i * outAlong;
      let r = 0, g = 0, b = 0;
      for (let k = first, at = j * line + first * along; k < last; k++, at += along) {
        const weight = (Math.min(high, k + 1) - Math.max(low, k)) / step;
        r += weight * image[at]!;
        g += weight * image[at + 1]!;
        b += weight * image[at + 2]!;
      }
      out[o] = r;
      out[o + 1] = g;
      out[o + 2] = b;
    }
  }
}

/** Leaves 3 to 10 steps of each channel. */
export function posterise(out: Float32Array, random: Pick<RandomSource, "uniform" | "normal">): void {
  const steps = 2 + Math.floor(8 * random.uniform());
  for (let o = 0; o < out.length; o++) out[o] = Math.round((out[o]! + 1) / 2 * steps) / steps * 2 - 1;
}

/** Side of a block. */
const BLOCK = 8;
/** Quantisation steps of JPEG at quality 50, for lightness and for colour (ITU-T T.81, annex K). */
// deno-fmt-ignore
const STEPS = {
  lightness: [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
  ],
  colour: [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
  ],
};
/** Cosines of the transform of a block, `[frequency, place]`. */
const COSINES = Float64Array.from(
  { length: BLOCK * BLOCK },
  (_, k) => {
    const frequency = Math.floor(k / BLOCK);
    return Math.sqrt((frequency === 0 ? 1 : 2) / BLOCK) * Math.cos((2 * (k % BLOCK) + 1) * frequency * Math.PI / 16);
  },
);
/** From and to quality of JPEG, in percent. */
const QUALITIES = [8, 60] as const;

/** Quantises blocks as JPEG does at a quality of 8 to 60 %, colour at half the resolution. */
export function compress(out: Float32Array, side: number, random: Pick<RandomSource, "uniform" | "normal">): void {
  const quality = QUALITIES[0] + (QUALITIES[1] - QUALITIES[0]) * random.uniform();
  const coarse = quality < 50 ? 50 / quality : 2 - quality / 50;
  const half = Math.ceil(side / 2);
  const lightness = new Float32Array(side * side);
  const [blue, red] = [new Float32Array(half * half), new Float32Array(half * half)];
  const covered = new Float32Array(half * half);
  for (let y = 0, o = 0, k = 0; y < side; y++) {
    for (let x = 0; x < side; x++, o += 3, k++) {
      const r = out[o]! * 127.5, g = out[o + 1]! * 127.5, b = out[o + 2]! * 127.5;
      lightness[k] = 0.299 * r + 0.587 * g + 0.114 * b;
      const c = (y >> 1) * half + (x >> 1);
      blue[c]! += -0.168736 * r - 0.331264 * g + 0.5 * b;
      red[c]! += 0.5 * r - 0.418688 * g - 0.081312 * b;
      covered[c]!++;
    }
  }
  for (let c = 0; c < covered.length; c++) {
    blue[c]! /= covered[c]!;
    red[c]! /= covered[c]!;
  }
  quantise(lightness, side, STEPS.lightness, coarse);
  quantise(blue, half, STEPS.colour, coarse);
  quantise(red, half, STEPS.colour, coarse);
  for (let y = 0, o = 0, k = 0; y < side; y++) {
    for (let x = 0; x < side; x++, o += 3, k++) {
      const c = (y >> 1) * half + (x >> 1);
      out[o] = Math.max(-1, Math.min(1, (lightness[k]! + 1.402 * red[c]!) / 127.5));
      out[o + 1] = Math.max(-1, Math.min(1, (lightness[k]! - 0.344136 * blue[c]! - 0.714136 * red[c]!) / 127.5));
      out[o + 2] = Math.max(-1, Math.min(1, (lightness[k]! + 1.772 * blue[c]!) / 127.5));
    }
  }
}

/** Rounds the cosine transform of each block of a plane; the border is repeated outside. */
function quantise(plane: Float32Array, side: number, steps: readonly number[], coarse: number): void {
  const block = new Float64Array(BLOCK * BLOCK), half = new Float64Array(BLOCK * BLOCK);
  const step = Float64Array.from(steps, (value) => Math.max(1, Math.min(255, value * coarse)));
  for (let top = 0; top < side; top += BLOCK) {
    for (let left = 0; left < side; left += BLOCK) {
      for (let y = 0, k = 0; y < BLOCK; y++) {
        const row = Math.min(side - 1, top + y) * side;
        for (let x = 0; x < BLOCK; x++, k++) block[k] = plane[row + Math.min(side - 1, left + x)]!;
      }
      transform(block, half, false);
      transform(half, block, false);
      for (let k = 0; k < block.length; k++) block[k] = Math.round(block[k]! / step[k]!) * step[k]!;
      transform(block, half, true);
      transform(half, block, true);
      const bottom = Math.min(BLOCK, side - top), right = Math.min(BLOCK, side - left);
      for (let y = 0; y < bottom; y++) {
        for (let x = 0; x < right; x++) plane[(top + y) * side + left + x] = block[y * BLOCK + x]!;
      }
    }
  }
}

/** Cosine transform of a block's rows, or back; the result is turned, so that the same again does its columns. */
function transform(from: Float64Array, to: Float64Array, back: boolean): void {
  const [along, across] = back ? [BLOCK, 1] : [1, BLOCK];
  for (let y = 0; y < BLOCK; y++) {
    const p = y * BLOCK;
    const a = from[p]!, b = from[p + 1]!, c = from[p + 2]!, d = from[p + 3]!;
    const e = from[p + 4]!, f = from[p + 5]!, g = from[p + 6]!, h = from[p + 7]!;
    for (let k = 0; k < BLOCK; k++) {
      const q = k * across;
      to[k * BLOCK + y] = COSINES[q]! * a + COSINES[q + along]! * b + COSINES[q + 2 * along]! * c +
        COSINES[q + 3 * along]! * d + COSINES[q + 4 * along]! * e + COSINES[q + 5 * along]! * f +
        COSINES[q + 6 * along]! * g + COSINES[q + 7 * along]! * h;
    }
  }
}
