/**
 * Random convolutions, which change colours and textures and leave shapes.
 *
 * Source: Xu et al. 2021, arXiv 2007.13003.
 *
 * @module
 */
import type { RandomSource } from "../../engine/rng.ts";
import { framed } from "./blur.ts";

/** Most cells of an image that have filters of their own. */
const MOST_CELLS = 16;

/**
 * Mixes an image with its convolution by random filters of 1, 3, 5 or 7 pixels; the border is repeated outside. Half of
 * the images have one filter, the others one for each of their cells, which are what lies nearest to a point at random.
 */
export function randomConvolution(
  out: Float32Array,
  side: number,
  random: Pick<RandomSource, "uniform" | "normal">,
): void {
  const kernel = 1 + 2 * Math.floor(4 * random.uniform());
  const reach = (kernel - 1) / 2;
  // So that the result varies about as much as the image does.
  const spread = 1 / Math.sqrt(3 * kernel ** 2);
  const count = random.uniform() < 0.5 ? 1 : 2 + Math.floor((MOST_CELLS - 1) * random.uniform());
  const cells = Array.from({ length: count }, () => ({
    x: random.uniform() * side,
    y: random.uniform() * side,
    weights: Float32Array.from({ length: 9 * kernel ** 2 }, () => random.normal() * spread),
  }));
  const kept = random.uniform();
  const filters = cells.map(({ weights }) => Float64Array.from(weights));
  const image = framed(out, side, reach);
  const line = (side + 2 * reach) * 3;
  const nearest = new Uint8Array(side);
  for (let y = 0; y < side; y++) {
    if (count > 1) findNearest(cells, y, nearest);
    // Pixels of one cell beside each other have one filter.
    for (let first = 0, end: number; first < side; first = end) {
      end = first + 1;
      while (end < side && nearest[end] === nearest[first]) end++;
      filterRun(
        image,
        y * line + first * 3,
        line,
        filters[nearest[first]!]!,
        kernel,
        out,
        (y * side + first) * 3,
        end - first,
        kept,
      );
    }
  }
}

/** Numbers of the cells that the pixels of a row lie nearest to. */
function findNearest(cells: readonly { x: number; y: number }[], y: number, nearest: Uint8Array): void {
  for (let x = 0; x < nearest.length; x++) {
    let least = Infinity;
    for (let k = 0; k < cells.length; k++) {
      const dx = cells[k]!.x - x, dy = cells[k]!.y - y;
      const squared = dx * dx + dy * dy;
      if (squared < least) [least, nearest[x]] = [squared, k];
    }
  }
}

/**
 * Mixes pixels beside each other with their convolution.
 *
 * @param image Framed by the filter's reach.
 * @param from Where the first pixel's neighbours begin in `image`.
 * @param line Elements of a row of `image`.
 * @param weights `[kernel, kernel, 3 of image, 3 of out]`
 * @param at Where the first pixel is in `out`, which holds the image and then the result.
 */
function filterRun(
  image: Float64Array,
  from: number,
  line: number,
  weights: Float64Array,
  kernel: number,
  out: Float32Array,
  at: number,
  count: number,
  kept: number,
): void {
  const width = 3 * kernel, other = 1 - kept;
  let i = 0;
  // Two pixels at once take each weight once.
  for (; i + 1 < count; i += 2, from += 6, at += 6) {
    let r = 0, g = 0, b = 0, r2 = 0, g2 = 0, b2 = 0;
    for (let j = 0, w = 0; j < kernel; j++) {
      for (let p = from + j * line, end = p + width; p < end; p++, w += 3) {
        const u = weights[w]!, v = weights[w + 1]!, t = weights[w + 2]!;
        const one = image[p]!, two = image[p + 3]!;
        r += u * one;
        g += v * one;
        b += t * one;
        r2 += u * two;
        g2 += v * two;
        b2 += t * two;
      }
    }
    out[at] = kept * out[at]! + other * r;
    out[at + 1] = kept * out[at + 1]! + other * g;
    out[at + 2] = kept * out[at + 2]! + other * b;
    out[at + 3] = kept * out[at + 3]! + other * r2;
    out[at + 4] = kept * out[at + 4]! + other * g2;
    out[at + 5] = kept * out[at + 5]! + other * b2;
  }
  if (i === count) return;
  let r = 0, g = 0, b = 0;
  for (let j = 0, w = 0; j < kernel; j++) {
    for (let p = from + j * line, end = p + width; p < end; p++, w += 3) {
      const one = image[p]!;
      r += weights[w]! * one;
      g += weights[w + 1]! * one;
      b += weights[w + 2]! * one;
    }
  }
  out[at] = kept * out[at]! + other * r;
  out[at + 1] = kept * out[at + 1]! + other * g;
  out[at + 2] = kept * out[at + 2]! + other * b;
}
