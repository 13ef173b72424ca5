/**
 * Measures of landmark detectors: NME with its normaliser, FR and AUC at a threshold, CED curves, bootstrap intervals, mean
 * offsets.
 *
 * Errors are in percent of the normaliser everywhere, AUC is from 0 to 1.
 *
 * @module
 */
import { InputError } from "../formats/input_error.ts";
import type { RandomSource } from "../engine/rng.ts";
import { itemAt } from "../engine/lookup.ts";
import { pointAt } from "./geometry.ts";
import { boxDiagonal, interocular, interpupil, meanPoint } from "./landmarks.ts";
import type { LandmarkSchema } from "./schema.ts";
import { mean } from "./statistics.ts";

/** Lengths that errors are divided by: outer eye corners, centres of the eyes, diagonal of the landmarks' box. */
export const NORMALISERS = ["interocular", "interpupil", "box_diagonal"] as const;

/** One of {@linkcode NORMALISERS}. */
export type Normaliser = typeof NORMALISERS[number];

/** Part of a schema that errors of landmarks depend on. */
export type Measured = Pick<LandmarkSchema, "count" | "normalisers">;

const LENGTHS: Readonly<Record<Normaliser, (landmarks: ArrayLike<number>, schema: Measured) => number>> = {
  interocular,
  interpupil,
  box_diagonal: boxDiagonal,
};

/**
 * The normalised mean error of each image.
 *
 * `nme = 100 mean_p |predicted_p - truth_p| / d(truth)`
 *
 * @param predicted `[n, P, 2]`, in any unit of length.
 * @param truth The same, annotated.
 * @param schema Schema of both.
 * @param options `normaliser` is d, by default "interocular"; `points` are the landmarks of the mean, by default all.
 * @returns `[n]`, percent.
 * @throws {InputError} If the sizes differ, a number is not finite or a normaliser is 0, naming the image.
 *
 * Source: ZhenglinZhou/STAR, lib/metric/nme.py.
 */
export function nmePerImage(
  predicted: ArrayLike<number>,
  truth: ArrayLike<number>,
  schema: Measured,
  options: { normaliser?: Normaliser; points?: readonly number[] } = {},
): Float64Array {
  const { normaliser = "interocular", points } = options;
  const stride = 2 * schema.count;
  if (predicted.length !== truth.length || truth.length % stride !== 0) {
    throw new InputError(
      `Cannot compare ${predicted.length} numbers with ${truth.length}: both must be [n, ${schema.count}, 2]`,
    );
  }
  const annotated = Float64Array.from(truth);
  const chosen = points ?? Array.from({ length: schema.count }, (_, i) => i);
  return Float64Array.from({ length: truth.length / stride }, (_, image) => {
    const face = annotated.subarray(image * stride, (image + 1) * stride);
    const unit = LENGTHS[normaliser](face, schema);
    let sum = 0;
    for (const point of chosen) {
      const [x0, y0] = pointAt(predicted, image * schema.count + point), [x1, y1] = pointAt(face, point);
      sum += Math.hypot(x0 - x1, y0 - y1);
    }
    const nme = 100 * sum / chosen.length / unit;
    if (!Number.isFinite(nme)) {
      throw new InputError(`Cannot measure image ${image}: ${normaliser} is ${unit}, the summed distance is ${sum}`);
    }
    return nme;
  });
}

/** FR and AUC at one threshold. */
export interface FailureRate {
  /** Share of the images whose error is above the threshold, percent. */
  fr: number;
  /** Area under the cumulative error curve from 0 to the threshold, divided by the threshold; 1 is perfect. */
  auc: number;
}

