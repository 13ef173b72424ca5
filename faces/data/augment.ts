/**
 * Random changes of training images that keep the landmarks true.
 *
 * @module
 */

import { z } from "zod";
import type { RandomSource } from "../../engine/rng.ts";
import { type Bend, bendBack, bendLandmarks, drawBends, STRONGEST_BEND } from "../bends.ts";
import { CoarseMap } from "../coarse_map.ts";
import { drawGridWarp, GREATEST_OFFSET, type GridWarp, warpBack, warpLandmarks } from "../grid_warp.ts";
import { compress, lowerResolution, posterise } from "./degrade.ts";
import { cropTransform } from "./image.ts";
import {
  type Affine,
  composeAffine,
  faceBox,
  invertAffine,
  type Landmarks,
  mirrorLandmarks,
  similarity,
  transformLandmarks,
} from "../landmarks.ts";
import type { LandmarkSchema } from "../schema.ts";

/** Strengths of the changes; all ranges are symmetric about no change. */
export const augmentation = z.strictObject({
  flip: z.number().min(0).max(1).default(0.5).describe("Share of the images that is mirrored"),
  rotation: z.number().min(0).max(Math.PI).default(0.3).describe("Standard deviation of the rotation, radians"),
  scale: z.number().min(0).max(0.5).default(0.08).describe("Standard deviation of the logarithm of the scale"),
  shift: z.number().min(0).max(0.5).default(0.04).describe(
    "Standard deviation of the shift, parts of the image's side",
  ),
  colour: z.number().min(0).max(1).default(0.2).describe(
    "Strength of changes of brightness, contrast, saturation and hue",
  ),
  grey: z.number().min(0).max(1).default(0.1).describe("Share of the images without colour"),
  noise: z.number().min(0).max(1).default(0.02).describe("Largest standard deviation of noise, parts of the range"),
  occlusion: z.number().min(0).max(1).default(0.2).describe("Share of the images with a rectangle painted over"),
  blur: z.number().positive().max(0.1).optional().describe(
    "Largest standard deviation of a blur, parts of the image's side; by default none",
  ),
  gamma: z.number().positive().max(1).optional().describe(
    "Standard deviation of the logarithm of the gamma that brightness is raised to; by default none",
  ),
  bend: z.number().positive().max(STRONGEST_BEND).optional().describe(
    "Strength of bends that turn faces into caricatures of themselves: up to four features and those opposite grow, shrink or move, by this standard deviation, and the face is framed anew; by default none",
  ),
  warp: z.number().positive().max(GREATEST_OFFSET).optional().describe(
    "Greatest offset, parts of the image's side, of the points of a grid of 4 x 4 that a smooth warp of half of the images goes by; by default none",
  ),
  aspect: z.number().positive().max(0.5).optional().describe(
    "Standard deviation of the logarithm of width over height; by default none",
  ),
  random_conv: z.number().min(0).max(1).optional().describe(
    "Share of the images whose colours and textures are changed by random convolutions, so that shapes are what is left to learn from (Xu et al. 2021, arXiv 2007.13003): half of them by one, the others by one for each of up to 16 cells; by default none",
  ),
  posterise: z.number().min(0).max(1).optional().describe(
    "Share of the images with 3 to 10 steps of each channel; by default none",
  ),
  low_res: z.number().min(0).max(1).optional().describe(
    "Share of the images that are made up to four times smaller and then as large as before; by default none",
  ),
  jpeg: z.number().min(0).max(1).optional().describe(
    "Share of the images that are compressed as JPEG does at a quality of 8 to 60 %; by default none",
  ),
});

/** See {@linkcode augmentation}. */
export type Augmentation = z.output<typeof augmentation>;

/**
 * Writes one image of a batch, changed at random, and its landmarks.
 *
 * @param image `[from_px, from_px, 3]`, 0 to 255.
 * @param landmarks `[P, 2]`, pixels of the image.
 * @param schema Their schema.
 * @param options Null for none: the image is only resampled.
 * @param to_px Side of the result.
 * @param out `[to_px, to_px, 3]`, filled with values from -1 to 1.
 * @returns `[P, 2]`, pixels of the result.
 */
