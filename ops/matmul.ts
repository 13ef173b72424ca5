import {
  apply,
  type Candidate,
  dims,
  type F64,
  type Kernel,
  type Op,
  type Shape,
  showShape,
  type Target,
  type Value,
} from "../engine/graph.ts";
import source from "../shaders/matmul.wgsl" with { type: "text" };
import tiled from "../shaders/matmul.tiled.wgsl" with { type: "text" };
import { directWorkgroup, gemmKernel, splitFor, TILED_CANDIDATES, usesTiles } from "./_gemm.ts";
import { reader, sumOver, tabulate } from "./_reference.ts";
import { reshape } from "./reshape.ts";
import { largestDivisor, sumInPasses, sumTo } from "./sum.ts";

/**
 * Attributes of {@linkcode matmulOp}.
 *
 * An operand is `[N, H, rows, columns]`, or `[N, rows, H * columns]` when its heads are merged, which is how attention
 * keeps them; `ta` and `tb` transpose the last two dimensions.
 */
export type MatmulAttrs = {
  readonly ta: boolean;
  readonly tb: boolean;
  readonly heads: number;
  readonly merged_a: boolean;
  readonly merged_b: boolean;
  readonly merged_y: boolean;
};

/** Batch count, rows, columns and texel strides of an operand. */
function layout(shape: Shape, merged: boolean, heads: number) {
  if (merged) {
    const { n, rows, wide } = dims(shape, "n rows wide");
    const columns = wide / heads;
    const texel = heads === 1 ? Math.ceil(wide / 4) : wide / 4;
    return { n, rows, columns, stride_n: rows * texel, stride_h: texel / heads, stride_row: texel };
  }
  const { n, rows, columns } = dims(shape, "n heads rows columns");
  const texel = Math.ceil(columns / 4);
  return { n, rows, columns, stride_n: heads * rows * texel, stride_h: rows * texel, stride_row: texel };
}

function sizes(a: Shape, b: Shape, attrs: MatmulAttrs) {
  const la = layout(a, attrs.merged_a, attrs.heads);
  const lb = layout(b, attrs.merged_b, attrs.heads);
  const [M, Ka] = attrs.ta ? [la.columns, la.rows] : [la.rows, la.columns];
  const [Kb, N] = attrs.tb ? [lb.columns, lb.rows] : [lb.rows, lb.columns];
  const split = [[attrs.merged_a, la], [attrs.merged_b, lb]] as const;
  const aligned = attrs.heads === 1 || split.every(([merged, l]) => !merged || l.columns % 4 === 0);
  if (Ka !== Kb || (la.n !== lb.n && lb.n !== 1) || !aligned || (attrs.ta && attrs.tb)) {
    throw new TypeError(
      `Cannot multiply ${showShape(a)} by ${showShape(b)} with ${attrs.heads} heads` +
        (aligned ? "" : ": a head's width must be a multiple of 4"),
    );
  }
  return { la, lb, M, N, K: Ka, n: la.n };
}

/** The shape and strides of the product. */
function product(a: Shape, b: Shape, attrs: MatmulAttrs) {
  const { M, N, n } = sizes(a, b, attrs);
  const shape = attrs.merged_y ? [n, M, attrs.heads * N] : [n, attrs.heads, M, N];
  return { shape, ly: layout(shape, attrs.merged_y, attrs.heads) };
}

