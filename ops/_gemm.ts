/**
 * Matrix products by tiles in workgroup memory, for adapters where that is fast: what matmul and the convolutions share.
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
  /** How many products. */
  readonly batches: number;
  /** Rows of a product. */
  readonly rows: number;
  /** Texels of columns. */
  readonly columns4: number;
  /** Steps of 16 terms of the sum. */
  readonly steps: number;
  /** Whether texels of X go along the rows, and those of W along the sum. */
  readonly transposed: { readonly x: boolean; readonly w: boolean };
  readonly constants?: Readonly<Record<string, number>>;
  readonly ints: Readonly<Record<string, number>>;
}

/** Whether tiles of 64 x 64 pay: a product with fewer rows or columns leaves most of a tile empty. */
export function fillsTiles(rows: number, columns4: number): boolean {
  return rows >= 32 && columns4 >= 8;
}

/** The tiled kernel of an op. */
export function gemmKernel(gemm: Gemm): Kernel {
  const { source, label, reads, writes, batches, rows, columns4, steps, transposed, constants, ints } = gemm;
  const [row_tiles, col_tiles] = [Math.ceil(rows / 64), Math.ceil(columns4 / 16)];
  const tiles = batches * row_tiles * col_tiles;
  return {
    source: `${source}\n${body}`,
    label,
    entry: "gemm",
    reads,
    writes,
    constants: { ...constants, XT: Number(transposed.x), WT: Number(transposed.w) },
    ints: { ...ints, steps, row_tiles, col_tiles, tiles },
    threads: 128 * tiles,
    workgroup: 128,
  };
}

/** Invocations of a workgroup of the kernels without tiles: a vector of a processor, or enough to fill a GPU's units. */
export function directWorkgroup({ tiled }: Target): number {
  return tiled ? 64 : 8;
}

/** What tuning tries for convolutions: tiles in workgroup memory or not, pixels of an invocation, Winograd. */
export const CONVOLUTION_CANDIDATES: readonly Candidate[] = [
  {},
  { TILED: 0 },
  { TILED: 0, P: 4 },
  { TILED: 0, P: 8 },
  { TILED: 0, P: 16 },
  { TILED: 0, WG: 128 },
  { TILED: 1 },
  { WINOGRAD: 1 },
];
