/**
 * Sums in workgroup memory, for adapters where that is fast; a dispatch may have several.
 *
 * @module
 */

import type { Kernel } from "../engine/graph.ts";
import { itemAt } from "../engine/lookup.ts";
import source from "../shaders/sum.tiled.wgsl" with { type: "text" };

/** Invocations of a workgroup of the tiled kernel, which sum rows of a few texels together. */
export const WORKGROUP = 256;

/** Texels of a row that a workgroup of the tiled kernel sums: their loads are neighbours. */
export function columnsOf(C4: number): number {
  return C4 === 1 ? 1 : 8;
}

/** Sums of a dispatch of the tiled kernel, of one number of columns: workgroups, texels of a row, rows in a sum. */
export interface TiledSum {
  readonly blocks: number;
  readonly C4: number;
  readonly step: number;
}

/** The kernel that sums in workgroup memory. */
export function tiledKernel(sums: readonly TiledSum[]): Kernel {
  const COLS = Math.max(...sums.map(({ C4 }) => columnsOf(C4)));
  const ends = sums.map((_, n) => sums.slice(0, n + 1).reduce((total, { blocks }) => total + blocks, 0));
  const ints = sums.flatMap(({ blocks, C4, step }, n) => {
    const end = itemAt(ends, n, "sums");
    return [[`first${n}`, end - blocks], [`end${n}`, end], [`C4_${n}`, C4], [`step${n}`, step]];
  });
  const each = (name: string) => sums.map((_, n) => `${name}${n}`);
  return {
    source,
    label: "shaders/sum.tiled.wgsl",
    entry: "forward",
    reads: each("x"),
    writes: each("y"),
    fusable: each("x"),
    constants: { COLS, ROWS: WORKGROUP / COLS, N: sums.length },
    ints: Object.fromEntries(ints),
    threads: WORKGROUP * itemAt(ends, ends.length - 1, "sums"),
    workgroup: WORKGROUP,
    together: {
      key: `sum of ${COLS} columns`,
      merge: (kernels) => tiledKernel(kernels.map(({ ints = {} }) => sumIn(ints))),
    },
  };
}

/** The sum that a kernel of one has. */
function sumIn({ end0, C4_0, step0 }: Readonly<Record<string, number>>): TiledSum {
  if (end0 === undefined || C4_0 === undefined || step0 === undefined) throw new Error("Cannot merge what is no sum");
  return { blocks: end0, C4: C4_0, step: step0 };
}
