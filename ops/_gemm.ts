/**
 * Matrix products by tiles in workgroup memory, for adapters where that is fast: the parts that matmul and the convolutions share.
 *
 * @module
 */

import type { Candidate, Kernel, Target } from "../engine/graph.ts";
import body from "../shaders/_gemm.wgsl" with { type: "text" };

/** An op seen as `Y[z] = X[z] W[z]`. */
export interface Gemm {
  /** Addresses, as `shaders/_gemm.wgsl` asks for them. */
  readonly source: string;
  /** Path of that shader. */
  readonly label: string;
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  /** Number of products. */
  readonly batches: number;
  /** Rows of a product. */
  readonly rows: number;
  /** Texels of columns. */
  readonly columns4: number;
  /** Steps of 16 terms of the sum. */
  readonly steps: number;
  /** True for `x` if texels of X go along the rows, for `w` if those of W go along the sum. */
  readonly transposed: { readonly x: boolean; readonly w: boolean };
  readonly constants?: Readonly<Record<string, number>>;
  readonly ints: Readonly<Record<string, number>>;
  readonly inlined?: readonly string[];
}

/** Tiles below which the units of a hardware GPU are busier with a kernel of many small invocations. */
const FEWEST_TILES = 24;

/** Workgroups that keep a hardware GPU busy: long sums are split until there are as many. */
const SPLIT_TILES = 1024;

/** Fewest terms of a part of a split sum. */
const SPLIT_TERMS = 256;

/** Returns true for a product that is computed by tiles of 64 x 64: fewer rows or columns would leave most of a tile empty. */
export function usesTiles(
  { TILED }: Candidate,
  target: Target,
  { batches, rows, columns4 }: Pick<Gemm, "batches" | "rows" | "columns4">,
): boolean {
  if (rows < 32 || columns4 < 8) return false;
  return TILED === undefined
    ? target.tiled && batches * Math.ceil(rows / 64) * Math.ceil(columns4 / 16) >= FEWEST_TILES
    : TILED === 1;
}

/** Parts to split the sum of a product with few tiles into, so that a hardware GPU has work for all its units. */
export function splitFor(tiles: number, terms: number): number {
  return Math.max(1, Math.min(Math.floor(terms / SPLIT_TERMS), Math.ceil(SPLIT_TILES / tiles)));
}

/**
 * The tiled kernel of an op.
 *
 * @param candidate `Q` texels of columns that an invocation has, 1 or 2 (1; tiles of 64 x 128 with 2), and `BUFFERS`, 2 to
 * load the operands of a step while the one before is computed (1).
 */
export function gemmKernel(gemm: Gemm, candidate: Candidate): Kernel {
  const { source, label, reads, writes, batches, rows, columns4, steps, transposed, constants, ints, inlined = [] } =
    gemm;
  const { Q: texels = 1, BUFFERS = 1 } = candidate;
  // Of fewer columns a wide tile would be half empty.
  const Q = columns4 > 16 ? texels : 1;
  const [row_tiles, col_tiles] = [Math.ceil(rows / 64), Math.ceil(columns4 / (16 * Q))];
  const tiles = batches * row_tiles * col_tiles;
  return {
    source: `${source}\n${body}`,
    label,
    entry: "gemm",
    reads,
    writes,
    constants: { ...constants, XT: Number(transposed.x), WT: Number(transposed.w), Q, BUFFERS },
    ints: { ...ints, steps, row_tiles, col_tiles, tiles },
    inlined,
    threads: 128 * tiles,
    workgroup: 128,
  };
}

/** Invocations of a workgroup of the kernels without tiles: a vector of a processor, or enough to fill a GPU's units. */
export function directWorkgroup({ tiled }: Target): number {
  return tiled ? 64 : 8;
}

/** Candidates of all products by tiles: wide ones, and loads that overlap arithmetic. */
export const TILED_CANDIDATES: readonly Candidate[] = [
  { TILED: 1 },
  { TILED: 1, Q: 2 },
  { TILED: 1, BUFFERS: 2 },
  { TILED: 1, Q: 2, BUFFERS: 2 },
];

/** Candidates of convolutions: tiles in workgroup memory or not, pixels of an invocation, Winograd. */
export const CONVOLUTION_CANDIDATES: readonly Candidate[] = [
  {},
  { TILED: 0 },
  { TILED: 0, P: 4 },
  { TILED: 0, P: 8 },
  { TILED: 0, P: 16 },
  { TILED: 0, WG: 128 },
  ...TILED_CANDIDATES,
  { WINOGRAD: 1 },
];
