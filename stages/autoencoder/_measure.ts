/**
 * Measures of a trained autoencoder: the spread of its latents, the codes that it uses, and a sheet of reconstructions.
 *
 * @module
 */
import type { Executable } from "../../engine/executable.ts";
import type { LoadedDataset } from "../../faces/data/dataset.ts";
import type { Image } from "../../faces/data/image.ts";
import { imageOf, toImage, toNetwork } from "../lib/faces.ts";

/** Most batches that a trained autoencoder is measured on, and most images on its sheet. */
const [MOST_BATCHES, MOST_SHOWN] = [8, 96];

/** Measures of a trained autoencoder on images from all over the data. */
export interface Measured {
  /** Mean square of the latents' elements. */
  readonly variance: number;
  /** Number of codes that occur, of an autoencoder with a codebook. */
  readonly codes: number;
  /** Number of images. */
  readonly images: number;
  /** Images, each followed by its reconstruction. */
  readonly sheet: readonly Image[];
}

/**
 * Measures a trained autoencoder.
 *
 * @param network Its outputs `latent`, `y` and, with a codebook, `ids`, for an input `x` of `batch_size` images.
 */
export async function measure(
  network: Executable,
  faces: LoadedDataset,
  batch_size: number,
  quantised: boolean,
): Promise<Measured> {
  const { size_px, records: { length: total } } = faces;
  const bytes = size_px * size_px * 3;
  const rounds = Math.min(MOST_BATCHES, Math.ceil(total / batch_size)), images = rounds * batch_size;
  const sheet: Image[] = [], used = new Set<number>();
  let squares = 0, count = 0;
  for (let round = 0; round < rounds; round++) {
    const pixels = new Float32Array(batch_size * bytes);
    const picked = Array.from(
      { length: batch_size },
      (_, k) => Math.floor((round * batch_size + k) * total / images),
    );
    picked.forEach((index, k) => toNetwork(imageOf(faces, index).data, pixels, k * bytes));
    network.run({ x: pixels });
    const [latents, out] = await Promise.all([network.read("latent"), network.read("y")]);
    if (quantised) { for (const id of await network.read("ids")) used.add(id); }
    for (const v of latents) squares += v * v;
    count += latents.length;
    picked.forEach((index, k) =>
      sheet.push(imageOf(faces, index), toImage(out.subarray(k * bytes, (k + 1) * bytes), size_px))
    );
  }
  return { variance: squares / count, codes: used.size, images, sheet: sheet.slice(0, MOST_SHOWN) };
}