/**
 * Failure rate and area under the curve, as STAR and the 300-W toolkits count them.
 *
 * The curve is sampled at `arange(0, threshold + 0.0001, 0.0001)` of the fraction and integrated by Simpson's rule; its
 * last sample gives FR. In double arithmetic the range may have one sample more than meant: at 5 % it ends at 5.01 %.
 *
 * @param nme `[n]`, percent.
 * @param threshold Percent; by default 10.
 * @returns FR and AUC.
 * @throws {InputError} If there is no image or the threshold is not above 0.
 *
 * Source: ZhenglinZhou/STAR, lib/metric/fr_and_auc.py, and scipy.integrate.simps of SciPy 1.10 (`even="avg"`).
 */
export function failureRate(nme: ArrayLike<number>, threshold = 10): FailureRate {
  if (nme.length === 0 || !(threshold > 0)) {
    throw new InputError(`Cannot count failures of ${nme.length} images at ${threshold} %: neither may be 0`);
  }
  const STEP = 0.0001, limit = threshold / 100;
  const sorted = Float64Array.from(nme).sort();
  const count = Math.ceil((limit + STEP) / STEP);
  let below = 0;
  const share = Float64Array.from({ length: count }, (_, i) => {
    while ((sorted[below] ?? Infinity) / 100 <= i * STEP) below++;
    return below / sorted.length;
  });
  return { fr: 100 * (1 - below / sorted.length), auc: simpson(share, STEP) / limit };
}

/** Simpson's rule on evenly spaced samples; an odd interval is done by the trapezoid rule, at the end and at the start. */
function simpson(samples: Float64Array, step: number): number {
  const n = samples.length;
  const even = (first: number, last: number) => {
    let sum = 0;
    for (let i = first; i < last; i += 2) sum += samples[i]! + 4 * samples[i + 1]! + samples[i + 2]!;
    return sum * step / 3;
  };
  const trapezoid = (i: number) => (samples[i]! + samples[i + 1]!) * step / 2;
  if (n % 2 === 1) return even(0, n - 1);
  return (even(0, n - 2) + trapezoid(n - 2) + trapezoid(0) + even(1, n - 1)) / 2;
}

/**
 * The cumulative error distribution: which share of the images has at most which error.
 *
 * @param nme `[n]`, percent.
 * @param max Largest error of the curve, percent.
 * @param count Samples.
 * @returns Errors in percent and shares from 0 to 1.
 */
export function cedCurve(nme: ArrayLike<number>, max = 10, count = 101): { error: number[]; share: number[] } {
  const values = Array.from(nme);
  const error = Array.from({ length: count }, (_, i) => max * i / (count - 1));
  return { error, share: error.map((limit) => values.filter((value) => value <= limit).length / values.length) };
}

/**
 * A 95 % interval of the mean by the percentile bootstrap, drawing whole groups.
 *
 * @param values `[n]`.
 * @param groups `[n]`; values of one group are drawn together, as they are no independent evidence.
 * @param random Where the draws come from.
 * @param draws How many.
 * @returns Lower and upper end; null for values of one group, from which nothing follows about others.
 *
 * Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
 */
export function bootstrapMean(
  values: ArrayLike<number>,
  groups: readonly string[],
  random: Pick<RandomSource, "int">,
  draws = 1000,
): [number, number] | null {
  const totals = new Map<string, { sum: number; count: number }>();
  groups.forEach((group, i) => {
    const { sum, count } = totals.get(group) ?? { sum: 0, count: 0 };
    totals.set(group, { sum: sum + values[i]!, count: count + 1 });
  });
  const list = [...totals.values()];
  if (list.length < 2) return null;
  const means = Array.from({ length: draws }, () => {
    let sum = 0, count = 0;
    for (let i = 0; i < list.length; i++) {
      const drawn = itemAt(list, random.int(list.length), "the groups");
      sum += drawn.sum;
      count += drawn.count;
    }
    return sum / count;
  }).sort((a, b) => a - b);
  const at = (quantile: number) => itemAt(means, Math.min(draws - 1, Math.floor(quantile * draws)), "the means");
  return [at(0.025), at(0.975)];
}

