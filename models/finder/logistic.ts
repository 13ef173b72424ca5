/**
 * Logistic regression.
 *
 * @module
 */

import { solve } from "../../faces/solve.ts";

/** Steps of Newton's method at most, the length of a last one, and what keeps its matrix regular. */
const STEPS = 50, SETTLED = 1e-8, RIDGE = 1e-9;

/** Logit of a probability above 0 and below 1; the inverse of {@linkcode logistic}. */
export const logitOf = (probability: number): number => Math.log(probability / (1 - probability));

/** Probability of a logit. */
export const logistic = (logit: number): number => 1 / (1 + Math.exp(-logit));

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
  const sumOf = (x: readonly number[], weights: readonly number[]) => x.reduce((sum, v, i) => sum + v * weights[i]!, 0);
  const penaltyOf = (i: number) => penalties[i] ?? 0;
  const lossOf = (weights: readonly number[]) =>
    cases.reduce((sum, x, k) => {
      const z = sumOf(x, weights);
      // log(1 + exp(z)) - target z
      return sum + Math.max(0, z) + Math.log1p(Math.exp(-Math.abs(z))) - targets[k]! * z;
    }, weights.reduce((sum, weight, i) => sum + penaltyOf(i) * weight * weight / 2, 0));
  let weights = [...start, 0];
  for (let step = 0; step < STEPS; step++) {
    const gradient = weights.map((weight, i) => penaltyOf(i) * weight);
    const hessian = weights.map((_, i) => weights.map((_, j) => i === j ? RIDGE + penaltyOf(i) : 0));
    for (const [k, x] of cases.entries()) {
      const p = 1 / (1 + Math.exp(-sumOf(x, weights)));
      for (const [i, row] of hessian.entries()) {
        gradient[i]! += (p - targets[k]!) * x[i]!;
        for (let j = 0; j < row.length; j++) row[j]! += p * (1 - p) * x[i]! * x[j]!;
      }
    }
    const move = solve(hessian, gradient), before = lossOf(weights);
    const moved = (size: number) => weights.map((weight, i) => weight - size * move[i]!);
    let size = 1;
    while (size > 1e-6 && lossOf(moved(size)) > before) size /= 2;
    weights = moved(size);
    if (size * Math.hypot(...move) < SETTLED) break;
  }
  return weights;
}
