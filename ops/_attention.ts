/**
 * Attention in one kernel, whose scores are in workgroup memory only: what it and its gradients share.
 *
 * @module
 */

import type { Kernel, Shape } from "../engine/graph.ts";
import body from "../shaders/_attention.wgsl" with { type: "text" };

/** Attributes of attention in tiles. */
export type AttentionTilesAttrs = { readonly heads: number; readonly causal: boolean };

/** The widest head: an invocation has a tile of the results of 4 rows, an eighth of their width, in registers. */
export const WIDEST_HEAD = 256;

/** How the rows of an operand are weighed. */
export interface Weighing {
  /** Loads, as `shaders/_attention.wgsl` asks for them. */
  readonly source: string;
  /** Path of that shader. */
  readonly label: string;
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  /** `[N, rows, H D]`. */
  readonly rows: Shape;
  /** `[N, columns, H D]`. */
  readonly columns: Shape;
  /** Whether weights are a softmax; else logarithms of the sums that divide them are given. */
  readonly online?: boolean;
  /** Whether they are multiplied by a second product. */
  readonly pairs?: boolean;
  /** Whether rows are keys. */
  readonly flipped?: boolean;
}

/** The kernel of such a product. */
export function attentionKernel(weighing: Weighing, { heads, causal }: AttentionTilesAttrs): Kernel {
  const { source, label, reads, writes, online = false, pairs = false, flipped = false } = weighing;
  const [N, rows, width] = weighing.rows as [number, number, number];
  const D4 = width / heads / 4;
  const values = Math.ceil(D4 / 8);
  // Values that fit into 256 texels of workgroup memory: a power of two of their rows.
  const depth = Math.min(32, 2 ** Math.floor(Math.log2(256 / (8 * values))));
  const row_tiles = Math.ceil(rows / 64);
  const tiles = N * heads * row_tiles;
  return {
    source: `${source}\n${body}`,
    label,
    entry: "attend",
    reads,
    writes,
    constants: {
      VALUES: values,
      DEPTH: depth,
      ONLINE: Number(online),
      PAIRS: Number(pairs),
      FLIPPED: Number(flipped),
    },
    ints: {
      rows,
      columns: weighing.columns[1]!,
      D4,
      wide: width / 4,
      H: heads,
      row_tiles,
      tiles,
      causal: Number(causal),
    },
    floats: { s: 1 / Math.sqrt(width / heads) },
    threads: 128 * tiles,
    workgroup: 128,
  };
}

/** Calls back for each batch, head, query and the keys that it sees: where their rows begin, and how many keys. */
export function eachQuery(
  q: Shape,
  k: Shape,
  { heads, causal }: AttentionTilesAttrs,
  visit: (query: { n: number; h: number; l: number; from: number }, keys: readonly number[]) => void,
): void {
  const [N, L, width] = q as [number, number, number];
  const T = k[1]!;
  for (let n = 0; n < N; n++) {
    for (let h = 0; h < heads; h++) {
      const start = h * width / heads;
      for (let l = 0; l < L; l++) {
        const count = causal ? l + 1 + T - L : T;
        const keys = Array.from({ length: count }, (_, t) => (n * T + t) * width + start);
        visit({ n, h, l, from: (n * L + l) * width + start }, keys);
      }
    }
  }
}
