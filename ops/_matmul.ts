/**
 * Layouts and kernels of matrix products.
 *
 * @module
 */

import { type Candidate, dims, type Kernel, type Shape, showShape, type Target } from "../engine/graph.ts";
import source from "../shaders/matmul.wgsl" with { type: "text" };
import tiled from "../shaders/matmul.tiled.wgsl" with { type: "text" };
import { directWorkgroup, gemmKernel, usesTiles } from "./_gemm.ts";

/**
 * Attributes of matmul.
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
export type Layout = Readonly<Record<"n" | "rows" | "columns" | "stride_n" | "stride_h" | "stride_row", number>>;

function layout(shape: Shape, merged: boolean, heads: number): Layout {
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

/** Layouts of the operands, and M, N, K and the number of batches of the product. */
export function sizes(a: Shape, b: Shape, attrs: MatmulAttrs) {
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
export function product(a: Shape, b: Shape, attrs: MatmulAttrs) {
  const { M, N, n } = sizes(a, b, attrs);
  const shape = attrs.merged_y ? [n, M, attrs.heads * N] : [n, attrs.heads, M, N];
  return { shape, ly: layout(shape, attrs.merged_y, attrs.heads) };
}

/** The kernel of a product: by tiles in workgroup memory where that is faster, else by tiles in registers. */
export function matmulKernel(a: Shape, b: Shape, attrs: MatmulAttrs, target: Target, candidate: Candidate): Kernel {
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

/** Returns true if tiles of four leave at most a sixth of them empty. */
function fillsFours(count: number): boolean {
  return 20 * Math.ceil(count / 4) <= 6 * count;
}
