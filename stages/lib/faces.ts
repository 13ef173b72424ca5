/**
 * Common parts of stages that take faces: datasets in memory, images as network inputs, contact sheets.
 *
 * @module
 */

import { InputError } from "../../formats/input_error.ts";
import { type DatasetRecord, type Faces, type LoadedDataset, openDataset } from "../../faces/data/dataset.ts";
import type { Image, Squares } from "../../faces/data/image.ts";
import type { Failures } from "../../faces/metrics.ts";
import type { Artifact } from "../../runtime/stage.ts";

/**
 * Loads datasets one after the other, as one.
 *
 * @throws {InputError} If none is given, or if their images differ in size or their landmarks in schema.
 */
export async function loadFaces(artifacts: readonly Artifact[]): Promise<LoadedDataset> {
  const datasets = await Promise.all(
    artifacts.map(async ({ stage, dir }) => ({ stage, dataset: await openDataset(dir) })),
  );
  const [first] = datasets;
  if (!first) throw new InputError("Cannot load faces: no dataset is given");
  const { size_px, schema } = first.dataset;
  const other = datasets.find(({ dataset }) => dataset.size_px !== size_px);
  if (other) {
    throw new InputError(
      `Cannot use "${other.stage}" beside "${first.stage}": its images are ` +
        `${other.dataset.size_px} pixels wide, the others ${size_px}`,
    );
  }
  const foreign = datasets.find(({ dataset }) => dataset.schema.name !== schema.name);
  if (foreign) {
    throw new InputError(
      `Cannot use "${foreign.stage}" beside "${first.stage}": its landmarks are of ` +
        `${foreign.dataset.schema.name}, the others of ${schema.name}`,
    );
  }
  const stride = 2 * schema.count;
  const count = datasets.reduce((n, { dataset }) => n + dataset.records.length, 0);
  // Shared, as batches are made of them in other threads.
  const images = new Uint8Array(new SharedArrayBuffer(count * size_px * size_px * 3));
  const landmarks = new Float32Array(new SharedArrayBuffer(4 * count * stride));
  const records: DatasetRecord[] = [];
  for (const { dataset } of datasets) {
    const loaded = await dataset.loadAll();
    images.set(loaded.images, records.length * size_px * size_px * 3);
    landmarks.set(loaded.landmarks, records.length * stride);
    records.push(...loaded.records);
  }
  return { images, landmarks, records, size_px, schema };
}

/** Image `index` as an {@linkcode Image} that shares memory. */
export function imageOf({ images, size_px }: Squares, index: number): Image {
  const bytes = size_px * size_px * 3;
  return { width: size_px, height: size_px, data: images.subarray(index * bytes, (index + 1) * bytes) };
}

/** Landmarks of image `index`, `[P, 2]`, sharing memory. */
export function landmarksOf({ landmarks, schema }: Pick<Faces, "landmarks" | "schema">, index: number): Float32Array {
  return landmarks.subarray(2 * index * schema.count, 2 * (index + 1) * schema.count);
}

/** Columns of a table: `fr_10` and `auc_10` of a threshold of 10 %. */
export function rates(failures: readonly Failures[]): Record<string, number> {
  return Object.fromEntries(
    failures.flatMap(({ threshold, fr, auc }) => [[`fr_${threshold}`, fr], [`auc_${threshold}`, auc]]),
  );
}

/** Writes an image to a batch as values from -1 to 1. */
export function toNetwork(image: Uint8Array, out: Float32Array, offset: number): void {
  image.forEach((byte, k) => {
    out[offset + k] = byte / 127.5 - 1;
  });
}

/** Converts a network's output, `[size_px, size_px, 3]`, values from -1 to 1, to an image. */
export function toImage(values: Float32Array, size_px: number): Image {
  const data = new Uint8Array(values.length);
  values.forEach((value, k) => {
    data[k] = Math.round((Math.max(-1, Math.min(1, value)) + 1) * 127.5);
  });
  return { width: size_px, height: size_px, data };
}
