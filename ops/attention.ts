import { apply, dims, extent, type Op, sameShape, showShape, type Value } from "../engine/graph.ts";
import type { AttentionTilesAttrs } from "./_attention.ts";
import { add } from "./add.ts";
import { recompute } from "./recompute.ts";
import { attentionGradOp, fitsTiles, rowDot } from "./attention_grad.ts";
import { attentionTilesOp } from "./attention_tiles.ts";
import { concat } from "./concat.ts";
import { exp } from "./exp.ts";
import { headScores, headsTransposedMatmul, headValues } from "./matmul.ts";
import { mul } from "./mul.ts";
import { permute } from "./permute.ts";
import { affine as times } from "./affine.ts";
import { reshape } from "./reshape.ts";
import { pad, slice } from "./slice.ts";
import { softmaxOp } from "./softmax.ts";
import { sub } from "./sub.ts";

/** Attributes of {@linkcode attentionOp}: queries whose scores are there at a time. */
export type AttentionAttrs = AttentionTilesAttrs & { readonly rows: number };

/**
 * Attention and its gradient: inputs are the result, as products and a softmax give it, q, k and v; the output is the
 * result. On hardware one kernel that stores no scores stands in its place, and one in that of each gradient.
 *
 * Backwards, the weights of several blocks of queries are computed again from the logarithms of the sums that divide
 * them, so that a block needs memory for its own only while it is worked on.
 *
 * Source: Dao et al. 2022, arXiv 2205.14135, algorithm 4.
 */
export const attentionOp: Op<AttentionAttrs, 4> = {
  name: "attention",
  bound: "compute",
  shapes: ([y, q, k, v], { heads }) => {
    if (!sameShape(y, q) || !sameShape(k, v)) {
      throw new TypeError(`Cannot attend with ${heads} heads: shapes are ${[y, q, k, v].map((s) => showShape(s))}`);
    }
    return [y];
  },
  lowering: { kind: "view" },
  decompose({ inputs: [, q, k, v], attrs: { heads, causal } }, _, { tiled }) {
    if (!tiled || !fitsTiles(q, { heads, causal })) return null;
    const [y] = q.graph.apply(attentionTilesOp, [q, k, v], { heads, causal });
    return [y];
  },
  gradient({ inputs: [, q, k, v], attrs }, [dy]) {
    const { heads, causal, rows } = attrs;
    const { L, width } = dims(q, "N L width");
    const factor = 1 / Math.sqrt(width / heads);
    const several = rows < L;
    const dqs: Value[] = [];
    let sums: readonly [dk: Value, dv: Value] | null = null;
    for (const block of blocksOf(q, k, v, attrs)) {
      const d = several ? slice(dy, 1, block.row, extent(block.q, 1)) : dy;
      const weights = several
        ? exp(sub(times(headScores(recompute(block.q), k, heads), factor), block.logs))
        : block.weights;
      // dS = P (dP - sum of P dP), and that sum is the one of y dy over a head.
      const centred = sub(headScores(d, v, heads), permute(rowDot(block.y, d, heads), [0, 2, 1, 3]));
      const ds = times(mul(weights, centred), factor);
      dqs.push(headValues(ds, k, heads));
      // At once, so that those of a block need not be kept.
      const [dk, dv]: readonly [Value, Value] = [
        headsTransposedMatmul(ds, block.q, heads),
        headsTransposedMatmul(weights, d, heads),
      ];
      sums = sums ? [add(sums[0], dk), add(sums[1], dv)] : [dk, dv];
    }
    const grad = (wrt: "q" | "k" | "v", dx: Value) => apply(attentionGradOp, [dx, q, k, v, dy], { heads, causal, wrt });
    return [null, grad("q", concat(dqs, 1)), sums && grad("k", sums[0]), sums && grad("v", sums[1])];
  },
  flops: () => 0,
  reference([, q, k, v], { heads, causal }) {
    const [y] = attentionTilesOp.reference([q, k, v], { heads, causal });
    return [y];
  },
};

/** Attention by products and a softmax, for so many queries at a time; the same values for the same arguments. */
function blocksOf(q: Value, k: Value, v: Value, { heads, causal, rows }: AttentionAttrs) {
  const { L, width } = dims(q, "N L width");
  const scale = 1 / Math.sqrt(width / heads);
  return Array.from({ length: Math.ceil(L / rows) }, (_, block) => {
    const row = block * rows;
    const some = rows < L ? slice(q, 1, row, Math.min(rows, L - row)) : q;
    const [weights, logs] = q.graph.apply(softmaxOp, [headScores(some, k, heads)], { scale, causal });
    return { row, q: some, weights, logs, y: headValues(weights, v, heads) };
  });
}

/** `[N, L, heads * D]` with heads of another width: lanes of zeros at the end of each, or without its last lanes. */
function headsTo(x: Value, heads: number, width: number): Value {
  const { N, L, all } = dims(x, "N L all");
  const split = reshape(x, [N, L, heads, all / heads]);
  const changed = width < all / heads ? slice(split, 3, 0, width) : pad(split, 3, 0, width - all / heads);
  return reshape(changed, [N, L, heads * width]);
}

/** Options of {@linkcode attention}. */
export interface AttentionOptions {
  /** Number of heads; divides the width. A head whose width is no multiple of 4 is computed as one that is. */
  readonly heads: number;
  /** True to let a query see only the keys up to its own position. */
  readonly causal?: boolean;
  /**
   * Most scores that are kept for the gradient, `N heads L T`; more are worked off in blocks of queries and computed again
   * backwards, which takes about a third more time (docs/speed.md). 2^24 (64 MiB) when not given. Hardware keeps none.
   */
  readonly most_scores?: number;
}

/**
 * Attention with several heads: `softmax(Q K^T / sqrt(D)) V` for each head of width D.
 *
 * Scores that are too many to keep are there for a block of queries at a time, forwards and backwards, so that memory
 * grows with L + T.
 *
 * @param q `[N, L, heads * D]`. @param k, v `[N, T, heads * D]`.
 * @returns `[N, L, heads * D]`.
 * @throws {TypeError} If the heads do not divide the width, or the shapes do not fit each other.
 *
 * Source: Vaswani et al. 2017, arXiv 1706.03762, eq. 1.
 */
export function attention(q: Value, k: Value, v: Value, options: AttentionOptions): Value {
  const { heads, causal = false, most_scores = 2 ** 24 } = options;
  const { N, L, width } = dims(q, "N L width");
  if (width % heads) {
    throw new TypeError(`Cannot attend with ${heads} heads: they do not divide the width of ${showShape(q.shape)}`);
  }
  const D = width / heads;
  const padded = Math.ceil(D / 4) * 4;
  if (padded !== D) {
    // Lanes of zeros add nothing to a product, and the scale of the scores is that of the padded width.
    const wide = (x: Value) => headsTo(x, heads, padded);
    return headsTo(attention(wide(times(q, Math.sqrt(padded / D))), wide(k), wide(v), options), heads, D);
  }
  const most = Math.max(1, Math.floor(most_scores / (N * heads * extent(k, 1))));
  // The mask counts queries from 0. Only texts are masked, and they are short.
  const attrs = { heads, causal, rows: causal ? L : Math.min(most, L) };
  const y = concat(blocksOf(q, k, v, attrs).map((block) => block.y), 1);
  return apply(attentionOp, [y, q, k, v], attrs);
}
