/**
 * Linear systems.
 *
 * @module
 */

/**
 * Solves a symmetric positive definite system by Cholesky's decomposition.
 *
 * @param matrix Rows of the matrix, `[n][n]`.
 * @param right The right side, `[n]`.
 * @returns `[n]`.
 */
export function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const n = right.length, L = matrix.map((row) => [...row]), x = [...right];
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let sum = L[i]![j]!;
      for (let k = 0; k < j; k++) sum -= L[i]![k]! * L[j]![k]!;
      L[i]![j] = i === j ? Math.sqrt(Math.max(sum, 1e-12)) : sum / L[j]![j]!;
    }
  }
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) x[i]! -= L[i]![k]! * x[k]!;
    x[i]! /= L[i]![i]!;
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) x[i]! -= L[k]![i]! * x[k]!;
    x[i]! /= L[i]![i]!;
  }
  return x;
}
