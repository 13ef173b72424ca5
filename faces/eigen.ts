/**
 * Eigenvalues of symmetric matrices, in f64.
 *
 * @module
 */

/** Eigenvalues and eigenvectors of a symmetric matrix. */
export interface Eigen {
  /** Eigenvalues, `[n]`, in no order. */
  readonly values: Float64Array;
  /** Eigenvectors of length 1, one a row, in the order of the values: `[n, n]`. */
  readonly vectors: Float64Array;
}

/** Sweeps over all pairs at most; Jacobi's method converges quadratically, in six to ten. */
const SWEEPS = 50;

/**
 * Decomposes a symmetric matrix by Jacobi's method.
 *
 * @param matrix `[n, n]`, row by row; only finite numbers.
 *
 * Source: Golub & Van Loan 2013, Matrix Computations, 4th edition, section 8.5 (cyclic by row).
 */
export function symmetricEigen(matrix: Float64Array, n: number): Eigen {
  const a = matrix.slice(), vectors = new Float64Array(n * n);
  for (let i = 0; i < n; i++) vectors[i * n + i] = 1;
  const size = a.reduce((sum, v) => sum + v * v, 0);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let off = 0;
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) off += a[p * n + q]! ** 2;
    if (off <= 1e-30 * size) break;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const apq = a[p * n + q]!;
        if (apq === 0) continue;
        const theta = (a[q * n + q]! - a[p * n + p]!) / (2 * apq);
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(1, theta));
        const c = 1 / Math.hypot(1, t), s = t * c;
        // Columns, then rows: J^T A J. Rows of the vectors turn as rows of A do.
        for (let k = 0, i = 0; k < n; k++, i += n) {
          const [x, y] = [a[i + p]!, a[i + q]!];
          a[i + p] = c * x - s * y;
          a[i + q] = s * x + c * y;
        }
        turnRows(a, n, p, q, c, s);
        turnRows(vectors, n, p, q, c, s);
      }
    }
  }
  return { values: Float64Array.from({ length: n }, (_, i) => a[i * n + i]!), vectors };
}

function turnRows(rows: Float64Array, n: number, p: number, q: number, c: number, s: number): void {
  for (let k = 0, i = p * n, j = q * n; k < n; k++, i++, j++) {
    const [x, y] = [rows[i]!, rows[j]!];
    rows[i] = c * x - s * y;
    rows[j] = s * x + c * y;
  }
}

/**
 * Square root of a symmetric matrix that is positive semidefinite: `V^T sqrt(values) V`.
 *
 * @param matrix `[n, n]`; eigenvalues below zero, which rounding leaves, count as zero.
 * @returns `[n, n]`, symmetric.
 */
export function matrixSquareRoot(matrix: Float64Array, n: number): Float64Array {
  const { values, vectors } = symmetricEigen(matrix, n);
  const root = new Float64Array(n * n);
  values.forEach((value, k) => {
    const factor = Math.sqrt(Math.max(0, value));
    if (factor === 0) return;
    for (let i = 0; i < n; i++) {
      const scaled = factor * vectors[k * n + i]!;
      for (let j = 0; j < n; j++) root[i * n + j]! += scaled * vectors[k * n + j]!;
    }
  });
  return root;
}
