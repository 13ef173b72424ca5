/**
 * Logistic regression, of one probability and of choices.
 *
 * @module
 */

import { itemAt } from "../../engine/lookup.ts";
import { solve } from "../../faces/solve.ts";

/** Steps of Newton's method at most, the length of a last one, its least part, and what keeps its matrix regular. */
const STEPS = 50, SETTLED = 1e-8, LEAST_SIZE = 1e-6, RIDGE = 1e-9;

/** Logit of a probability above 0 and below 1; the inverse of {@linkcode logistic}. */
export const logitOf = (probability: number): number => Math.log(probability / (1 - probability));

/** Probability of a logit. */
export const logistic = (logit: number): number => 1 / (1 + Math.exp(-logit));

/** A loss with its derivatives by the weights. */
interface Loss {
  loss: number;
  readonly gradient: number[];
  readonly hessian: number[][];
}

/**
 * Finds the weights of the greatest likelihood of `1 / (1 + exp(-(w_1 x_1 + ... + w_n x_n + shift)))`.
 *
 * Both outcomes are counted as a little short of sure, so that the weights are finite where they are apart.
 *
 * Source: Platt 1999, "Probabilistic outputs for support vector machines", with Newton's method (Lin et al. 2007).
 *
 * @param rows The `x` of each case, `[cases][n]`.
 * @param outcomes True for each case that is right.
 * @param start Weights to begin with, `[n]`; they stay where there is no case.
 * @param penalties Half of each times the weight's square is added to the negative logarithm of the likelihood, `[n]`; by default 0.
 * @returns The weights, and the shift as the last one.
 */
export function fitLogistic(
  rows: readonly (readonly number[])[],
  outcomes: readonly boolean[],
  start: readonly number[],
  penalties: readonly number[] = [],
): number[] {
  const right = outcomes.filter(Boolean).length, wrong = outcomes.length - right;
  const targets = outcomes.map((is) => is ? (right + 1) / (right + 2) : 1 / (wrong + 2));
  const cases = rows.map((row) => [...row, 1]);
  return minimise([...start, 0], penalties, (weights, sums) => {
    for (const [k, x] of cases.entries()) {
      const z = dot(x, weights), p = logistic(z);
      // log(1 + exp(z)) - target z
      sums.loss += Math.max(0, z) + Math.log1p(Math.exp(-Math.abs(z))) - targets[k]! * z;
      addScaled(sums.gradient, x, p - targets[k]!);
      addSquare(sums.hessian, x, p * (1 - p));
    }
  });
}

/**
 * Finds the weights of the greatest likelihood of choices: the probability of each alternative is the softmax of
 * `w_1 x_1 + ... + w_n x_n` over those of its case.
 *
 * Source: McFadden 1974, "Conditional logit analysis of qualitative choice behavior", equation 12.
 *
 * @param cases The `x` of each alternative of each case, `[cases][alternatives][n]`.
 * @param chosen Index of the alternative that was right in each case.
 * @param start Weights to begin with, `[n]`; they stay where there is no case.
 * @param penalties As of {@linkcode fitLogistic}.
 * @returns The weights.
 */
export function fitChoice(
  cases: readonly (readonly (readonly number[])[])[],
  chosen: readonly number[],
  start: readonly number[],
  penalties: readonly number[] = [],
): number[] {
  return minimise([...start], penalties, (weights, sums) => {
    for (const [k, alternatives] of cases.entries()) {
      const right = itemAt(alternatives, chosen[k]!, "alternatives");
      const z = alternatives.map((x) => dot(x, weights)), highest = Math.max(...z);
      const parts = z.map((z) => Math.exp(z - highest)), total = parts.reduce((sum, part) => sum + part, 0);
      const middle = start.map(() => 0);
      for (const [i, x] of alternatives.entries()) {
        addScaled(middle, x, parts[i]! / total);
        addSquare(sums.hessian, x, parts[i]! / total);
      }
      sums.loss += highest + Math.log(total) - dot(right, weights);
      addScaled(sums.gradient, middle, 1);
      addScaled(sums.gradient, right, -1);
      addSquare(sums.hessian, middle, -1);
    }
  });
}

/** Sum of the products of two lists. */
const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

function addScaled(sums: number[], x: readonly number[], scale: number): void {
  for (let i = 0; i < sums.length; i++) sums[i]! += scale * x[i]!;
}

/** Adds the outer product of `x` with itself, on and below the diagonal. */
function addSquare(sums: readonly number[][], x: readonly number[], scale: number): void {
  for (const [i, row] of sums.entries()) {
    const factor = scale * x[i]!;
    for (let j = 0; j <= i; j++) row[j]! += factor * x[j]!;
  }
}

/**
 * Newton's method with halved steps.
 *
 * @param penalties See {@linkcode fitLogistic}.
 * @param add Adds the cases to the loss, to its gradient, and to its second derivatives on and below the diagonal.
 */
function minimise(
  start: number[],
  penalties: readonly number[],
  add: (weights: readonly number[], sums: Loss) => void,
): number[] {
  const at = (weights: readonly number[]): Loss => {
    const penalty = (i: number) => penalties[i] ?? 0;
    const sums: Loss = {
      loss: weights.reduce((sum, weight, i) => sum + penalty(i) * weight * weight / 2, 0),
      gradient: weights.map((weight, i) => penalty(i) * weight),
      hessian: weights.map((_, i) => weights.map((_, j) => i === j ? RIDGE + penalty(i) : 0)),
    };
    add(weights, sums);
    for (const [i, row] of sums.hessian.entries()) for (let j = 0; j < i; j++) sums.hessian[j]![i] = row[j]!;
    return sums;
  };
  let weights = start, now = at(weights);
  for (let step = 0; step < STEPS; step++) {
    const move = solve(now.hessian, now.gradient);
    const moved = (size: number) => weights.map((weight, i) => weight - size * move[i]!);
    let size = 1, next = at(moved(size));
    while (size > LEAST_SIZE && next.loss > now.loss) next = at(moved(size /= 2));
    [weights, now] = [moved(size), next];
    if (size * Math.hypot(...move) < SETTLED) break;
  }
  return weights;
}
