/**
 * Alignment of generated images with the landmarks that they were made from, as a detector sees it.
 *
 * @module
 */

import { z } from "zod";
import type { Sample } from "../../faces/data/dataset.ts";
import { type Image, resizeArea } from "../../faces/data/image.ts";
import { itemAt } from "../../engine/lookup.ts";
import { nmePerImage } from "../../faces/metrics.ts";
import { convertLandmarks, type LandmarkSchema } from "../../faces/schema.ts";
import { median } from "../../faces/statistics.ts";
import type { Detector } from "../../models/detectors/detector.ts";

/** Limits above which pairs are rejected; `dataset/generate` makes such pairs again. */
export const rejection = {
  max_zscore: z.number().positive().default(3).describe(
    "A pair is rejected if its alignment_nme is more than this number of robust standard deviations (1.4826 times the " +
      "median absolute deviation) above the median of its style",
  ),
  max_nme: z.number().positive().optional().describe(
    "A pair is also rejected if its alignment_nme is above this, percent, whatever the median of its style",
  ),
};

/** Landmarks that a detector finds in images, and their distance from the requested ones. */
export interface Alignment {
  /** `[n, P, 2]`, pixels. */
  readonly found: Float32Array;
  /** `alignment_nme` of each image: its distance from the requested landmarks, percent of their interocular distance. */
  readonly nme: Float64Array;
}

/**
 * Measures images one batch at a time; no more than a batch is in memory.
 *
 * @param schema Schema of the requested landmarks; those that the detector finds are converted to it.
 * @param items Identify the images.
 * @param read Reads the image of an item, a square, and the landmarks that were asked for.
 * @param each Called after each batch with the number of images measured so far.
 */
export async function align<T>(
  detector: Detector,
  schema: LandmarkSchema,
  items: readonly T[],
  read: (item: T) => Promise<Pick<Sample, "image" | "landmarks">>,
  each?: (done: number) => void,
): Promise<Alignment> {
  const stride = 2 * schema.count;
  const found = new Float32Array(items.length * stride), nme = new Float64Array(items.length);
  for (let first = 0; first < items.length; first += detector.batch) {
    const samples = await Promise.all(items.slice(first, first + detector.batch).map(read));
    const { width: size_px, data: { length: bytes } } = itemAt(samples, 0, "images").image;
    const images = new Uint8Array(samples.length * bytes), asked = new Float32Array(samples.length * stride);
    for (const [k, { image, landmarks }] of samples.entries()) {
      images.set(image.data, k * bytes);
      asked.set(landmarks, k * stride);
    }
    const prediction = await detector.predict(images, size_px, { flip: true });
    const landmarks = convertLandmarks(prediction.landmarks, detector.schema, schema);
    found.set(landmarks, first * stride);
    nme.set(nmePerImage(landmarks, asked, schema), first);
    each?.(first + samples.length);
  }
  return { found, nme };
}

/** Statistics of `alignment_nme` in a style. */
export interface StyleStatistics {
  /** Median of `alignment_nme`, percent. */
  readonly median: number;
  /** Robust standard deviation, percent. */
  readonly deviation: number;
}

/** Pairs of a style whose own spread counts as much as that of all styles. */
const ENOUGH = 10;
/** Least deviation as a share of the median: where all fit alike, a slightly worse fit is no reason for doubt. */
const LEAST = 0.05;
/** Turns the median distance from the median into the standard deviation of a normal distribution. */
const MAD = 1.4826;

/**
 * Computes statistics of `alignment_nme` for each style: the median, and 1.4826 times the median distance from it.
 *
 * A few pairs are a poor estimate of their spread, so it is drawn towards that of all styles, as shares of their medians:
 * by half where a style has ten pairs.
 */
export function styleStatistics(nme: ArrayLike<number>, styles: readonly string[]): Map<string, StyleStatistics> {
  const byStyle = [...Map.groupBy(styles.entries(), ([, style]) => style)].map(([style, own]) => {
    const values = own.map(([index]) => nme[index]!);
    const middle = median(values);
    return { style, middle, distances: values.map((value) => Math.abs(value - middle)) };
  });
  const shares = byStyle.flatMap(({ middle, distances }) => distances.map((distance) => distance / (middle || 1)));
  const common = median(shares);
  return new Map(
    byStyle.map(({ style, middle, distances }) => {
      const own = distances.length / (distances.length + ENOUGH);
      const spread = own * median(distances) + (1 - own) * common * middle;
      return [style, { median: middle, deviation: Math.max(MAD * spread, LEAST * middle) }];
    }),
  );
}

/** Robust z-score: deviations of an `alignment_nme` above the median of its style; below 0 it is better than that. */
export function robustZScore(nme: number, { median, deviation }: StyleStatistics): number {
  return deviation === 0 ? 0 : (nme - median) / deviation;
}

/** Side of the grid of an image's hash, cells. */
const GRID = 16;
/** Bits of an image's hash. */
export const HASH_BITS = GRID * GRID;

/**
 * Difference hash of an image: a bit is 1 where a cell of a coarse grid is darker than the next one to the right.
 *
 * @returns `[HASH_BITS / 32]`, row by row, the lowest bit first.
 *
 * Source: Neal Krawetz 2013, Kind of like that (dHash), at 16 x 16 in place of 8 x 8, since faces are much alike.
 */
export function differenceHash(image: Image): Uint32Array {
  const { data } = resizeArea(image, GRID + 1, GRID);
  const grey = (cell: number) => 0.299 * data[3 * cell]! + 0.587 * data[3 * cell + 1]! + 0.114 * data[3 * cell + 2]!;
  const hash = new Uint32Array(HASH_BITS / 32);
  for (let bit = 0; bit < HASH_BITS; bit++) {
    const cell = Math.floor(bit / GRID) * (GRID + 1) + bit % GRID;
    if (grey(cell + 1) > grey(cell)) hash[bit >> 5]! |= 1 << (bit & 31);
  }
  return hash;
}

/** Finds hashes that differ in few bits, without comparing all with all. */
export class NearHashes {
  readonly #most: number;
  readonly #buckets: Map<string, Uint32Array[]>[];

  /** @param most Bits in which near ones differ at most. */
  constructor(most: number) {
    this.#most = most;
    // With one band more than bits that may differ, at least one band is the same in both.
    this.#buckets = Array.from({ length: most + 1 }, () => new Map());
  }

  /** Adds a hash unless there is one near to it; returns whether it was added. */
  add(hash: Uint32Array): boolean {
    const bands = this.#buckets.map((bucket, band) => [bucket, this.#band(hash, band)] as const);
    const near = (other: Uint32Array) => differentBits(hash, other) <= this.#most;
    if (bands.some(([bucket, key]) => bucket.get(key)?.some(near))) return false;
    for (const [bucket, key] of bands) {
      const others = bucket.get(key);
      if (others) others.push(hash);
      else bucket.set(key, [hash]);
    }
    return true;
  }

  #band(hash: Uint32Array, band: number): string {
    const count = this.#buckets.length;
    let key = "";
    for (let bit = band; bit < HASH_BITS; bit += count) key += hash[bit >> 5]! >>> (bit & 31) & 1;
    return key;
  }
}

function differentBits(a: Uint32Array, b: Uint32Array): number {
  let count = 0;
  for (const [k, word] of a.entries()) {
    for (let bits = word ^ b[k]!; bits !== 0; bits &= bits - 1) count++;
  }
  return count;
}