/** Signed errors of each landmark in the face's own frame. */
export interface Offsets {
  /**
   * `[P, 2]`, percent of the distance between the outer eye corners: the mean of found minus true landmarks, x along the
   * line from the left to the right outer corner of the image, y at a right angle to it, down in an upright face.
   */
  mean: Float64Array;
  /** The same of each image, `[n, P, 2]`. */
  per_image: Float64Array;
  /** `[P, 2]`, the mean of the true landmarks in the same frame, from the middle of the outer eye corners. */
  shape: Float64Array;
}

/**
 * The mean offset of each landmark: an error of definition, where a detector puts a landmark elsewhere than the annotators.
 *
 * @param predicted `[n, P, 2]`, in any unit of length.
 * @param truth The same, annotated.
 * @param schema Schema of both.
 * @returns The offsets.
 */
export function meanOffsets(
  predicted: ArrayLike<number>,
  truth: ArrayLike<number>,
  { count, normalisers: { interocular: { left, right } } }: Measured,
): Offsets {
  const stride = 2 * count, images = truth.length / stride;
  const annotated = Float64Array.from(truth);
  const per_image = new Float64Array(truth.length), mean = new Float64Array(stride), shape = new Float64Array(stride);
  for (let image = 0; image < images; image++) {
    const face = annotated.subarray(image * stride, (image + 1) * stride);
    const [x0, y0] = meanPoint(face, left), [x1, y1] = meanPoint(face, right);
    const length2 = (x1 - x0) ** 2 + (y1 - y0) ** 2;
    // 100 / the distance, times the unit vector along the eyes
    const along = 100 * (x1 - x0) / length2, down = 100 * (y1 - y0) / length2;
    for (let point = 0; point < count; point++) {
      const at = image * stride + 2 * point;
      const dx = predicted[at]! - annotated[at]!, dy = predicted[at + 1]! - annotated[at + 1]!;
      per_image[at] = dx * along + dy * down;
      per_image[at + 1] = dy * along - dx * down;
      const x = annotated[at]! - (x0 + x1) / 2, y = annotated[at + 1]! - (y0 + y1) / 2;
      shape[2 * point]! += (x * along + y * down) / images;
      shape[2 * point + 1]! += (y * along - x * down) / images;
    }
    for (let k = 0; k < stride; k++) mean[k]! += per_image[image * stride + k]! / images;
  }
  return { mean, per_image, shape };
}

/**
 * The NME by the outer eye corners that is left when each landmark's mean offset is taken off: the error that is no
 * difference of definition. The offsets taken off an image are those of the images of other groups.
 *
 * @param offsets Of all images.
 * @param groups `[n]`.
 * @returns Percent; null if there is one group only.
 */
export function nmeWithoutOffsets(
  { mean, per_image }: Pick<Offsets, "mean" | "per_image">,
  groups: readonly string[],
): number | null {
  const stride = mean.length, images = groups.length;
  const members = [...Map.groupBy(groups.keys(), (image) => groups[image]!).values()];
  if (members.length < 2) return null;
  let sum = 0;
  for (const own of members) {
    const others = mean.map((value, k) =>
      (value * images - own.reduce((total, image) => total + per_image[image * stride + k]!, 0)) / (images - own.length)
    );
    for (const image of own) {
      for (let k = 0; k < stride; k += 2) {
        const at = image * stride + k;
        sum += Math.hypot(per_image[at]! - others[k]!, per_image[at + 1]! - others[k + 1]!);
      }
    }
  }
  return 2 * sum / (stride * images);
}

/** FR and AUC with their threshold. */
export interface Failures extends FailureRate {
  /** Percent. */
  threshold: number;
}

/** The measures of a set of images. */
export interface Measures {
  /** Images. */
  count: number;
  /** Mean over the images, percent. */
  nme: number;
  /** 95 % bootstrap interval of `nme` over the groups, percent; null for images of one group. */
  nme_interval: [number, number] | null;
  /** FR and AUC at each threshold, in the order of the options. */
  failures: Failures[];
  /** Mean error of the landmarks of each region, percent. */
  regions: Record<string, number>;
}