export function augment(
  image: Uint8Array,
  from_px: number,
  landmarks: Landmarks,
  schema: LandmarkSchema,
  random: Pick<RandomSource, "uniform" | "normal">,
  options: Augmentation | null,
  to_px: number,
  out: Float32Array,
): Landmarks {
  const resize = resizing(from_px, to_px);
  if (!options) {
    resample(image, from_px, to_px, out);
    return transformLandmarks(landmarks, resize);
  }
  const centre = (to_px - 1) / 2;
  const angle = clip(random.normal()) * options.rotation;
  const size = Math.exp(clip(random.normal()) * options.scale);
  const shift: [number, number] = [
    clip(random.normal()) * options.shift * to_px,
    clip(random.normal()) * options.shift * to_px,
  ];
  const turned = similarity([centre, centre], size, angle, shift);
  const mirrored = random.uniform() < options.flip;
  // What is not asked for draws no number, so that other changes stay the same.
  const bends = options.bend === undefined ? [] : drawBends(landmarks, schema, random, options.bend);
  const bent = bendLandmarks(landmarks, bends);
  const placed = composeAffine(
    turned,
    options.aspect === undefined
      ? resize
      : composeAffine(stretch(centre, Math.exp(clip(random.normal()) * options.aspect)), resize),
  );
  const affine = bends.length === 0 ? placed : composeAffine(
    composeAffine(placed, invertAffine(cropTransform(faceBox(landmarks), from_px))),
    cropTransform(faceBox(bent), from_px),
  );
  const warp = options.warp !== undefined && random.uniform() < 0.5 ? drawGridWarp(random, to_px, options.warp) : null;
  place(image, from_px, { back: invertAffine(affine), bends, warp, mirrored }, to_px, out);
  if (options.blur !== undefined) blur(out, to_px, random.uniform() * options.blur * to_px);
  if (options.gamma !== undefined) raise(out, Math.exp(clip(random.normal()) * options.gamma));
  if (options.random_conv !== undefined && random.uniform() < options.random_conv) convolve(out, to_px, random);
  recolour(out, random, options);
  const some = (share: number | undefined) => share !== undefined && random.uniform() < share;
  if (some(options.posterise)) posterise(out, random);
  if (some(options.low_res)) lowerResolution(out, to_px, random);
  if (some(options.jpeg)) compress(out, to_px, random);
  if (random.uniform() < options.occlusion) occlude(out, to_px, random);
  const placedAt = transformLandmarks(bent, affine);
  const moved = warp ? warpLandmarks(placedAt, warp) : placedAt;
  return mirrored ? mirrorLandmarks(moved, schema, to_px) : moved;
}

/** Pixel centres: the result's pixel p lies at (p + 0.5) * from / to - 0.5. */
function resizing(from_px: number, to_px: number): Affine {
  const ratio = to_px / from_px;
  return [ratio, 0, ratio / 2 - 0.5, 0, ratio, ratio / 2 - 0.5];
}

/**
 * Writes one image as a network takes it, unchanged but for its size.
 *
 * @param image `[from_px, from_px, 3]`, 0 to 255.
 * @param to_px Side of the result.
 * @param out `[to_px, to_px, 3]`, filled with values from -1 to 1.
 */
export function resample(image: Uint8Array, from_px: number, to_px: number, out: Float32Array): void {
  const back = invertAffine(resizing(from_px, to_px));
  place(image, from_px, { back, bends: [], warp: null, mirrored: false }, to_px, out);
}

/** Three standard deviations are as far as it goes. */
function clip(normal: number): number {
  return Math.max(-3, Math.min(3, normal));
}

/** Makes an image wider and as much lower, about its centre, so that width over height is a factor of what it was. */
function stretch(centre: number, factor: number): Affine {
  const wider = Math.sqrt(factor), lower = 1 / wider;
  return [wider, 0, centre * (1 - wider), 0, lower, centre * (1 - lower)];
}

/** Where an image's points were: first the mirror is undone, then the warp, the affine map and the bends. */
interface Way {
  back: Affine;
  bends: readonly Bend[];
  warp: GridWarp | null;
  mirrored: boolean;
}

