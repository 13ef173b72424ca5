/**
 * Random changes of training images that keep the landmarks true.
 *
 * @module
 */

import { z } from "zod";
import type { RandomSource } from "../../engine/rng.ts";
import { type Bend, bendBack, bendLandmarks, drawBends, STRONGEST_BEND } from "../bends.ts";
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

/** How much to change; all ranges are symmetric about no change. */
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
  random_conv: z.number().min(0).max(1).optional().describe(
    "Share of the images whose colours and textures are changed by random convolutions, so that shapes are what is left to learn from (Xu et al. 2021, arXiv 2007.13003): half of them by one, the others by one for each of up to 16 cells; by default none",
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
  const placed = composeAffine(similarity([centre, centre], size, angle, shift), resize);
  const mirrored = random.uniform() < options.flip;
  // What is not asked for draws no number, so that other changes stay the same.
  const bends = options.bend === undefined ? [] : drawBends(landmarks, schema, random, options.bend);
  const bent = bendLandmarks(landmarks, bends);
  const affine = bends.length === 0 ? placed : composeAffine(
    composeAffine(placed, invertAffine(cropTransform(faceBox(landmarks), from_px))),
    cropTransform(faceBox(bent), from_px),
  );
  warp(image, from_px, invertAffine(affine), bends, to_px, mirrored, out);
  if (options.blur !== undefined) blur(out, to_px, random.uniform() * options.blur * to_px);
  if (options.gamma !== undefined) raise(out, Math.exp(clip(random.normal()) * options.gamma));
  if (options.random_conv !== undefined && random.uniform() < options.random_conv) convolve(out, to_px, random);
  recolour(out, random, options);
  if (random.uniform() < options.occlusion) occlude(out, to_px, random);
  const moved = transformLandmarks(bent, affine);
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
  warp(image, from_px, invertAffine(resizing(from_px, to_px)), [], to_px, false, out);
}

/** Three standard deviations are as far as it goes. */
function clip(normal: number): number {
  return Math.max(-3, Math.min(3, normal));
}

/** Bilinear resampling from where a point was before the map and the bends; the border is repeated outside. */
function warp(
  image: Uint8Array,
  from_px: number,
  back: Affine,
  bends: readonly Bend[],
  to_px: number,
  mirrored: boolean,
  out: Float32Array,
): void {
  const [a, b, c, d, e, f] = back;
  const last = from_px - 1;
  const at = new Float64Array(2);
  for (let y = 0, o = 0; y < to_px; y++) {
    for (let column = 0; column < to_px; column++, o += 3) {
      const x = mirrored ? to_px - 1 - column : column;
      at[0] = a * x + b * y + c;
      at[1] = d * x + e * y + f;
      bendBack(at, bends);
      const sx = Math.max(0, Math.min(last, at[0]!)), sy = Math.max(0, Math.min(last, at[1]!));
      const x0 = Math.floor(sx), y0 = Math.floor(sy);
      const x1 = Math.min(last, x0 + 1), y1 = Math.min(last, y0 + 1);
      const u = sx - x0, v = sy - y0;
      const p = (y0 * from_px + x0) * 3,
        q = (y0 * from_px + x1) * 3,
        r = (y1 * from_px + x0) * 3,
        s = (y1 * from_px + x1) * 3;
      for (let k = 0; k < 3; k++) {
        const top = image[p + k]! * (1 - u) + image[q + k]! * u;
        const bottom = image[r + k]! * (1 - u) + image[s + k]! * u;
        out[o + k] = (top * (1 - v) + bottom * v) / 127.5 - 1;
      }
    }
  }
}

/** Brightness, contrast, saturation, a tint, and noise. */
function recolour(
  out: Float32Array,
  random: Pick<RandomSource, "uniform" | "normal">,
  { colour, grey, noise }: Augmentation,
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

/** Gaussian blur, rows and then columns; the border is repeated outside. */
function blur(out: Float32Array, side: number, sigma: number): void {
  const reach = Math.ceil(2.5 * sigma);
  if (sigma < 0.2) return; // the neighbours would weigh nothing
  const weights = Float64Array.from(
    { length: 2 * reach + 1 },
    (_, k) => Math.exp(-((k - reach) ** 2) / (2 * sigma ** 2)),
  );
  const total = weights.reduce((a, b) => a + b);
  const line = new Float64Array(side * 3);
  for (const [along, across] of [[3, side * 3], [side * 3, 3]] as const) {
    for (let j = 0; j < side; j++) {
      line.fill(0);
      for (let i = 0; i < side; i++) {
        for (let k = -reach; k <= reach; k++) {
          const from = j * across + Math.max(0, Math.min(side - 1, i + k)) * along;
          const weight = weights[k + reach]! / total;
          for (let c = 0; c < 3; c++) line[i * 3 + c]! += weight * out[from + c]!;
        }
      }
      for (let i = 0; i < side; i++) for (let c = 0; c < 3; c++) out[j * across + i * along + c] = line[i * 3 + c]!;
    }
  }
}

/** Raises brightness, from 0 to 1, to a power. */
function raise(out: Float32Array, gamma: number): void {
  for (let o = 0; o < out.length; o++) out[o] = 2 * Math.max(0, (out[o]! + 1) / 2) ** gamma - 1;
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
  const image = out.slice();
  const inside = (at: number) => Math.max(0, Math.min(side - 1, at));
  for (let y = 0, o = 0; y < side; y++) {
    for (let x = 0; x < side; x++, o += 3) {
      let { weights } = cells[0]!;
      let nearest = Infinity;
      for (const cell of cells) {
        const squared = (cell.x - x) ** 2 + (cell.y - y) ** 2;
        if (squared < nearest) [nearest, weights] = [squared, cell.weights];
      }
      let r = 0, g = 0, b = 0;
      for (let j = -reach, w = 0; j <= reach; j++) {
        for (let i = -reach; i <= reach; i++) {
          const from = (inside(y + j) * side + inside(x + i)) * 3;
          for (let k = 0; k < 3; k++, w += 3) {
            r += weights[w]! * image[from + k]!;
            g += weights[w + 1]! * image[from + k]!;
            b += weights[w + 2]! * image[from + k]!;
          }
        }
      }
      out[o] = kept * image[o]! + (1 - kept) * r;
      out[o + 1] = kept * image[o + 1]! + (1 - kept) * g;
      out[o + 2] = kept * image[o + 2]! + (1 - kept) * b;
    }
  }
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
