/**
 * The pairs that a generation makes: each is a function of the seed and its index alone.
 *
 * @module
 */
import type { Dataset, NewRecord } from "../../faces/data/dataset.ts";
import { type Image, mirrorImages } from "../../faces/data/image.ts";
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
  /** Image of the face that pair `index` is made from, mirrored if that is; null unless images begin with one. */
  imageOf(index: number): Promise<Image | null>;
  /** The other style of pair `index` and its share; undefined unless it is a mixture. */
  mixtureOf(index: number): Mixture | undefined;
}

/** The second style of a pair. */
export interface Mixture {
  /** Never the pair's own. */
  readonly style: Style;
  /** Its share in the embedding of the prompt, 0 to 1; that of the pair's own style is the rest. */
  readonly share: number;
  /** Prompt with both styles in words, in place of a mixture of embeddings. */
  readonly words?: string;
}

/** Style of the pairs that are mixtures. */
export const MIXED = "mixed";

/** Options of {@linkcode planPairs}. */
export interface PairOptions {
  readonly per_style: number;
  readonly mirror: boolean;
  readonly edits: { readonly pick: number };
  readonly mixture?: MixtureOptions | undefined;
  readonly same_landmarks?: boolean | undefined;
  readonly strength?: number | undefined;
}

/** Options of mixtures. */
export interface MixtureOptions {
  /** Share of the pairs. */
  readonly fraction: number;
  /** Least and largest share of the second style. */
  readonly share: readonly [number, number];
  readonly by: "embedding" | "words";
}

/** Plans the pairs of a seed. */
export function planPairs(
  seed: number,
  source: Dataset,
  styles: readonly Style[],
  edits: readonly Edit[],
  { per_style, mirror, edits: { pick }, mixture, same_landmarks = false, strength }: PairOptions,
): Pairs {
  const { records, schema, size_px } = source;
  const total = styles.length * per_style;
  const styleOf = (index: number) => itemAt(styles, index % styles.length, "styles");
  const mixtureOf = (index: number): Mixture | undefined => {
    if (!mixture || styles.length < 2) return undefined;
    // A stream of its own, so that the landmarks are the same with and without mixtures.
    const random = new Random(seed, "dataset/generate.mixture").at(index);
    if (random.uniform() >= mixture.fraction) return undefined;
    const other = (index % styles.length + 1 + random.int(styles.length - 1)) % styles.length;
    const style = itemAt(styles, other, "styles"), [least, most] = mixture.share;
    const share = least + (most - least) * random.uniform();
    if (mixture.by === "embedding") return { style, share };
    const own = styleOf(index);
    return { style, share, words: stylePrompt({ prompt: own.prompt, style: `${own.style}, ${style.style}` }) };
  };
  const faceOf = (index: number) => same_landmarks ? Math.floor(index / styles.length) : index;
  const draw = (index: number) => {
    const random = new Random(seed, "dataset/generate.landmarks").at(faceOf(index));
    const face = random.int(records.length);
    return { random, face, mirrored: random.uniform() < 0.5 && mirror };
  };
  return {
    total,
    all: Array.from({ length: total }, (_, index) => index),
    styles,
    schema,
    size_px,
    styleOf,
    mixtureOf,
    async imageOf(index) {
      if (strength === undefined) return null;
      const { face, mirrored } = draw(index);
      const { image } = await source.load(face);
      return mirrored ? { ...image, data: mirrorImages(image.data, size_px) } : image;
    },
    pair(index) {
      const { random, face, mirrored } = draw(index);
      const style = styleOf(index), mixture = mixtureOf(index);
      const record = itemAt(records, face, "records");
      const start = mirrored ? mirrorLandmarks(record.landmarks, schema, size_px) : record.landmarks;
      const edited = applyEdits(start, schema, edits, { pick, size_px }, random);
      return {
        style: mixture ? MIXED : style.style,
        group: `pair-${faceOf(index)}`,
        landmarks: edited.landmarks,
        prompt: mixture ? mixture.words ?? mixedPrompt(style, mixture) : stylePrompt(style),
        source: `${record.file_name}${mirrored ? ", mirrored" : ""}`,
        edits: edited.applied,
      };
    },
  };
}

/** `0.60 a portrait of ink style + 0.40 a portrait of anime style`: the prompt of a mixture of embeddings, for people. */
function mixedPrompt(own: Style, { style, share }: Mixture): string {
  return `${(1 - share).toFixed(2)} ${stylePrompt(own)} + ${share.toFixed(2)} ${stylePrompt(style)}`;
}
