/**
 * Choice of the way a face is turned, by a landmark detector's looks at its crop turned by quarters: where the crop is upright the
 * landmarks are found with the least doubt, and the features are those of upright faces.
 *
 * @module
 */

import { type Evidence, evidenceValues, featurePenalties, weigh } from "./evidence.ts";
import { fitChoice } from "./logistic.ts";

/** Weights of the logit of a turn. */
export interface TurnWeights {
  /** Factor of the finder's sureness of its angle, at most 1, of the turn at that angle. */
  sure: number;
  /** Factor of the natural logarithm of the detector's doubt; below 0 where the turn of the least doubt is the likeliest. */
  doubt: number;
  /** Factors of the logarithms of 1 and each feature of the detector; by default there are none. */
  features?: readonly number[] | undefined;
}

/** A look at a turned crop. */
export interface TurnEvidence extends Evidence {
  /** Sureness of the finder's angle, see `FoundFace.angle_sure`; 0 at other turns than that angle. */
  readonly sure: number;
}

/** A face that was looked at in several turns. */
export interface TurnOutcome {
  /** Looks. */
  readonly turns: readonly TurnEvidence[];
  /** Index of the turn in which the face is nearest to upright. */
  readonly upright: number;
}

/**
 * The choice without features: the turn of the least doubt, and the finder's, the surer it is. A fit to rendered scenes
 * alone gives the sureness up to 0.3 of the doubt's factor, with the same share of faces upright; finders are surer of wrong
 * angles in paintings and photographs.
 */
export const BY_DOUBT: TurnWeights = { sure: 0.15, doubt: -1 };

/** Values before the features; weight of the squares of the features' factors, see `calibratePair()`. */
const OWN_VALUES = 1, FEATURE_PENALTY = 60;

const valuesOf = ({ sure, ...evidence }: TurnEvidence): number[] => [Math.min(1, sure), ...evidenceValues(evidence)];

/** Logit of a turn, to be compared with those of others: the greatest is the likeliest. */
export function turnScore({ sure, doubt, features = [] }: TurnWeights, evidence: TurnEvidence): number {
  return weigh([sure, doubt, ...features], valuesOf(evidence));
}

/**
 * Finds the weights of the greatest likelihood; see {@linkcode fitChoice}. Sureness and doubt are weighed against each other
 * as by {@linkcode BY_DOUBT}, and large factors of features are held down.
 *
 * @param outcomes All with features, or none.
 */
export function calibrateTurn(outcomes: readonly TurnOutcome[]): TurnWeights {
  const cases = outcomes.map(({ turns }) =>
    turns.map((one) => [turnScore(BY_DOUBT, one), ...evidenceValues(one).slice(1)])
  );
  const penalties = featurePenalties(cases.flat(), OWN_VALUES, FEATURE_PENALTY);
  const [factor = 0, ...features] = fitChoice(
    cases,
    outcomes.map(({ upright }) => upright),
    penalties.map((_, k) => k === 0 ? 1 : 0),
    penalties,
  );
  const { sure, doubt } = BY_DOUBT;
  return { sure: factor * sure, doubt: factor * doubt, ...(features.length > 0 && { features }) };
}
