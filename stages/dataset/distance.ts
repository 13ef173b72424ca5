/**
 * Measures the distance of sets of images from true ones of the same styles, in the features of a detector.
 *
 * @module
 */

import { z } from "zod";
import { openDataset } from "../../faces/data/dataset.ts";
import { type FeatureSet, frechetDistance, gaussianOf, kernelDistance, standardise } from "../../faces/set_distance.ts";
import { exists } from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";
import { readSafetensors, writeSafetensors } from "../../formats/safetensors.ts";
import { FeatureExtractor, type Layer, takesSide } from "../../models/detectors/features.ts";
import { itemAt } from "../../engine/lookup.ts";
import { type Artifact, stage, type StageContext } from "../../runtime/stage.ts";
import { ifKnown } from "../lib/checks.ts";
import { detectorOf, sizeOf } from "../lib/artifacts.ts";
import { type Distance, noResults } from "../report/_results.ts";

/** Images of a style, at least, in every set. */
const LEAST = 2;

/**
 * `dataset/distance`: a row for each dataset and style. A dataset of other true images among `data` has the distance that
 * chance alone makes.
 */
export const datasetDistance = stage({
  id: "dataset/distance",
  doc:
    "Measures the distance of datasets from a reference in a detector's features, per style: Frechet (as FID) and kernel (as KID).",
  version: 1,
  inputs: { "data*": "dataset", reference: "dataset", detector: "detector" },
  output: "table",
  options: z.object({
    layer: z.enum(["first", "last"]).default("first").describe(
      "Features to compare: first, of textures and colours; last, of the shapes that landmarks need",
    ),
    batch_size: z.int().min(1).max(256).default(16).describe("Images that go through the detector at once"),
  }),
  async check(_options, { data, reference, detector }) {
    const config = await ifKnown(() => detectorOf(detector));
    const sides = await Promise.all([...data, reference].map(async (one) => ({
      input: one === reference ? "reference" : "data",
      stage: one.stage,
      side: await ifKnown(() => sizeOf([one])),
    })));
    return sides.map(({ input, stage, side }) =>
      config !== undefined && side !== undefined && !takesSide(config, side) && {
        input,
        reason:
          `images of "${stage}" are ${side} pixels wide: at most ${config.size_px}, or a multiple of it, is expected, as ` +
          `"${detector.stage}" takes images of ${config.size_px}`,
      }
    );
  },
  async run(ctx, { data, reference, detector }, { batch_size, layer }) {
    const sets: Measured[] = [];
    for (const [index, artifact] of [reference, ...data].entries()) {
      const features = `${ctx.work}/${index}.safetensors`;
      if (!exists(features)) await extract(ctx, artifact, detector, { batch_size, layer }, features);
      using file = await readSafetensors(features);
      const { data, shape: [, width = 0] } = await file.read("features");
      const { records } = await openDataset(artifact.dir);
      sets.push({ dataset: artifact.stage, styles: records.map(({ style }) => style), features: { data, width } });
    }
    const [truth, ...others] = standardised(sets);
    if (!truth) throw new TypeError("Cannot compare without a reference");
    const distances = compare(truth, others);
    if (distances.length === 0) {
      throw new InputError(
        `Cannot compare with "${reference.stage}": no style has ${LEAST} images in it and in each dataset of "data"`,
      );
    }
    for (const { style, ...row } of distances) if (style === null) ctx.summary({ ...row, reference: reference.stage });
    const results = { ...noResults(), distances: distances.map((row) => ({ ...row, reference: reference.stage })) };
    await Deno.writeTextFile(`${ctx.dir}/results.json`, JSON.stringify(results, null, 1) + "\n");
  },
});

/** Features of a dataset. */
interface Measured {
  readonly dataset: string;
  /** Style of each image. */
  readonly styles: readonly string[];
  readonly features: FeatureSet;
}

/** Computes the features of a dataset and writes them to a file, so that a restart has them. */
async function extract(
  ctx: StageContext,
  { dir, stage }: Artifact,
  detector: Artifact,
  { batch_size: batch, layer }: { readonly batch_size: number; readonly layer: Layer },
  path: string,
): Promise<void> {
  const source = await openDataset(dir);
  const { size_px, records } = source;
  using extractor = await FeatureExtractor.load(await ctx.device(), detector.dir, size_px, layer, batch);
  const { width } = extractor, bytes = size_px * size_px * 3;
  const data = new Float32Array(records.length * width);
  for (let first = 0; first < records.length; first += batch) {
    ctx.signal.throwIfAborted();
    const count = Math.min(batch, records.length - first);
    const images = new Uint8Array(count * bytes);
    for (let k = 0; k < count; k++) images.set((await source.load(first + k)).image.data, k * bytes);
    data.set(await extractor.extract(images), first * width);
    ctx.progress(first + count, records.length, { doing: `features of ${stage}` });
  }
  await writeSafetensors(path, new Map([["features", { shape: [records.length, width], data }]]));
}

/** Sets with the features scaled by their spread in the first one. */
function standardised(sets: readonly Measured[]): Measured[] {
  const [first] = sets;
  if (!first) return [];
  const scale = gaussianOf(first.features);
  return sets.map((one) => ({ ...one, features: standardise(one.features, scale) }));
}

/**
 * Distances of sets from true images: for each style that all have, of equally many images of each, and of these together.
 */
function compare(truth: Measured, others: readonly Measured[]): Omit<Distance, "reference">[] {
  const all = [truth, ...others];
  const numbers = all.map(({ styles }) => Map.groupBy(styles.keys(), (image) => styles[image] ?? ""));
  const chosen = all.map((): number[] => []);
  const rows = [...numbers[0]!.keys()].sort().flatMap((style) => {
    const images = numbers.map((byStyle) => byStyle.get(style) ?? []);
    const count = Math.min(...images.map(({ length }) => length));
    if (count < LEAST) return [];
    const picked = images.map((list) =>
      Array.from({ length: count }, (_, k) => itemAt(list, Math.floor(k * list.length / count), "images"))
    );
    picked.forEach((list, set) => chosen[set]!.push(...list));
    return others.map((other, k) => row(style, truth, picked[0]!, other, picked[k + 1]!));
  });
  if (rows.length === 0) return [];
  return [...others.map((other, k) => row(null, truth, chosen[0]!, other, chosen[k + 1]!)), ...rows];
}

function row(
  style: string | null,
  truth: Measured,
  trueImages: readonly number[],
  other: Measured,
  images: readonly number[],
): Omit<Distance, "reference"> {
  const [a, b] = [pick(truth.features, trueImages), pick(other.features, images)];
  return {
    dataset: other.dataset,
    style,
    images: images.length,
    kernel: kernelDistance(a, b),
    frechet: frechetDistance(gaussianOf(a), gaussianOf(b)),
  };
}

/** Features of some images. */
function pick({ data, width }: FeatureSet, images: readonly number[]): FeatureSet {
  const chosen = new Float64Array(images.length * width);
  images.forEach((image, k) => {
    for (let i = 0; i < width; i++) chosen[k * width + i] = data[image * width + i]!;
  });
  return { data: chosen, width };
}
