/**
 * Evidence of a landmark detector's look at a crop beside its landmarks, for scores that are fitted to it.
 *
 * @module
 */

import { itemAt } from "../../engine/lookup.ts";
import { mean } from "../../faces/statistics.ts";

/** Results of a detector in a crop. */
export interface Evidence {
  /** Doubt, parts of the crop's side, see `Face.doubt`. */
  readonly doubt: number;
  /** See `Face.features`. */
  readonly features?: ArrayLike<number> | undefined;
}

/** Doubts nearer to 0 count as this. */
export const LEAST_DOUBT = 1e-4;
/** A feature of a smaller variance never changes. */
const LEAST_VARIANCE = 1e-12;

/** Logarithms of the doubt and of 1 and each feature. */
export function evidenceValues({ doubt, features = [] }: Evidence): number[] {
  return [Math.log(Math.max(LEAST_DOUBT, doubt)), ...Array.from(features, Math.log1p)];
}

/**
 * Mean of the evidence of several looks at a place: of the logarithms of the doubt and of 1 and each feature, so that
 * {@linkcode evidenceValues} of it are the means of those of the looks.
 *
 * @param looks At least one; all with features, or none.
 */
export function meanEvidence(looks: readonly Evidence[]): { doubt: number; features?: Float32Array } {
  const values = looks.map(evidenceValues),
    [doubt = 0, ...features] = itemAt(values, 0, "looks").map((_, k) =>
      mean(values.map((of) => itemAt(of, k, "values of the detector")))
    );
  return { doubt: Math.exp(doubt), ...features.length > 0 && { features: Float32Array.from(features, Math.expm1) } };
}

/**
 * Sum of values by factors.
 *
 * @throws {RangeError} If a value is missing: the factors are those of a detector with more features.
 */
export const weigh = (factors: readonly number[], values: readonly number[]): number =>
  factors.reduce((sum, factor, k) => sum + factor * itemAt(values, k, "values of the detector"), 0);

/**
 * Penalties of weights, for `fitLogistic` and `fitChoice`: none of the first `own`, and those of features by their variance,
 * so that all of them are held down alike.
 *
 * @param rows Values that the weights are of, `[n][own + features]`.
 * @param own Number of values before the features.
 * @param penalty That of a feature of variance 1.
 * @returns `[own + features]`.
 */
export function featurePenalties(rows: readonly (readonly number[])[], own: number, penalty: number): number[] {
  return Array.from({ length: rows[0]?.length ?? own }, (_, k) => {
    if (k < own) return 0;
    const values = rows.map((row) => itemAt(row, k, "features")), middle = mean(values);
    const variance = mean(values.map((value) => (value - middle) ** 2));
    return penalty * (variance > LEAST_VARIANCE ? variance : 1);
  });
}
