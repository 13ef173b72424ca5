import { apply, dims, type F64, type Op, type Value } from "../engine/graph.ts";
import { splitFor, TILED_CANDIDATES } from "./_gemm.ts";
import { type Layout, type MatmulAttrs, matmulKernel, product, sizes } from "./_matmul.ts";
import { reader, sumOver, tabulate } from "./_reference.ts";
import { reshape } from "./reshape.ts";
import { largestDivisor, sumInPasses, sumTo } from "./sum.ts";

/** A factor of a product: whether its last two dimensions are transposed, and whether its heads are merged. */
interface Factor {
  readonly value: Value;
  readonly transposed: boolean;
  readonly merged: boolean;
}

/** The transpose of a factor. */
function flipped(factor: Factor): Factor {
  return { ...factor, transposed: !factor.transposed };
}

/** The product of two factors, its heads merged or not. */
function productOf(a: Factor, b: Factor, heads: number, merged_y: boolean): Value {
  return apply(matmulOp, [a.value, b.value], {
    ta: a.transposed,
    tb: b.transposed,
    heads,
    merged_a: a.merged,
    merged_b: b.merged,
    merged_y,
  });
}

/** Reads an operand by batch, head, row and column, whether its heads are merged or not; batches repeat. */
function operand(x: F64, { n, rows, columns }: Layout, merged: boolean, heads: number) {
  const X = reader(x, merged ? [n, rows, heads, columns] : x.shape);
  return (i: number, h: number, r: number, c: number) => merged ? X(i % n, r, h, c) : X(i % n, h, r, c);
}

/** `Y = A B` for each batch and head, either operand transposed. */
export const matmulOp: Op<MatmulAttrs, 2> = {
  name: "matmul",
  bound: "compute",
  // The gradient of weights, a long sum, is f32.
  f16: ({ attrs: { ta, heads, merged_a, merged_b, merged_y } }) =>
    ta && heads === 1 && merged_a && merged_b && merged_y ? "never" : "always",
  shapes: ([a, b], attrs) => [product(a, b, attrs).shape],
  lowering: {
    kind: "kernel",
    tune: [
      {},
      { TILED: 0 },
      { TILED: 0, R: 4, Q: 1 },
      { TILED: 0, R: 8, Q: 2 },
      { TILED: 0, Q: 4 },
      { TILED: 0, R: 16 },
      { TILED: 0, WG: 128 },
      ...TILED_CANDIDATES,
    ],
    kernel: ({ inputs: [a, b], attrs }, target, candidate) => matmulKernel(a.shape, b.shape, attrs, target, candidate),
  },
  decompose({ inputs: [a, b], attrs }, { TILED }, target) {
    const { ta, heads, merged_a, merged_b, merged_y } = attrs;
    const plain = ta && heads === 1 && merged_a && merged_b && merged_y;
    if (!plain || !(TILED ?? target.tiled) || target.keepComposite) return null;
    // Gradients of weights have few results and long sums, which are split for want of other work to do side by side.
    const { M, N, K, n, lb } = sizes(a.shape, b.shape, attrs);
    const split = largestDivisor(K, splitFor(n * Math.ceil(M / 64) * Math.ceil(N / 64), K));
    if (split === 1 || lb.n !== n) return null;
    const some = apply(matmulOp, [reshape(a, [n * split, K / split, M]), reshape(b, [n * split, K / split, N])], attrs);
    return [reshape(sumInPasses(reshape(some, [n, split, M, N]), 1), [n, M, N])];
  },
  gradient({ inputs: [a, b], attrs }, [dy]) {
    const { ta, tb, heads, merged_a, merged_b, merged_y } = attrs;
    const A = { value: a, transposed: ta, merged: merged_a };
    const B = { value: b, transposed: tb, merged: merged_b };
    const dY = { value: dy, transposed: false, merged: merged_y };
    const multiply = (x: Factor, y: Factor, merged: boolean) => productOf(x, y, heads, merged);
    // Y = A B: dA = dY B^T, dB = A^T dY; with a transposed operand the factors change places.
    const da = ta ? multiply(B, flipped(dY), merged_a) : multiply(dY, flipped(B), merged_a);
    if (!ta && !tb && merged_a && merged_b && merged_y && heads === 1 && b.shape[0] === 1) {
      // The gradient of a layer's weights: few outputs and a long sum, which is split into parts that run side by side.
      const { K, N } = dims(b, "one K N");
      const parts = Math.ceil(512 / Math.ceil(K / 8) / Math.ceil(N / 8));
      const [x, d] = [splitRows(a, parts), splitRows(dy, parts)];
      return [da, sumTo(multiply(flipped({ ...A, value: x }), { ...dY, value: d }, true), b.shape)];
    }
    const db = tb ? multiply(flipped(dY), A, merged_b) : multiply(flipped(A), dY, merged_b);
    return [da, sumTo(db, b.shape)];
  },
  flops({ inputs: [a, b], attrs }) {
    const { M, N, K, n } = sizes(a.shape, b.shape, attrs);
    return 2 * n * attrs.heads * M * N * K;
  },
  reference([a, b], attrs) {
    const { ta, tb, heads, merged_a, merged_b, merged_y } = attrs;
    const { la, lb, M, N, K, n } = sizes(a.shape, b.shape, attrs);
    const { shape } = product(a.shape, b.shape, attrs);
    const [A, B] = [operand(a, la, merged_a, heads), operand(b, lb, merged_b, heads)];
    const dot = (i: number, h: number, m: number, c: number) =>
      sumOver([K], (k) => (ta ? A(i, h, k, m) : A(i, h, m, k)) * (tb ? B(i, h, c, k) : B(i, h, k, c)));
    const { data } = merged_y
      ? tabulate([n, M, heads, N], (i, m, h, c) => dot(i, h, m, c))
      : tabulate([n, heads, M, N], dot);
    return [{ shape, data }];
  },
};

