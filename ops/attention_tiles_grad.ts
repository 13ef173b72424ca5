import { elements, type Op } from "../engine/graph.ts";
import source from "../shaders/attention_tiles_grad.wgsl" with { type: "text" };
import { attentionKernel, type AttentionTilesAttrs, eachQuery } from "./_attention.ts";
import { checkAttention } from "./attention_tiles.ts";

/** Attributes of {@linkcode attentionTilesGradOp}: the input whose gradient it is. */
export type AttentionTilesGradAttrs = AttentionTilesAttrs & { readonly wrt: "q" | "k" | "v" };

/**
 * A gradient of attention in one kernel, which computes the weights again: inputs are q, k, v, the gradient of the
 * result, the logarithms of `attention_tiles`, `[N, heads, L, 1]`, and the sums of result times gradient over a head,
 * `[N, L, heads, 1]`.
 *
 * Source: Dao 2023, arXiv 2307.08691, algorithm 2; a kernel for each gradient, as WebGPU cannot add to floats from two.
 */
export const attentionTilesGradOp: Op<AttentionTilesGradAttrs> = {
  name: "attention_tiles_grad",
  bound: "compute",
  shapes: ([q, k, v], attrs) => {
    checkAttention(q!, k!, v!, attrs);
    return [attrs.wrt === "q" ? q! : k!];
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [q, k], attrs }) => {
      const flipped = attrs.wrt !== "q";
      return attentionKernel({
        source,
        label: "shaders/attention_tiles_grad.wgsl",
        reads: ["q", "k", "v", "dy", "l", "d"],
        writes: ["y"],
        rows: (flipped ? k : q)!.shape,
        columns: (flipped ? q : k)!.shape,
        pairs: attrs.wrt !== "v",
        flipped,
      }, attrs);
    },
  },
  flops: ({ inputs: [q, k], attrs: { wrt } }) => (wrt === "v" ? 4 : 6) * elements(q!.shape) * k!.shape[1]!,
  reference([q, k, v, dy, logs, sums], attrs) {
    const { heads, wrt } = attrs;
    const [, L, width] = q!.shape as [number, number, number];
    const D = width / heads;
    const dx = wrt === "q" ? q! : k!;
    const data = new Float64Array(dx.data.length);
    eachQuery(q!.shape, k!.shape, attrs, ({ n, h, l, from }, keys) => {
      for (const at of keys) {
        let [score, product] = [0, 0];
        for (let d = 0; d < D; d++) {
          score += q!.data[from + d]! * k!.data[at + d]! / Math.sqrt(D);
          product += dy!.data[from + d]! * v!.data[at + d]!;
        }
        const weight = Math.exp(score - logs!.data[(n * heads + h) * L + l]!);
        const ds = weight * (product - sums!.data[(n * L + l) * heads + h]!) / Math.sqrt(D);
        for (let d = 0; d < D; d++) {
          if (wrt === "q") data[from + d]! += ds * k!.data[at + d]!;
          else if (wrt === "k") data[at + d]! += ds * q!.data[from + d]!;
          else data[at + d]! += weight * dy!.data[from + d]!;
        }
      }
    });
    return [{ shape: dx.shape, data }];
  },
};
