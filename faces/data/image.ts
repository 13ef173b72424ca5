/**
 * RGB images in memory and their resampling. Files are in image_file.ts.
 *
 * Coordinates are 0-based pixel centres: pixel (0, 0) covers [-0.5, 0.5] x [-0.5, 0.5].
 *
 * @module
 */
import { itemAt } from "../../engine/lookup.ts";
import type { Affine } from "../landmarks.ts";

/** An RGB image: rows from the top, three bytes a pixel. */
export interface Image {
  /** Columns. */
  width: number;
  /** Rows. */
  height: number;
  /** `[height, width, 3]`, 0 to 255. */
  data: Uint8Array;
}

/** Red, green and blue, 0 to 255. */
export type Colour = readonly [red: number, green: number, blue: number];

/** Fill of a crop's pixels outside the image: the nearest border pixel, or one colour. */
export type Fill = "edge" | Colour;

/** A square of an image, in pixel-centre coordinates: the whole of a 64 x 64 image is `{ x: -0.5, y: -0.5, side: 64 }`. */
export interface Box {
  /** Left edge. */
  x: number;
  /** Top edge. */
  y: number;
  /** Length of a side, pixels. */
  side: number;
}

/**
 * An image of one colour.
 *
 * @param width Columns.
 * @param height Rows.
 * @param colour 0 to 255 each; by default black.
 * @returns A new image.
 */
export function createImage(
  width: number,
  height: number,
  colour: readonly [number, number, number] = [0, 0, 0],
): Image {
  const data = new Uint8Array(width * height * 3);
  if (colour.some((value) => value !== 0)) { for (let i = 0; i < data.length; i += 3) data.set(colour, i); }
  return { width, height, data };
}

/** The taps of one output coordinate: source coordinates from `start`, with weights that add up to one. */
interface Taps {
  start: number;
  weights: Float64Array;
}

/** Output cell j covers `[from + j * scale, from + (j + 1) * scale]` of the source. */
function taps(kind: "area" | "triangle" | "linear", from: number, scale: number, count: number): Taps[] {
  return Array.from({ length: count }, (_, j) => {
    const centre = from + (j + 0.5) * scale;
    const radius = kind === "area" ? scale / 2 : kind === "linear" ? 1 : Math.max(1, scale);
    const start = Math.ceil(centre - radius - 0.5), end = Math.floor(centre + radius + 0.5);
    const weights = new Float64Array(end - start + 1);
    let sum = 0;
    for (let i = 0; i < weights.length; i++) {
      const distance = start + i - centre;
      const weight = kind === "area"
        ? Math.max(0, Math.min(distance + 0.5, radius) - Math.max(distance - 0.5, -radius))
        : Math.max(0, 1 - Math.abs(distance) / radius);
      weights[i] = weight;
      sum += weight;
    }
    return { start, weights: weights.map((weight) => weight / sum) };
  });
}

function resample(image: Image, columns: Taps[], rows: Taps[], fill: Fill): Image {
  const { width, height, data } = image;
  const outWidth = columns.length, outHeight = rows.length;
  const colour = fill === "edge" ? [0, 0, 0] : fill;
  const clamp = (i: number, n: number) => i < 0 ? 0 : i >= n ? n - 1 : i;
  // Only the rows that some output row reads are resampled along x.
  const first = clamp(itemAt(rows, 0, "the rows").start, height);
  const lastTaps = itemAt(rows, outHeight - 1, "the rows");
  const last = clamp(lastTaps.start + lastTaps.weights.length - 1, height);
  const wide = new Float32Array((last - first + 1) * outWidth * 3);
  for (let y = first, to = 0; y <= last; y++) {
    for (const { start, weights } of columns) {
      for (let i = 0; i < weights.length; i++) {
        const x = start + i, weight = weights[i]!;
        const outside = fill !== "edge" && (x < 0 || x >= width);
        const from = (y * width + clamp(x, width)) * 3;
        for (let c = 0; c < 3; c++) wide[to + c]! += weight * (outside ? colour[c]! : data[from + c]!);
      }
      to += 3;
    }
  }
  const result = createImage(outWidth, outHeight);
  const line = new Float64Array(outWidth * 3);
  for (const [j, { start, weights }] of rows.entries()) {
    line.fill(0);
    for (let i = 0; i < weights.length; i++) {
      const y = start + i, weight = weights[i]!;
      const outside = fill !== "edge" && (y < 0 || y >= height);
      const from = (clamp(y, height) - first) * outWidth * 3;
      for (let k = 0; k < line.length; k++) line[k]! += weight * (outside ? colour[k % 3]! : wide[from + k]!);
    }
    result.data.set(line.map(Math.round), j * line.length);
  }
  return result;
}

