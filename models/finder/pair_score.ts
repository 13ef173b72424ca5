/**
 * Scores of faces by a finder and a landmark detector together: a thing that the finder takes for a face is none where the
 * detector finds its landmarks with doubt, or where its features are not those of faces.
 *
 * @module
 */

import { itemAt } from "../../engine/lookup.ts";
import { mean } from "../../faces/statistics.ts";
import { fitLogistic, logistic, logitOf } from "./logistic.ts";

/** Calibration of the scores of a finder and one detector. */
export interface PairCalibration {
  /** Fingerprint of the detector, see `fingerprint()`: with others the finder's own scores stay. */
  detector: string;
  /** Factor of the logit of the finder's score. */
  slope: number;
  /** Factor of the natural logarithm of the detector's doubt, see `Face.doubt`; below 0 where doubt speaks against a face. */
  doubt: number;
  /** Factors of the logarithms of 1 and each feature of the detector, see `Face.features`; by default there are none. */
  features?: readonly number[] | undefined;
  /** Number added to them. */
  shift: number;
  /** Least score of the finder from which the detector looks at a place. */
  least_score: number;
}

/** Results of the detector that the score is by. */
export interface PairEvidence {
  /** Doubt, parts of the crop's side, see `Face.doubt`. */
  readonly doubt: number;
  /** See `Face.features`. */
  readonly features?: Float32Array | undefined;
}

/** A face that was looked at. */
export interface PairOutcome extends PairEvidence {
  /** Score of the finder. */
  readonly score: number;
  /** True if it is a face. */
  readonly right: boolean;
}

/** Scores nearer to 0 or 1, and doubts nearer to 0, count as these. */
const LEAST_SCORE = 1e-3;
/** See {@linkcode LEAST_SCORE}. */
export const LEAST_DOUBT = 1e-4;
/** Values before the features, and the least deviation that a feature is divided by. */
const OWN_VALUES = 2, LEAST_DEVIATION = 1e-6;

function valuesOf(score: number, { doubt, features = new Float32Array(0) }: PairEvidence): number[] {
  const p = Math.max(LEAST_SCORE, Math.min(1 - LEAST_SCORE, score));
  return [logitOf(p), Math.log(Math.max(LEAST_DOUBT, doubt)), ...Array.from(features, Math.log1p)];
}

/** The fitted part of a calibration. */
type PairWeights = Pick<PairCalibration, "slope" | "doubt" | "features" | "shift">;

/**
 * Probability that something is a face.
 *
 * @param calibration Of the finder and the detector.
 * @param score The finder's.
 * @param evidence The detector's.
 */
export function pairScore(calibration: PairWeights, score: number, evidence: PairEvidence): number {
  const { slope, doubt, features = [], shift } = calibration, factors = [slope, doubt, ...features];
  const values = valuesOf(score, evidence);
  return logistic(
    factors.reduce((sum, factor, k) => sum + factor * itemAt(values, k, "values of the detector"), shift),
  );
}

/** Weight of the squares of the features' factors, where the features have a variance of 1; chosen on rendered scenes. */
const FEATURE_PENALTY = 60;

/**
 * Finds the calibration of the greatest likelihood; see {@linkcode fitLogistic}. Large factors of features are held down, as
 * there are hundreds of features.
 *
 * @param outcomes All with features, or none.
 */
export function calibratePair(outcomes: readonly PairOutcome[]): PairWeights {
  const rows = outcomes.map(({ score, ...evidence }) => valuesOf(score, evidence));
  const count = Math.max(0, (rows[0]?.length ?? 0) - OWN_VALUES);
  const features = Array.from({ length: count }, (_, k) => {
    const values = rows.map((row) => itemAt(row, OWN_VALUES + k, "features"));
    const middle = mean(values), variance = mean(values.map((value) => (value - middle) ** 2));
    return { middle, scale: 1 / Math.max(LEAST_DEVIATION, Math.sqrt(variance)) };
  });
  const scaled = rows.map((row) => [
    ...row.slice(0, OWN_VALUES),
    ...features.map(({ middle, scale }, k) => (itemAt(row, OWN_VALUES + k, "features") - middle) * scale),
  ]);
  const start = [1, 0, ...features.map(() => 0)];
  const penalties = [0, 0, ...features.map(() => FEATURE_PENALTY)];
  const weights = fitLogistic(scaled, outcomes.map(({ right }) => right), start, penalties);
  const [slope = 1, doubt = 0] = weights, shift = weights.at(-1) ?? 0;
  const factors = features.map(({ scale }, k) => itemAt(weights, OWN_VALUES + k, "weights") * scale);
  return {
    slope,
    doubt,
    ...(count > 0 && { features: factors }),
    shift: shift - factors.reduce((sum, factor, k) => sum + factor * features[k]!.middle, 0),
  };
}
