/**
 * The pairs that a generation makes: each is a function of the seed and its index alone.
 *
 * @module
 */
import type { Dataset, NewRecord } from "../../faces/data/dataset.ts";
import { applyEdits, type Edit } from "../../faces/edits.ts";
import { mirrorLandmarks } from "../../faces/landmarks.ts";
import { type Style, stylePrompt } from "../../faces/render/styles.ts";
import type { LandmarkSchema } from "../../faces/schema.ts";
import { itemAt } from "../../engine/lookup.ts";
import { Random } from "../../engine/rng.ts";

/** Pairs to make, styles in turn. */
export interface Pairs {
  /** Number of pairs. */
  readonly total: number;
  /** Indices of all pairs. */
  readonly all: readonly number[];
  /** Styles; pair `index` is of style `index % styles.length`. */
  readonly styles: readonly Style[];
  /** Schema of the landmarks. */
  readonly schema: LandmarkSchema;
  /** Side of the images, pixels. */
  readonly size_px: number;
  /** Pair `index`: a face at random, mirrored or not, edited. */
  pair(index: number): NewRecord;
  /** Style of pair `index`. */
  styleOf(index: number): Style;
}

/** Options of {@linkcode planPairs}. */
export interface PairOptions {
  readonly per_style: number;
  readonly mirror: boolean;
  readonly edits: { readonly pick: number };
}

/** Plans the pairs of a seed. */
export function planPairs(
  seed: number,
  source: Dataset,
  styles: readonly Style[],
  edits: readonly Edit[],
  { per_style, mirror, edits: { pick } }: PairOptions,
): Pairs {
  const { records, schema, size_px } = source;
  const total = styles.length * per_style;
  const styleOf = (index: number) => itemAt(styles, index % styles.length, "styles");
  return {
    total,
    all: Array.from({ length: total }, (_, index) => index),
    styles,
    schema,
    size_px,
    styleOf,
    pair(index) {
      const random = new Random(seed, "dataset/generate.landmarks").at(index);
      const style = styleOf(index);
      const record = itemAt(records, random.int(records.length), "records");
      const mirrored = random.uniform() < 0.5 && mirror;
      const start = mirrored ? mirrorLandmarks(record.landmarks, schema, size_px) : record.landmarks;
      const edited = applyEdits(start, schema, edits, { pick, size_px }, random);
      return {
        style: style.style,
        group: `pair-${index}`,
        landmarks: edited.landmarks,
        prompt: stylePrompt(style),
        source: `${record.file_name}${mirrored ? ", mirrored" : ""}`,
        edits: edited.applied,
      };
    },
  };
}