/** Bilinear resampling from where a point was; the border is repeated outside. */
function place(
  image: Uint8Array,
  from_px: number,
  { back, bends, warp, mirrored }: Way,
  to_px: number,
  out: Float32Array,
): void {
  const [a, b, c, d, e, f] = back;
  const curved = warp || bends.length > 0
    ? new CoarseMap(to_px, (at) => {
      if (warp) warpBack(at, warp);
      const x = at[0]!, y = at[1]!;
      at[0] = a * x + b * y + c;
      at[1] = d * x + e * y + f;
      bendBack(at, bends);
    })
    : null;
  const xs = new Float64Array(to_px), ys = new Float64Array(to_px);
  const last = from_px - 1, line = 3 * from_px;
  for (let row = 0, o = 0; row < to_px; row++) {
    if (curved) curved.row(row, xs, ys);
    else {
      for (let x = 0; x < to_px; x++) {
        xs[x] = a * x + b * row + c;
        ys[x] = d * x + e * row + f;
      }
    }
    for (let column = 0; column < to_px; column++, o += 3) {
      const at = mirrored ? to_px - 1 - column : column;
      const sx = Math.max(0, Math.min(last, xs[at]!)), sy = Math.max(0, Math.min(last, ys[at]!));
      const x0 = Math.floor(sx), y0 = Math.floor(sy);
      const u = sx - x0, v = sy - y0;
      const p = y0 * line + 3 * x0, r = y0 < last ? p + line : p;
      const q = x0 < last ? p + 3 : p, s = x0 < last ? r + 3 : r;
      out[o] = bilinear(image[p]!, image[q]!, image[r]!, image[s]!, u, v) / 127.5 - 1;
      out[o + 1] = bilinear(image[p + 1]!, image[q + 1]!, image[r + 1]!, image[s + 1]!, u, v) / 127.5 - 1;
      out[o + 2] = bilinear(image[p + 2]!, image[q + 2]!, image[r + 2]!, image[s + 2]!, u, v) / 127.5 - 1;
    }
  }
}

/** The value at shares of u and v of the way from the upper left one of four to those right and below. */
function bilinear(a: number, b: number, c: number, d: number, u: number, v: number): number {
  return (a * (1 - u) + b * u) * (1 - v) + (c * (1 - u) + d * u) * v;
}

/** Changes brightness, contrast and saturation, and adds a tint and noise, in place; values from -1 to 1. */
export function recolour(
  out: Float32Array,
  random: Pick<RandomSource, "uniform" | "normal">,
  { colour, grey, noise }: Pick<Augmentation, "colour" | "grey" | "noise">,
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

/** Gaussian blur in place, rows and then columns; the border is repeated outside. */
export function blur(out: Float32Array, side: number, sigma: number): void {
  const reach = Math.ceil(2.5 * sigma);
  if (sigma < 0.2) return; // the neighbours would weigh nothing
  const weights = Float64Array.from({ length: reach + 1 }, (_, k) => Math.exp(-(k ** 2) / (2 * sigma ** 2)));
  const total = 2 * weights.reduce((a, b) => a + b) - 1;
  for (let k = 0; k <= reach; k++) weights[k]! /= total;
  const image = framed(out, side, reach);
  const line = (side + 2 * reach) * 3, frame = 3 * reach;
  // What is done with is written over, from the start of each line on.
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

/** Cells of the table of powers, and the least brightness that it is good for: to 2e-6. */
const [CELLS, DARK] = [2048, 1 / 32];
const powers = new Float64Array(CELLS + 2);

/** Raises brightness, from 0 to 1, to a power, in place; values from -1 to 1. */
export function raise(out: Float32Array, gamma: number): void {
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

/** Most cells of an image that have filters of their own. */
const MOST_CELLS = 16;

/**
 * Mixes an image with its convolution by random filters of 1, 3, 5 or 7 pixels; the border is repeated outside. Half of
 * the images have one filter, the others one for each of their cells, which are what lies nearest to a point at random.
 */
function convolve(out: Float32Array, side: number, random: Pick<RandomSource, "uniform" | "normal">): void {
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

/** Memory of framed images: new memory for each would cost more than the work. */
let memory = new Float64Array(0);

/** A copy of an image with its border repeated outside, until the next one is made. */
function framed(image: Float32Array, side: number, reach: number): Float64Array {
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

/** Paints a rectangle of one colour, up to a third of the side. */
function occlude(out: Float32Array, side: number, random: Pick<RandomSource, "uniform" | "normal">): void {
  const width = Math.round(side * (0.1 + 0.25 * random.uniform())),
    height = Math.round(side * (0.1 + 0.25 * random.uniform()));
  const left = Math.floor(random.uniform() * (side - width)), top = Math.floor(random.uniform() * (side - height));
  const paint = [random.uniform() * 2 - 1, random.uniform() * 2 - 1, random.uniform() * 2 - 1];
  for (let y = top; y < top + height; y++) {
    for (let x = left; x < left + width; x++) for (let k = 0; k < 3; k++) out[(y * side + x) * 3 + k] = paint[k]!;
  }
}
