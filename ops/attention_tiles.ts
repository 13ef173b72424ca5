import { elements, type Op, sameShape, type Shape, showShape } from "../engine/graph.ts";
import source from "../shaders/attention_tiles.wgsl" with { type: "text" };
import { attentionKernel, type AttentionTilesAttrs, eachQuery, WIDEST_HEAD } from "./_attention.ts";

/** Throws if queries and keys cannot be attended to in tiles. */
export function checkAttention(q: Shape, k: Shape, v: Shape, { heads, causal }: AttentionTilesAttrs): void {
  const wide = q[2]! / heads;
  const fits = q[0] === k[0] && q[2] === k[2] && sameShape(k, v) && wide % 4 === 0 && wide <= WIDEST_HEAD;
  if (!fits || causal && q[1]! > k[1]!) {
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
export const attentionTilesOp: Op<AttentionTilesAttrs> = {
  name: "attention_tiles",
  bound: "compute",
  shapes: ([q, k, v], attrs) => {
    checkAttention(q!, k!, v!, attrs);
    return [q!, [q![0]!, attrs.heads, q![1]!, 1]];
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [q, k], attrs }) =>
      attentionKernel({
        source,
        label: "shaders/attention_tiles.wgsl",
        reads: ["q", "k", "v"],
        writes: ["y", "l"],
        rows: q!.shape,
        columns: k!.shape,
        online: true,
      }, attrs),
  },
  flops: ({ inputs: [q, k] }) => 4 * elements(q!.shape) * k!.shape[1]!,
  reference([q, k, v], attrs) {
    const D = q!.shape[2]! / attrs.heads;
    const y = new Float64Array(q!.data.length);
    const logs: number[] = [];
    eachQuery(q!.shape, k!.shape, attrs, ({ from }, keys) => {
      const scores = keys.map((at) => {
        let score = 0;
        for (let d = 0; d < D; d++) score += q!.data[from + d]! * k!.data[at + d]! / Math.sqrt(D);
        return score;
      });
      const log = Math.log(scores.reduce((sum, score) => sum + Math.exp(score), 0));
      keys.forEach((at, t) => {
        for (let d = 0; d < D; d++) y[from + d]! += Math.exp(scores[t]! - log) * v!.data[at + d]!;
      });
      logs.push(log);
    });
    const [N, L] = q!.shape as [number, number];
    return [{ shape: q!.shape, data: y }, { shape: [N, attrs.heads, L, 1], data: Float64Array.from(logs) }];
  },
};
