/**
 * Gaussian blur of images as networks take them.
 *
 * @module
 */

/** Gaussian blur in place, rows and then columns; the border is repeated outside. */
export function blur(out: Float32Array, side: number, sigma: number): void {
  const reach = Math.ceil(2.5 * sigma);
  if (sigma < 0.2) return; // the neighbours would weigh nothing
  const weights = Float64Array.from({ length: reach + 1 }, (_, k) => Math.exp(-(k ** 2) / (2 * sigma ** 2)));
  const total = 2 * weights.reduce((a, b) => a + b) - 1;
  for (let k = 0; k <= reach; k++) weights[k]! /= total;
  const image = framed(out, side, reach);
  const line = (side + 2 * reach) * 3, frame = 3 * reach;
  // Results replace pixels that are no longer needed, from the start of each line on.
  for (let y = 0; y < image.length; y += line) weigh(image, y + frame, 3, weights, image, y, side);
  for (let y = 0; y < side; y++) weigh(image, (y + reach) * line, line, weights, out, y * side * 3, side);
}

/**
 * Writes weighted sums of pixels and their neighbours on both sides.
 *
 * @param from Where the first pixel is in `image`.
 * @param step Elements from a neighbour to the next.
 * @param weights Of the pixel itself, its nearest neighbours and those farther away.
 * @param at Where the first sum goes in `out`.
 * @param count Pixels beside each other.
 */
function weigh(
  image: Float64Array,
  from: number,
  step: number,
  weights: Float64Array,
  out: Float32Array | Float64Array,
  at: number,
  count: number,
): void {
  const own = weights[0]!;
  for (const end = from + 3 * count; from < end; from += 3, at += 3) {
    let r = own * image[from]!, g = own * image[from + 1]!, b = own * image[from + 2]!;
    for (let k = 1, p = from - step, q = from + step; k < weights.length; k++, p -= step, q += step) {
      const weight = weights[k]!;
      r += weight * (image[p]! + image[q]!);
      g += weight * (image[p + 1]! + image[q + 1]!);
      b += weight * (image[p + 2]! + image[q + 2]!);
    }
    out[at] = r;
    out[at + 1] = g;
    out[at + 2] = b;
  }
}

/** Memory of framed images: new memory for each would cost more than the work. */
let memory = new Float64Array(0);

/** A copy of an image with its border repeated outside, until the next one is made. */
export function framed(image: Float32Array, side: number, reach: number): Float64Array {
  const line = 3 * side, wide = line + 6 * reach;
  const size = (side + 2 * reach) * wide;
  if (memory.length < size) memory = new Float64Array(size);
  const result = memory.subarray(0, size);
  for (let y = 0; y < side; y++) {
    const at = (y + reach) * wide, first = at + 3 * reach, end = first + line;
    result.set(image.subarray(y * line, (y + 1) * line), first);
    for (let k = 0; k < 3 * reach; k++) {
      result[at + k] = result[first + k % 3]!;
      result[end + k] = result[end - 3 + k % 3]!;
    }
  }
  const [top, bottom] = [reach * wide, (side + reach - 1) * wide];
  for (let y = 0; y < reach; y++) {
    result.copyWithin(y * wide, top, top + wide);
    result.copyWithin(bottom + (y + 1) * wide, bottom, bottom + wide);
  }
  return result;
}
