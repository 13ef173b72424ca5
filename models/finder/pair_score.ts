/**
 * Scores of faces by a finder and a landmark detector together: a thing that the finder takes for a face is none where the
 * detector finds its landmarks with doubt, or where its features are not those of faces.
 *
 * @module
 */

import { type Evidence, evidenceValues, featurePenalties, weigh } from "./evidence.ts";
import { fitLogistic, logistic, logitOf } from "./logistic.ts";
import type { TurnWeights } from "./turn_score.ts";

/** Values before the features. */
const OWN_VALUES = 2;

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
  /** Of the choice among four turns of a crop; without it the one of the least doubt is chosen. */
  turn?: TurnWeights | undefined;
}

/** A face that was looked at. */
export interface PairOutcome extends Evidence {
  /** Score of the finder. */
  readonly score: number;
  /** True if it is a face. */
  readonly right: boolean;
}

/** Scores nearer to 0 or 1 count as this far from them. */
const LEAST_SCORE = 1e-3;

function valuesOf(score: number, evidence: Evidence): number[] {
  return [logitOf(Math.max(LEAST_SCORE, Math.min(1 - LEAST_SCORE, score))), ...evidenceValues(evidence)];
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
export function pairScore(calibration: PairWeights, score: number, evidence: Evidence): number {
  const { slope, doubt, features = [], shift } = calibration;
  return logistic(shift + weigh([slope, doubt, ...features], valuesOf(score, evidence)));
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
  const penalties = featurePenalties(rows, OWN_VALUES, FEATURE_PENALTY),
    start = penalties.map((_, k) => k === 0 ? 1 : 0);
  const weights = fitLogistic(rows, outcomes.map(({ right }) => right), start, penalties);
  const [slope = 1, doubt = 0, ...features] = weights.slice(0, -1), shift = weights.at(-1) ?? 0;
  return { slope, doubt, ...(features.length > 0 && { features }), shift };
}
