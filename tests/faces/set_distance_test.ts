import assert from "node:assert/strict";
import { matrixSquareRoot, symmetricEigen } from "../../faces/eigen.ts";
import { frechetDistance, type Gaussian, gaussianOf, kernelDistance, standardise } from "../../faces/set_distance.ts";
import { Random } from "../../engine/rng.ts";

const close = (got: number, want: number, within: number) =>
  assert.ok(Math.abs(got - want) <= within, `${got}, expected ${want}`);

/** `A A^T` of random numbers, `[n, n]`; of rank `rank`. */
function randomCovariance(n: number, rank: number, seed: number): Float64Array {
  const a = new Random(seed, "test").fillNormal(new Float32Array(n * rank));
  return Float64Array.from({ length: n * n }, (_, k) => {
    const [i, j] = [Math.floor(k / n), k % n];
    let sum = 0;
    for (let r = 0; r < rank; r++) sum += a[i * rank + r]! * a[j * rank + r]!;
    return sum;
  });
}

function times(a: Float64Array, b: Float64Array, n: number): Float64Array {
  return Float64Array.from({ length: n * n }, (_, k) => {
    let sum = 0;
    for (let r = 0; r < n; r++) sum += a[Math.floor(k / n) * n + r]! * b[r * n + k % n]!;
    return sum;
  });
}

Deno.test("symmetricEigen() finds known eigenvalues, and vectors that diagonalise", () => {
  // Eigenvalues of the second difference: 2 - 2 cos(k pi / (n + 1)).
  const n = 9;
  const second = Float64Array.from({ length: n * n }, (_, k) => [2, -1][Math.abs(Math.floor(k / n) - k % n)] ?? 0);
  const { values, vectors } = symmetricEigen(second, n);
  values.toSorted().forEach((value, k) => close(value, 2 - 2 * Math.cos((k + 1) * Math.PI / (n + 1)), 1e-12));
  for (let k = 0; k < n; k++) {
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (let j = 0; j < n; j++) sum += second[i * n + j]! * vectors[k * n + j]!;
      close(sum, values[k]! * vectors[k * n + i]!, 1e-12);
    }
  }
});

Deno.test("matrixSquareRoot() squared is the matrix, also of one without full rank", () => {
  for (const [n, rank] of [[1, 1], [7, 7], [24, 24], [24, 5]] as const) {
    const matrix = randomCovariance(n, rank, n);
    const root = matrixSquareRoot(matrix, n);
    const most = Math.max(...matrix.map(Math.abs));
    times(root, root, n).forEach((value, k) => close(value / most, matrix[k]! / most, 1e-12));
  }
});

Deno.test("frechetDistance() is that of known normal distributions", () => {
  const diagonal = (mean: number[], deviations: number[]): Gaussian => ({
    mean: Float64Array.from(mean),
    covariance: Float64Array.from(
      { length: mean.length ** 2 },
      (_, k) => k % (mean.length + 1) ? 0 : deviations[k / (mean.length + 1)]! ** 2,
    ),
  });
  // Of independent ones: the sum of (m1 - m2)^2 + (s1 - s2)^2.
  close(frechetDistance(diagonal([1, 2, 3], [1, 2, 0]), diagonal([0, 4, 3], [3, 2, 0.5])), 1 + 4 + 4 + 0.25, 1e-12);
  const n = 6;
  const [c1, c2] = [randomCovariance(n, n, 1), randomCovariance(n, n, 2)];
  const mean = new Float64Array(n);
  // Y converges to the root of C1 C2, which is not symmetric (Denman & Beavers 1976).
  let [y, z] = [times(c1, c2, n), Float64Array.from({ length: n * n }, (_, k) => k % (n + 1) ? 0 : 1)];
  const half = (a: Float64Array, b: Float64Array) => a.map((v, k) => (v + b[k]!) / 2);
  for (let k = 0; k < 20; k++) [y, z] = [half(y, inverse(z, n)), half(z, inverse(y, n))];
  const trace = (m: Float64Array) => Array.from({ length: n }, (_, i) => m[i * n + i]!).reduce((a, b) => a + b);
  close(
    frechetDistance({ mean, covariance: c1 }, { mean, covariance: c2 }),
    trace(c1) + trace(c2) - 2 * trace(y),
    1e-8,
  );
  close(frechetDistance({ mean, covariance: c1 }, { mean, covariance: c1 }), 0, 1e-10);
});

/** By Gauss and Jordan, with pivots. */
function inverse(matrix: Float64Array, n: number): Float64Array {
  const rows = Array.from({ length: n }, (_, i) => [
    ...matrix.subarray(i * n, (i + 1) * n),
    ...Array.from({ length: n }, (_, j) => i === j ? 1 : 0),
  ]);
  for (let c = 0; c < n; c++) {
    const pivot = rows.slice(c).reduce(
      (best, row, k) => Math.abs(row[c]!) > Math.abs(rows[best]![c]!) ? c + k : best,
      c,
    );
    [rows[c], rows[pivot]] = [rows[pivot]!, rows[c]!];
    const scaled = rows[c]!.map((v) => v / rows[c]![c]!);
    rows.forEach((row, i) => rows[i] = i === c ? scaled : row.map((v, k) => v - row[c]! * scaled[k]!));
  }
  return Float64Array.from(rows.flatMap((row) => row.slice(n)));
}

const drawn = (count: number, seed: number, shift = 0, scale = 1) => ({
  width: 3,
  data: new Random(seed, "set").fillNormal(new Float32Array(3 * count)).map((v) => shift + scale * v),
});

Deno.test("gaussianOf() and standardise() come to the numbers of what was drawn", () => {
  const set = drawn(20_000, 1, 0.5, 2);
  const { mean, covariance } = gaussianOf(set);
  mean.forEach((v) => close(v, 0.5, 0.05));
  covariance.forEach((v, k) => close(v, k % 4 === 0 ? 4 : 0, 0.15));
  const scaled = gaussianOf(standardise(set, { mean, covariance }));
  scaled.mean.forEach((v) => close(v, 0, 1e-9));
  [0, 4, 8].forEach((k) => close(scaled.covariance[k]!, 1, 1e-9));
  assert.throws(() => gaussianOf(drawn(1, 1)), /Cannot compare sets of 1 images: 2 at least are expected/);
});

Deno.test("kernelDistance() is the polynomial formula, without bias where the Frechet distance has one", () => {
  // k(x, y) = (x y / 1 + 1)^3 on one feature: within {1, 2}: 27; within {0, 3}: 1; between: 1, 1, 64, 343.
  close(
    kernelDistance({ width: 1, data: [1, 2] }, { width: 1, data: [0, 3] }),
    27 + 1 - 2 * (1 + 64 + 1 + 343) / 4,
    1e-12,
  );
  const pairs = Array.from({ length: 400 }, (_, k) => [drawn(8, 2 * k), drawn(8, 2 * k + 1)] as const);
  const kernels = pairs.map(([a, b]) => kernelDistance(a, b));
  const average = kernels.reduce((a, b) => a + b) / 400;
  const spread = Math.sqrt(kernels.reduce((sum, v) => sum + (v - average) ** 2, 0) / 400);
  assert.ok(Math.abs(average) < 3 * spread / 20, `${average} of a spread of ${spread}`);
  const biased = pairs.map(([a, b]) => frechetDistance(gaussianOf(a), gaussianOf(b))).reduce((a, b) => a + b) / 400;
  assert.ok(biased > 0.5, `${biased}`);
  assert.ok(kernelDistance(drawn(200, 1), drawn(200, 2, 0.5)) > 10 * spread / Math.sqrt(400));
});