function kernel(a: Shape, b: Shape, attrs: MatmulAttrs, target: Target, candidate: Candidate): Kernel {
  const { la, lb, M, N, K, n } = sizes(a, b, attrs);
  const { ly } = product(a, b, attrs);
  const N4 = Math.ceil(N / 4);
  const ints = {
    M,
    N,
    N4,
    K,
    K4: Math.ceil(K / 4),
    H: attrs.heads,
    x_n: la.stride_n,
    x_h: la.stride_h,
    x_row: la.stride_row,
    w_n: lb.n === 1 ? 0 : lb.stride_n,
    w_h: lb.stride_h,
    w_row: lb.stride_row,
    y_n: ly.stride_n,
    y_h: ly.stride_h,
    y_row: ly.stride_row,
  };
  const { WG = directWorkgroup(target) } = candidate;
  const tiles = { batches: n * attrs.heads, rows: M, columns4: N4 };
  if (usesTiles(candidate, target, tiles)) {
    return gemmKernel({
      source: tiled,
      label: "shaders/matmul.tiled.wgsl",
      reads: ["x", "w"],
      writes: ["y"],
      ...tiles,
      steps: Math.ceil(K / 16),
      transposed: { x: attrs.ta, w: attrs.tb },
      ints,
      inlined: ["H"],
    }, candidate);
  }
  const entry = attrs.ta ? "tn" : attrs.tb ? "nt" : "nn";
  const unit = attrs.ta ? Math.ceil(M / 4) : M;
  const { R, Q } = registerTile(entry, { batches: n * attrs.heads, unit, columns4: N4 }, target, candidate);
  const row_tiles = Math.ceil(unit / R);
  const col_tiles = Math.ceil(N4 / Q);
  return {
    source,
    label: "shaders/matmul.wgsl",
    entry,
    reads: ["x", "w"],
    writes: ["y"],
    constants: { R, Q },
    ints: { ...ints, row_tiles, col_tiles },
    threads: n * attrs.heads * row_tiles * col_tiles,
    workgroup: WG,
  };
}

/**
 * Tile of one invocation of the kernels without workgroup memory: R rows, for `tn` texels of four rows, by Q texels of
 * columns.
 *
 * | adapter  | product                                | R of nn, nt | R of tn | Q |
 * | -------- | -------------------------------------- | ----------- | ------- | - |
 * | CPU      | large: tn, or nn with 4,096 texels     | 8           | 4       | 4 |
 * | CPU      | others                                 | 8           | 2       | 2 |
 * | hardware | fewer than 2^14 tiles of 8 by 2        | 1           | 1       | 1 |
 * | hardware | others                                 | 8           | 2       | 2 |
 *
 * Products of fewer rows have tiles of 4 rows, or of 1. A CPU keeps sums in memory: there, tiles twice as large are up to
 * a fifth faster where they are nearly filled, for twice the time to compile (docs/speed.md); that is too long for nt,
 * whose results have the long epilogues of gradients. A hardware GPU wants many invocations, even if each loads what
 * others load as well.
 */
function registerTile(
  entry: "nn" | "nt" | "tn",
  { batches, unit, columns4 }: { batches: number; unit: number; columns4: number },
  { tiled }: Target,
  candidate: Candidate,
): { R: number; Q: number } {
  const tn = entry === "tn";
  const large = !tiled && fillsFours(columns4) &&
    (tn ? fillsFours(unit) : entry === "nn" && batches * unit * columns4 >= 4096);
  const few = tiled && batches * Math.ceil(unit / 8) * Math.ceil(columns4 / 2) < 1 << 14;
  const { R: rows = few ? 1 : large && tn ? 16 : 8, Q: texels = few ? 1 : large ? 4 : 2 } = candidate;
  const R = tn ? Math.min(Math.ceil(rows / 4), unit) : unit >= rows ? rows : unit > 2 ? 4 : 1;
  return { R, Q: Math.min(texels, columns4) };
}

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
function operand(x: F64, { n, rows, columns }: ReturnType<typeof layout>, merged: boolean, heads: number) {
  const X = reader(x, merged ? [n, rows, heads, columns] : x.shape);
  return (i: number, h: number, r: number, c: number) => merged ? X(i % n, r, h, c) : X(i % n, h, r, c);
}

/** Returns true if tiles of four leave at most a sixth of them empty. */
function fillsFours(count: number): boolean {
  return 20 * Math.ceil(count / 4) <= 6 * count;
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
    kernel: ({ inputs: [a, b], attrs }, target, candidate) => kernel(a.shape, b.shape, attrs, target, candidate),
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