/** `[N, M, C]` as `[parts, N M / parts, C]`, with at most `wanted` parts of at least 32 rows. */
function splitRows(x: Value, wanted: number): Value {
  const { n, m, c } = dims(x, "n m c");
  const rows = n * m;
  let parts = Math.max(1, Math.min(wanted, Math.floor(rows / 32)));
  while (rows % parts) parts--;
  return reshape(x, [parts, rows / parts, c]);
}

const plain = { heads: 1, merged_a: true, merged_b: true, merged_y: true };

/**
 * Matrix product.
 *
 * @param a `[M, K]` or `[N, M, K]`.
 * @param b `[K, N]` or `[N, K, N]`, or with `transpose_b` their last dimensions the other way round.
 * @returns `[M, N]` or `[N, M, N]`.
 */
export function matmul(a: Value, b: Value, options: { transpose_a?: boolean; transpose_b?: boolean } = {}): Value {
  const flat = a.shape.length === 2;
  const [x, y] = flat ? [reshape(a, [1, ...a.shape]), reshape(b, [1, ...b.shape])] : [a, b];
  const z = apply(matmulOp, [x, y], { ...plain, ta: options.transpose_a ?? false, tb: options.transpose_b ?? false });
  return flat ? reshape(z, z.shape.slice(1)) : z;
}

/**
 * Scores of queries against keys, head by head: `S[n, h] = Q[n, :, h] K[n, :, h]^T`.
 *
 * @param q `[N, L, H * D]`. @param k `[N, T, H * D]`, D a multiple of 4.
 * @returns `[N, H, L, T]`.
 */
export function headScores(q: Value, k: Value, heads: number): Value {
  return apply(matmulOp, [q, k], { ta: false, tb: true, heads, merged_a: true, merged_b: true, merged_y: false });
}

/**
 * The gradient of {@linkcode headValues} with respect to the values, head by head: `Y[n, :, h] = P[n, h]^T X[n, :, h]`.
 *
 * @param p `[N, H, L, T]`. @param x `[N, L, H * D]`, D a multiple of 4.
 * @returns `[N, T, H * D]`.
 */
export function headsTransposedMatmul(p: Value, x: Value, heads: number): Value {
  return apply(matmulOp, [p, x], { ta: true, tb: false, heads, merged_a: false, merged_b: true, merged_y: true });
}

/**
 * Weighted sums of values, head by head: `Y[n, :, h] = P[n, h] V[n, :, h]`.
 *
 * @param p `[N, H, L, T]`. @param v `[N, T, H * D]`, D a multiple of 4.
 * @returns `[N, L, H * D]`.
 */
export function headValues(p: Value, v: Value, heads: number): Value {
  return apply(matmulOp, [p, v], { ta: false, tb: false, heads, merged_a: false, merged_b: true, merged_y: true });
}
