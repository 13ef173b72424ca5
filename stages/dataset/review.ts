/**
 * Quality control of generated pairs: rejects those whose image does not fit its landmarks, and near-duplicates.
 *
 * @module
 */

import { z } from "zod";
import { InputError } from "../../formats/input_error.ts";
import { counted } from "../../formats/numbers.ts";
import { type Dataset, openDataset } from "../../faces/data/dataset.ts";
import { DatasetWriter } from "../../faces/data/dataset_writer.ts";
import { bootstrapMean } from "../../faces/metrics.ts";
import { mean, roundTo } from "../../faces/statistics.ts";
import { type Detector, loadDetector } from "../../models/detectors/detector.ts";
import { itemAt, lookUp } from "../../engine/lookup.ts";
import { Random } from "../../engine/rng.ts";
import { stage, type StageContext } from "../../runtime/stage.ts";
import {
  align,
  type Alignment,
  differenceHash,
  NearHashes,
  rejection,
  robustZScore,
  type StyleStatistics,
  styleStatistics,
} from "../lib/alignment.ts";
import { measuringSchemaConflicts } from "../lib/checks.ts";
import { datasetInfo } from "../lib/artifacts.ts";
import { type ReviewedPair, reviewPage, type StyleCounts, type Verdict } from "./_review_page.ts";

/** `dataset/review`: a dataset of the pairs that are kept; `review.html` shows all in doubt, `review.json` lists every pair. */
export const reviewPairs = stage({
  id: "dataset/review",
  doc: "Rejects generated pairs whose image does not fit its landmarks, as judged by a detector, and near-duplicates.",
  version: 2,
  inputs: { data: "dataset", detector: "detector" },
  output: "dataset",
  options: z.object({
    ...rejection,
    max_hash_distance: z.int().min(0).max(64).nullable().default(12).describe(
      "Two images of a style are duplicates if their 256-bit dHashes differ in at most this many bits; the better aligned " +
        "one is kept; null keeps all",
    ),
    page: z.int().min(0).max(5000).default(300).describe("Number of pairs on review.html, the most doubtful first"),
  }),
  check: async (_options, { data, detector }) => await measuringSchemaConflicts([data], detector),
  describeOutput: async (_options, { data }) => await datasetInfo([data]),
  async run(
    ctx,
    { data, detector: { dir, stage: scoringDetector } },
    { max_zscore, max_nme = Infinity, max_hash_distance, page },
  ) {
    const source = await openDataset(data.dir), { records } = source;
    using detector = await loadDetector(await ctx.device(), dir);
    const { found, nme, hashes } = await measure(ctx, detector, source);
    const statistics = styleStatistics(nme, records.map(({ style }) => style));
    const pairs = records.map((record, index): ReviewedPair => {
      const alignment_nme = nme[index]!;
      const doubt = robustZScore(alignment_nme, lookUp(statistics, record.style, "styles"));
      const verdict = doubt > max_zscore || alignment_nme > max_nme ? "rejected" : "kept";
      return { index, record, alignment_nme, doubt, verdict };
    });
    pairs.sort((a, b) => a.doubt - b.doubt || a.index - b.index);
    if (max_hash_distance !== null) markDuplicates(pairs, hashes, max_hash_distance);

    const kept = pairs.filter(({ verdict }) => verdict === "kept").map(({ index }) => index).sort((a, b) => a - b);
    if (kept.length === 0) throw nothingKept(pairs, data.stage, scoringDetector);
    const writer = await DatasetWriter.create(ctx.dir, source.schema);
    for (const index of kept) {
      ctx.signal.throwIfAborted();
      await writer.copy(source, index);
    }
    await writer.close();

    const styles = countStyles(pairs, statistics);
    for (const { style, pairs, kept, rejected, duplicate, median } of styles) {
      const counts = `${kept} of ${pairs} kept, ${rejected} rejected, ${duplicate} duplicate`;
      ctx.log(`${style}: ${counts}, median ${median.toFixed(1)} %`);
    }
    await writeReview(ctx.dir, { data: data.stage, detector: scoringDetector, source, styles, pairs, found, page });
    const [alignment_low, alignment_high] = bootstrapMean(
      nme,
      records.map(({ group }) => group),
      new Random(ctx.seed, "dataset/review"),
    ) ?? [null, null];
    ctx.summary({
      detector: scoringDetector,
      dataset: data.stage,
      images: records.length,
      alignment_nme: mean(nme),
      alignment_low,
      alignment_high,
      kept: kept.length,
      rejected_percent: 100 * pairs.filter(({ verdict }) => verdict === "rejected").length / records.length,
      duplicates: pairs.filter(({ verdict }) => verdict === "duplicate").length,
    });
  },
});

