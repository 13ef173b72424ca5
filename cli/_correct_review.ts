/**
 * Findings of `dataset/review` about the pairs of a dataset, for the page of `correct`.
 *
 * @module
 */
import { z } from "zod";
import { exists, readText } from "../formats/files.ts";
import { InputError } from "../formats/input_error.ts";
import type { DatasetRecord } from "../faces/data/dataset.ts";
import { boxDiagonal } from "../faces/landmarks.ts";
import { mean, roundTo } from "../faces/statistics.ts";

/** Finding of the review about a pair. */
export interface PairReview {
  /** Robust z-score of the pair's error among those of its style. */
  readonly doubt: number;
  /** Error of the detector's landmarks against those that were asked for, percent. */
  readonly alignment_nme: number;
  /** Decision about the pair. */
  readonly verdict: "kept" | "rejected" | "duplicate";
  /** The detector's landmarks, `[P][2]`, pixels. */
  readonly found: readonly (readonly [number, number])[];
}

/** Name of the file in the folder of a review. */
const REVIEW = "review.json";

const review = z.looseObject({
  pairs: z.array(z.looseObject({
    file_name: z.string(),
    style: z.string(),
    alignment_nme: z.number(),
    doubt: z.number(),
    verdict: z.enum(["kept", "rejected", "duplicate"]),
    found: z.array(z.number()),
  })),
});
type ReviewedPair = z.infer<typeof review>["pairs"][number];

/**
 * Reads what a review found of a dataset's pairs.
 *
 * @param dir The dataset: what `dataset/review` wrote, or, with `reviewed`, what it was given.
 * @param records The dataset's images before any correction.
 * @param reviewed Folder that `dataset/review` wrote; by default the dataset's own, if it is one.
 * @returns One an image; undefined for an image that the review did not see. Undefined for a dataset without a review.
 * @throws {InputError} If there is no such file, if it cannot be understood, or if it is of another dataset.
 */
export async function readReview(
  dir: string,
  records: readonly DatasetRecord[],
  reviewed?: string,
): Promise<(PairReview | undefined)[] | undefined> {
  const path = `${reviewed ?? dir}/${REVIEW}`;
  if (!exists(path)) {
    if (reviewed === undefined) return undefined;
    throw new InputError(`Cannot read a review in ${reviewed}: there is no ${REVIEW}`, {
      code: "missing",
      hint: "name the folder of a stage dataset/review",
    });
  }
  const pairs = parse(await readText(path), path);
  if (reviewed === undefined) {
    // The pairs that were kept, in their order, are the images of the review's own dataset.
    const kept = pairs.filter(({ verdict }) => verdict === "kept").sort((a, b) => a.file_name < b.file_name ? -1 : 1);
    const fits = kept.length === records.length && kept.every((pair, k) => isOf(pair, records[k]!));
    if (!fits) throw new InputError(`Cannot use ${path}: its pairs are not those of the dataset beside it`);
    return kept.map(reviewOf);
  }
  const byName = new Map(pairs.map((pair) => [pair.file_name, pair]));
  const own = records.map((record) => byName.get(record.file_name));
  if (!own.some((pair) => pair) || own.some((pair, k) => pair && !isOf(pair, records[k]!))) {
    throw new InputError(`Cannot use ${path} for ${dir}: its pairs are not those of this dataset`, {
      hint: "open the dataset that the review was given",
    });
  }
  return own.map((pair) => pair && reviewOf(pair));
}

/**
 * Doubt in landmarks: their mean distance from those that a detector found, percent of the diagonal of their box.
 *
 * @param landmarks `[P, 2]`, pixels.
 * @param found `[P][2]`, pixels.
 */
export function distanceDoubt(landmarks: Float32Array, found: PairReview["found"]): number {
  const distances = found.map(([x, y], p) => Math.hypot(x - landmarks[2 * p]!, y - landmarks[2 * p + 1]!));
  return roundTo(100 * mean(distances) / boxDiagonal(landmarks), 2);
}

/**
 * Doubt of a detector in its own landmarks: their mean uncertainty, percent of the diagonal of their box.
 *
 * @param uncertainty_px `[P]`, pixels.
 * @param landmarks `[P, 2]`, pixels.
 */
export function spreadDoubt(uncertainty_px: readonly number[], landmarks: Float32Array): number {
  return roundTo(100 * mean(uncertainty_px) / boxDiagonal(landmarks), 2);
}

function isOf({ style, found }: ReviewedPair, record: DatasetRecord): boolean {
  return style === record.style && found.length === record.landmarks.length;
}

function reviewOf({ doubt, alignment_nme, verdict, found }: ReviewedPair): PairReview {
  const pairs = Array.from({ length: found.length / 2 }, (_, p) => [found[2 * p]!, found[2 * p + 1]!] as const);
  return { doubt, alignment_nme, verdict, found: pairs };
}

function parse(text: string, path: string): ReviewedPair[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new InputError(`Cannot read ${path}: ${(error as Error).message}`, { code: "format" });
  }
  const parsed = review.safeParse(json), issue = parsed.error?.issues[0];
  if (!parsed.success) {
    throw new InputError(`Cannot read ${path}: ${issue?.path.join(".") || "the file"}: ${issue?.message}`, {
      code: "format",
      hint: "run the review again",
    });
  }
  return parsed.data.pairs;
}