/**
 * Resizes by exact area averages: every output pixel is the mean of what it covers.
 *
 * @param image The image.
 * @param width Columns of the result.
 * @param height Rows of the result.
 * @returns A new image.
 */
export function resizeArea(image: Image, width: number, height: number): Image {
  return resample(
    image,
    taps("area", -0.5, image.width / width, width),
    taps("area", -0.5, image.height / height, height),
    "edge",
  );
}

/**
 * Enlarges an image, between its pixels.
 *
 * @param image The image.
 * @param width Columns of the result, not fewer.
 * @param height Rows of the result, not fewer.
 * @returns A new image.
 */
export function enlarge(image: Image, width: number, height: number): Image {
  return resample(
    image,
    taps("linear", -0.5, image.width / width, width),
    taps("linear", -0.5, image.height / height, height),
    "edge",
  );
}

/**
 * Cuts a square out and resamples it: bilinear where it grows, with a triangle filter (antialiased) where it shrinks.
 *
 * @param image The image.
 * @param box The square, which may leave the image.
 * @param size_px Side of the result.
 * @param fill What stands where the square leaves the image.
 * @param antialias False for plain bilinear sampling also where it shrinks, as OpenCV's `warpPerspective` does.
 * @returns A new image of `size_px` x `size_px`; {@linkcode cropTransform} takes landmarks along.
 */
export function cropSquare(image: Image, box: Box, size_px: number, fill: Fill = "edge", antialias = true): Image {
  const scale = box.side / size_px;
  const kind = antialias ? "triangle" : "linear";
  return resample(image, taps(kind, box.x, scale, size_px), taps(kind, box.y, scale, size_px), fill);
}

/**
 * The affine map that takes points of an image to points of its crop.
 *
 * `x' = (x - box.x) size_px / side - 0.5`
 *
 * @param box The square that was cut out.
 * @param size_px Side of the crop.
 * @returns For `transformLandmarks`.
 */
export function cropTransform(box: Box, size_px: number): Affine {
  const scale = size_px / box.side;
  return [scale, 0, -box.x * scale - 0.5, 0, scale, -box.y * scale - 0.5];
}

/** Square images of one size, in memory. */
export interface Squares {
  /** `[n, size_px, size_px, 3]`, 0 to 255. */
  readonly images: Uint8Array;
  /** Side of each, pixels. */
  readonly size_px: number;
}

/**
 * Makes images smaller by a whole factor, by area averages, while they are at least twice as large as wanted: sampling
 * them between pixels would skip most of theirs.
 *
 * @param images `[n, from_px, from_px, 3]`.
 * @returns The images themselves when they are small enough.
 */
export function shrink(images: Uint8Array, from_px: number, to_px: number): Squares {
  const factor = Math.floor(from_px / to_px);
  if (factor < 2) return { images, size_px: from_px };
  const size_px = Math.round(from_px / factor);
  const bytes = from_px * from_px * 3;
  const count = images.length / bytes;
  const out = new Uint8Array(count * size_px * size_px * 3);
  for (let k = 0; k < count; k++) {
    const data = images.subarray(k * bytes, (k + 1) * bytes);
    out.set(resizeArea({ width: from_px, height: from_px, data }, size_px, size_px).data, k * size_px * size_px * 3);
  }
  return { images: out, size_px };
}

/** Mirrors images, `[n, side, side, 3]`. */
export function mirrorImages<T extends Float32Array | Uint8Array>(images: T, side: number): T {
  const out = images.slice() as T;
  for (let row = 0; row < images.length; row += side * 3) {
    for (let x = 0; x < side; x++) {
      for (let c = 0; c < 3; c++) out[row + x * 3 + c] = images[row + (side - 1 - x) * 3 + c]!;
    }
  }
  return out;
}

/** Moves images, `[n, side, side, 3]`, right and down by whole pixels; pixels of the border fill what is left free. */
export function moveImages<T extends Float32Array | Uint8Array>(images: T, side: number, px: number): T {
  const out = images.slice() as T;
  const from = (to: number) => Math.max(0, to - px);
  for (let k = 0; k < images.length; k += side * side * 3) {
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        for (let c = 0; c < 3; c++) {
          out[k + (y * side + x) * 3 + c] = images[k + (from(y) * side + from(x)) * 3 + c]!;
        }
      }
    }
  }
  return out;
}

/** The image turned clockwise by a quarter: its left side becomes the upper one. */
export function turnQuarter({ width, height, data }: Image): Image {
  const turned = createImage(height, width);
  for (let y = 0, o = 0; y < width; y++) {
    for (let x = 0; x < height; x++, o += 3) {
      const from = ((height - 1 - x) * width + y) * 3;
      for (let c = 0; c < 3; c++) turned.data[o + c] = data[from + c]!;
    }
  }
  return turned;
}