/** Measures all pairs, and takes the hashes of their images, so that each is read once. */
async function measure(
  ctx: StageContext,
  detector: Detector,
  source: Dataset,
): Promise<Alignment & { readonly hashes: readonly Uint32Array[] }> {
  const { records, schema } = source, hashes: Uint32Array[] = [];
  const read = async (index: number) => {
    const sample = await source.load(index);
    hashes[index] = differenceHash(sample.image);
    return sample;
  };
  const alignment = await align(detector, schema, [...records.keys()], read, (done) => {
    ctx.signal.throwIfAborted();
    ctx.progress(done, records.length);
  });
  return { ...alignment, hashes };
}

function nothingKept(pairs: readonly ReviewedPair[], data: string, detector: string): InputError {
  const least = pairs.reduce((least, { alignment_nme }) => Math.min(least, alignment_nme), Infinity);
  return new InputError(
    `Cannot keep any of the ${counted(pairs.length, "pair")} of "${data}": the smallest alignment_nme under ` +
      `"${detector}" is ${least.toFixed(1)} %`,
    { hint: "raise max_nme" },
  );
}

/** Marks pairs as duplicates whose images are near to one of the same style that fits better. */
function markDuplicates(
  pairs: readonly ReviewedPair[],
  hashes: readonly Uint32Array[],
  distance: number,
): void {
  const seen = new Map<string, NearHashes>();
  for (const pair of pairs) {
    if (pair.verdict !== "kept") continue;
    const { style } = pair.record;
    const near = seen.get(style) ?? new NearHashes(distance);
    seen.set(style, near);
    if (!near.add(itemAt(hashes, pair.index, "hashes"))) pair.verdict = "duplicate";
  }
}

/** Verdicts by style, in the order of their names. */
function countStyles(pairs: readonly ReviewedPair[], statistics: ReadonlyMap<string, StyleStatistics>): StyleCounts[] {
  return [...statistics].sort(([a], [b]) => a < b ? -1 : 1).map(([style, { median, deviation }]) => {
    const own = pairs.filter(({ record }) => record.style === style);
    const count = (verdict: Verdict) => own.filter((pair) => pair.verdict === verdict).length;
    const [rejected, duplicate] = [count("rejected"), count("duplicate")];
    return {
      style,
      pairs: own.length,
      kept: own.length - rejected - duplicate,
      rejected,
      duplicate,
      median,
      deviation,
    };
  });
}

/** Result of a review, as it is written. */
interface Review {
  /** Stage of the pairs. */
  readonly data: string;
  /** Stage of the detector. */
  readonly detector: string;
  readonly source: Dataset;
  readonly styles: readonly StyleCounts[];
  /** Pairs from the best fitting to the most doubtful. */
  readonly pairs: readonly ReviewedPair[];
  /** `[n, P, 2]`, pixels. */
  readonly found: Float32Array;
  /** Pairs on the page. */
  readonly page: number;
}

/** Writes `review.json` with all pairs and `review.html` with the most doubtful ones. */
async function writeReview(dir: string, { data, detector, source, styles, pairs, found, page }: Review): Promise<void> {
  const stride = 2 * source.schema.count;
  const foundIn = (index: number) => found.subarray(index * stride, (index + 1) * stride);
  const list = pairs.map(({ index, record: { file_name, style }, alignment_nme, doubt, verdict }) => ({
    file_name,
    style,
    alignment_nme: roundTo(alignment_nme, 3),
    doubt: roundTo(doubt, 3),
    verdict,
    found: Array.from(foundIn(index), (px) => roundTo(px, 1)),
  })).reverse();
  await Deno.writeTextFile(`${dir}/review.json`, JSON.stringify({ styles, pairs: list }) + "\n");
  const faces = await Promise.all(
    pairs.toReversed().slice(0, page).map(async (pair) => ({
      ...pair,
      png: await Deno.readFile(`${source.dir}/${pair.record.file_name}`),
      found: foundIn(pair.index),
    })),
  );
  await Deno.writeTextFile(`${dir}/review.html`, reviewPage(data, detector, source, styles, faces));
}
