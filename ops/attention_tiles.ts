import { dims, elements, extent, type Op, sameShape, type Shape, showShape } from "../engine/graph.ts";
import source from "../shaders/attention_tiles.wgsl" with { type: "text" };
import { attentionKernel, attentionNumbers, type AttentionTilesAttrs, WIDEST_HEAD } from "./_attention.ts";
import { reader, sumOver, tabulate } from "./_reference.ts";

/** Throws if queries and keys cannot be attended to in tiles. */
export function checkAttention(q: Shape, k: Shape, v: Shape, { heads, causal }: AttentionTilesAttrs): void {
  const { N, L, width } = dims(q, "N L width");
  const wide = width / heads;
  const fits = N === k[0] && width === k[2] && sameShape(k, v) && wide % 4 === 0 && wide <= WIDEST_HEAD;
  if (!fits || causal && L > extent(k, 1)) {
    throw new TypeError(
      `Cannot attend with ${heads} heads${causal ? ", causally" : ""}: shapes are ${[q, k, v].map(showShape)}, ` +
        `a head's width is a multiple of 4 up to ${WIDEST_HEAD}`,
    );
  }
}

/**
 * Attention in one kernel, in memory that grows with the tokens: `y = softmax(Q K^T / sqrt(D)) V` head by head, and the
 * logarithms of the sums that divide the weights, `[N, heads, L, 1]`.
 *
 * For hardware; `ops/attention.ts` puts it in the place of products and softmax where it is faster.
 *
 * Source: Dao 2023, arXiv 2307.08691, algorithm 1.
 */
export const attentionTilesOp: Op<AttentionTilesAttrs, 3, 2> = {
  name: "attention_tiles",
  bound: "compute",
  f16: (_, output) => output === 0 ? "always" : "never",
  shapes: ([q, k, v], attrs) => {
    checkAttention(q, k, v, attrs);
    const { N, L } = dims(q, "N L width");
    return [q, [N, attrs.heads, L, 1]];
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [q, k], attrs }) =>
      attentionKernel({
        source,
        label: "shaders/attention_tiles.wgsl",
        reads: ["q", "k", "v"],
        writes: ["y", "l"],
        rows: q.shape,
        columns: k.shape,
        online: true,
      }, attrs),
  },
  flops: ({ inputs: [q, k] }) => 4 * elements(q.shape) * extent(k, 1),
  reference([q, k, v], attrs) {
    const { split, score, logs, D } = attentionNumbers(q, k, attrs);
    const { N, L } = dims(q, "N L width");
    const [V, log] = [split(v), reader(logs)];
    const { data } = tabulate(
      [N, L, attrs.heads, D],
      (n, l, h, d) => sumOver([extent(k, 1)], (t) => Math.exp(score(n, h, l, t) - log(n, h, l)) * V(n, t, h, d)),
    );
    return [{ shape: q.shape, data }, logs];
  },
};
