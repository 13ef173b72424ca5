/**
 * Scores of faces by a finder and a landmark detector together: a thing that the finder takes for a face is none where the
 * detector finds its landmarks with doubt.
 *
 * @module
 */

import { fitLogistic } from "./logistic.ts";

/** Calibration of the scores of a finder and one detector. */
export interface PairCalibration {
  /** Fingerprint of the detector, see `fingerprint()`: with others the finder's own scores stay. */
  detector: string;
  /** Factor of the logit of the finder's score. */
  slope: number;
  /** Factor of the natural logarithm of the detector's doubt, see `Face.doubt`; below 0 where doubt speaks against a face. */
  doubt: number;
  /** Number added to them. */
  shift: number;
  /** Least score of the finder from which the detector looks at a place. */
  least_score: number;
}

/** A face that was looked at. */
export interface PairOutcome {
  /** Score of the finder. */
  readonly score: number;
  /** Doubt of the detector, parts of the crop's side. */
  readonly doubt: number;
  /** True if it is a face. */
  readonly right: boolean;
}

/** Scores nearer to 0 or 1, and doubts nearer to 0, count as these. */
const LEAST_SCORE = 1e-3, LEAST_DOUBT = 1e-4;

function featuresOf(score: number, doubt: number): [number, number] {
  const p = Math.max(LEAST_SCORE, Math.min(1 - LEAST_SCORE, score));
  return [Math.log(p / (1 - p)), Math.log(Math.max(LEAST_DOUBT, doubt))];
}

/**
 * Probability that something is a face.
 *
 * @param calibration Of the finder and the detector.
 * @param score The finder's.
 * @param doubt The detector's, parts of the crop's side.
 */
export function pairScore(
  calibration: Pick<PairCalibration, "slope" | "doubt" | "shift">,
  score: number,
  doubt: number,
): number {
  const [logit, log] = featuresOf(score, doubt);
  return 1 / (1 + Math.exp(-(calibration.slope * logit + calibration.doubt * log + calibration.shift)));
}

/** Finds the calibration of the greatest likelihood; see {@linkcode fitLogistic}. */
export function calibratePair(outcomes: readonly PairOutcome[]): Pick<PairCalibration, "slope" | "doubt" | "shift"> {
  const rows = outcomes.map(({ score, doubt }) => featuresOf(score, doubt));
  const [slope = 1, doubt = 0, shift = 0] = fitLogistic(rows, outcomes.map(({ right }) => right), [1, 0]);
  return { slope, doubt, shift };
}
