/**
 * Random changes of training images that keep the landmarks true.
 *
 * @module
 */

import { z } from "zod";
import type { RandomSource } from "../../engine/rng.ts";
import { bendLandmarks, drawBends, STRONGEST_BEND } from "../bends.ts";
import { drawGridWarp, GREATEST_OFFSET, warpLandmarks } from "../grid_warp.ts";
import { blur } from "./blur.ts";
import { compress, lowerResolution, posterise } from "./degrade.ts";
import { cropTransform } from "./image.ts";
import { randomConvolution } from "./random_conv.ts";
import { applyGamma, recolour } from "./recolour.ts";
import { remap, resample, resizing } from "./resample.ts";
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
    "Strength of bends that turn faces into caricatures of themselves: up to four features and those opposite grow, shrink or move, by this standard deviation, and the face is cropped again; by default none",
  ),
  warp: z.number().positive().max(GREATEST_OFFSET).optional().describe(
    "Greatest offset of the points of a 4 x 4 grid by which half of the images are smoothly warped, parts of the image's side; by default none",
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
  // A change that is not asked for draws no number, so that the others stay the same.
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
  remap(image, from_px, { back: invertAffine(affine), bends, warp, mirrored }, to_px, out);
  if (options.blur !== undefined) blur(out, to_px, random.uniform() * options.blur * to_px);
  if (options.gamma !== undefined) applyGamma(out, Math.exp(clip(random.normal()) * options.gamma));
  if (options.random_conv !== undefined && random.uniform() < options.random_conv) {
    randomConvolution(out, to_px, random);
  }
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

/** Three standard deviations are as far as it goes. */
function clip(normal: number): number {
  return Math.max(-3, Math.min(3, normal));
}

/** Makes an image wider and as much lower, about its centre, so that width over height is a factor of what it was. */
function stretch(centre: number, factor: number): Affine {
  const wider = Math.sqrt(factor), lower = 1 / wider;
  return [wider, 0, centre * (1 - wider), 0, lower, centre * (1 - lower)];
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
