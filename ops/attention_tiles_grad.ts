import { dims, elements, extent, type Op } from "../engine/graph.ts";
import source from "../shaders/attention_tiles_grad.wgsl" with { type: "text" };
import { attentionKernel, attentionNumbers, type AttentionTilesAttrs } from "./_attention.ts";
import { reader, sumOver, tabulate } from "./_reference.ts";
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
export const attentionTilesGradOp: Op<AttentionTilesGradAttrs, 6> = {
  name: "attention_tiles_grad",
  bound: "compute",
  f16: () => "always",
  shapes: ([q, k, v], attrs) => {
    checkAttention(q, k, v, attrs);
    return [attrs.wrt === "q" ? q : k];
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
        rows: (flipped ? k : q).shape,
        columns: (flipped ? q : k).shape,
        pairs: attrs.wrt !== "v",
        flipped,
      }, attrs);
    },
  },
  flops: ({ inputs: [q, k], attrs: { wrt } }) => (wrt === "v" ? 4 : 6) * elements(q.shape) * extent(k, 1),
  reference([q, k, v, dy, logs, sums], attrs) {
    const { heads, wrt } = attrs;
    const { N, L } = dims(q, "N L width");
    const T = extent(k, 1);
    const { split, score, D, scale } = attentionNumbers(q, k, attrs);
    const [Q, K, V, DY] = [split(q), split(k), split(v), split(dy)];
    const [log, sum] = [reader(logs), reader(sums)];
    const weight = reader(tabulate([N, heads, L, T], (n, h, l, t) => Math.exp(score(n, h, l, t) - log(n, h, l))));
    const ds = reader(
      tabulate(
        [N, heads, L, T],
        (n, h, l, t) =>
          scale * weight(n, h, l, t) * (sumOver([D], (d) => DY(n, l, h, d) * V(n, t, h, d)) - sum(n, l, h)),
      ),
    );
    const dx = {
      q: () => tabulate([N, L, heads, D], (n, l, h, d) => sumOver([T], (t) => ds(n, h, l, t) * K(n, t, h, d))),
      k: () => tabulate([N, T, heads, D], (n, t, h, d) => sumOver([L], (l) => ds(n, h, l, t) * Q(n, l, h, d))),
      v: () => tabulate([N, T, heads, D], (n, t, h, d) => sumOver([L], (l) => weight(n, h, l, t) * DY(n, l, h, d))),
    }[wrt]();
    return [{ shape: wrt === "q" ? q.shape : k.shape, data: dx.data }];
  },
};
