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
 * @throws {InputError} If their images differ in size, or their landmarks in schema.
 */
export async function loadFaces(artifacts: readonly Artifact[]): Promise<LoadedDataset> {
  const datasets = await Promise.all(artifacts.map(({ dir }) => openDataset(dir)));
  const size_px = datasets[0]!.size_px;
  const other = datasets.findIndex((d) => d.size_px !== size_px);
  if (other >= 0) {
    throw new InputError(
      `Cannot use "${artifacts[other]!.stage}" beside "${artifacts[0]!.stage}": its images are ` +
        `${datasets[other]!.size_px} pixels wide, the others ${size_px}`,
    );
  }
  const { schema } = datasets[0]!;
  const foreign = datasets.findIndex((d) => d.schema.name !== schema.name);
  if (foreign >= 0) {
    throw new InputError(
      `Cannot use "${artifacts[foreign]!.stage}" beside "${artifacts[0]!.stage}": its landmarks are of ` +
        `${datasets[foreign]!.schema.name}, the others of ${schema.name}`,
    );
  }
  const stride = 2 * schema.count;
  const count = datasets.reduce((n, d) => n + d.records.length, 0);
  // Shared, as batches are made of them in other threads.
  const images = new Uint8Array(new SharedArrayBuffer(count * size_px * size_px * 3));
  const landmarks = new Float32Array(new SharedArrayBuffer(4 * count * stride));
  const records: DatasetRecord[] = [];
  for (const dataset of datasets) {
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
  for (let k = 0; k < image.length; k++) out[offset + k] = image[k]! / 127.5 - 1;
}

/** A network's picture, values from -1 to 1, as an image. */
export function toImage(values: Float32Array, size_px: number): Image {
  const data = new Uint8Array(values.length);
  for (let k = 0; k < values.length; k++) data[k] = Math.round((Math.max(-1, Math.min(1, values[k]!)) + 1) * 127.5);
  return { width: size_px, height: size_px, data };
}
