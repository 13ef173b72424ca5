/**
 * Attention in one kernel, whose scores are in workgroup memory only: the parts that it shares with its gradients.
 *
 * @module
 */

import { dims, extent, type F64, type Kernel, type Shape } from "../engine/graph.ts";
import body from "../shaders/_attention.wgsl" with { type: "text" };
import { type Reader, reader, sumOver, tabulate } from "./_reference.ts";

/** Attributes of attention in tiles. */
export type AttentionTilesAttrs = { readonly heads: number; readonly causal: boolean };

/** The widest head: an invocation has a tile of the results of 4 rows, an eighth of their width, in registers. */
export const WIDEST_HEAD = 256;

/** A weighted sum of rows: the operands, their loads and the kind of weights. */
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
  /** True for weights by a softmax; else logarithms of the sums that divide them are given. */
  readonly online?: boolean;
  /** True to multiply the weights by a second product. */
  readonly pairs?: boolean;
  /** True if rows are keys. */
  readonly flipped?: boolean;
}

/** The kernel of such a product. */
export function attentionKernel(weighing: Weighing, { heads, causal }: AttentionTilesAttrs): Kernel {
  const { source, label, reads, writes, online = false, pairs = false, flipped = false } = weighing;
  const { N, rows, width } = dims(weighing.rows, "N rows width");
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
      columns: extent(weighing.columns, 1),
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

/** The numbers that the references of attention share, by sample, head, query and key. */
export interface AttentionNumbers {
  /** Queries, keys and values, or their gradients, by sample, token, head and lane. */
  split(x: F64): Reader;
  /** Products of queries and keys, scaled; minus infinity where a key is masked. */
  readonly score: Reader;
  /** Logarithms of the sums of their exponentials, by sample, head and query. */
  readonly logs: F64;
  /** Width of a head. */
  readonly D: number;
  /** Scale of the products. */
  readonly scale: number;
}

/** Scores of attention and the logarithms of the sums that divide their exponentials. */
export function attentionNumbers(q: F64, k: F64, { heads, causal }: AttentionTilesAttrs): AttentionNumbers {
  const { N, L, width } = dims(q, "N L width");
  const T = extent(k, 1);
  const D = width / heads;
  const scale = 1 / Math.sqrt(D);
  const split = (x: F64) => reader(x, [N, extent(x, 1), heads, D]);
  const [Q, K] = [split(q), split(k)];
  const score = reader(
    tabulate(
      [N, heads, L, T],
      (n, h, l, t) => causal && t > l + T - L ? -Infinity : scale * sumOver([D], (d) => Q(n, l, h, d) * K(n, t, h, d)),
    ),
  );
  const logs = tabulate([N, heads, L, 1], (n, h, l) => Math.log(sumOver([T], (t) => Math.exp(score(n, h, l, t)))));
  return { split, score, logs, D, scale };
}