/** Options of a measurement. */
export interface EvaluateOptions {
  /** `[n]`: measured apart; by default all are one style. */
  styles?: readonly string[];
  /** `[n]`: images of one group are no independent evidence; by default each image is a group. */
  groups?: readonly string[];
  /** "interocular" unless given. */
  normaliser?: Normaliser;
  /** Thresholds of FR and AUC, percent; by default only 10. */
  thresholds?: readonly number[];
}

/** Mean error of the images of one group. */
export interface GroupMeasures {
  /** Images. */
  count: number;
  /** Mean over the images, percent. */
  nme: number;
}

/** Measures of all images, of each style and of each group. */
export interface Evaluation {
  /** Length that errors were divided by. */
  normaliser: Normaliser;
  /** All images. */
  all: Measures;
  /** Each style, in the order of the names. */
  styles: Record<string, Measures>;
  /** Each group, in the order of the names. */
  groups: Record<string, GroupMeasures>;
  /** Mean offset of each landmark, and the mean of the true ones, `[P, 2]`, see {@linkcode Offsets}. */
  offsets: { mean: number[]; shape: number[] };
  /** See {@linkcode nmeWithoutOffsets}. */
  nme_without_offsets: number | null;
  /** `[n]`, percent. */
  per_image: number[];
}

/**
 * Measures detections in every way the tables need.
 *
 * @param predicted `[n, P, 2]`.
 * @param truth The same, annotated.
 * @param schema Schema of both.
 * @param random Where the bootstrap's draws come from.
 * @param options See {@linkcode EvaluateOptions}.
 * @returns All measures.
 * @throws As {@linkcode nmePerImage}.
 */
export function evaluate(
  predicted: ArrayLike<number>,
  truth: ArrayLike<number>,
  schema: LandmarkSchema,
  random: Pick<RandomSource, "int">,
  options: EvaluateOptions = {},
): Evaluation {
  const { normaliser = "interocular", thresholds = [10] } = options;
  const nme = nmePerImage(predicted, truth, schema, { normaliser });
  const styles = options.styles ?? Array<string>(nme.length).fill("all");
  const groups = options.groups ?? Array.from(nme, (_, i) => String(i));
  const regional = Object.entries(schema.regions).map(([region, points]) =>
    [region, nmePerImage(predicted, truth, schema, { normaliser, points })] as const
  );
  const measure = (isChosen: (image: number) => boolean): Measures => {
    const errors = nme.filter((_, i) => isChosen(i));
    return {
      count: errors.length,
      nme: mean(errors),
      failures: thresholds.map((threshold) => ({ threshold, ...failureRate(errors, threshold) })),
      nme_interval: bootstrapMean(errors, groups.filter((_, i) => isChosen(i)), random),
      regions: Object.fromEntries(
        regional.map(([region, values]) => [region, mean(values.filter((_, i) => isChosen(i)))]),
      ),
    };
  };
  const offsets = meanOffsets(predicted, truth, schema);
  return {
    normaliser,
    all: measure(() => true),
    styles: Object.fromEntries(
      [...new Set(styles)].sort().map((style) => [style, measure((i) => styles[i] === style)]),
    ),
    groups: Object.fromEntries(
      [...Map.groupBy(nme.keys(), (i) => itemAt(groups, i, "groups"))].sort(([a], [b]) => a < b ? -1 : 1)
        .map(([group, own]) => [group, { count: own.length, nme: mean(own.map((i) => nme[i]!)) }]),
    ),
    offsets: { mean: [...offsets.mean], shape: [...offsets.shape] },
    nme_without_offsets: nmeWithoutOffsets(offsets, groups),
    per_image: [...nme],
  };
}
