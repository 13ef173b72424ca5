import { apply, dims, extent, type Op, type Value } from "../engine/graph.ts";
import { type AttentionTilesAttrs, WIDEST_HEAD } from "./_attention.ts";
import { reader, sumOver, tabulate } from "./_reference.ts";
import { attentionTilesOp } from "./attention_tiles.ts";
import { type AttentionTilesGradAttrs, attentionTilesGradOp } from "./attention_tiles_grad.ts";
import { mul } from "./mul.ts";
import { reshape } from "./reshape.ts";
import { sumLast } from "./sum_last.ts";

/** Sums of result times gradient over each head, `[N, L, heads, 1]`; the backward softmax subtracts them. */
export function rowDot(y: Value, dy: Value, heads: number): Value {
  const { N, L, width } = dims(y, "N L width");
  return sumLast(reshape(mul(y, dy), [N, L, heads, width / heads]));
}

/** Returns true if attention of these values has a kernel that tiles in workgroup memory. */
export function fitsTiles(q: Value, { heads }: AttentionTilesAttrs): boolean {
  return extent(q, 2) / heads <= WIDEST_HEAD;
}

/**
 * A gradient of attention: inputs are the gradient, as products of stored weights give it, q, k, v and the gradient of
 * the result; the output is the gradient. On hardware a kernel with its own weights stands in its place.
 */
export const attentionGradOp: Op<AttentionTilesGradAttrs, 5> = {
  name: "attention_grad",
  bound: "memory",
  shapes: ([dx]) => [dx],
  lowering: { kind: "view" },
  decompose({ inputs: [, q, k, v, dy], attrs }, _, { tiled }) {
    if (!tiled || !fitsTiles(q, attrs)) return null;
    const { heads, causal } = attrs;
    const [y, logs] = q.graph.apply(attentionTilesOp, [q, k, v], { heads, causal });
    return [apply(attentionTilesGradOp, [q, k, v, dy, logs, rowDot(y, dy, heads)], attrs)];
  },
  flops: () => 0,
  reference([, q, k, v, dy], attrs) {
    const [y, logs] = attentionTilesOp.reference([q, k, v], attrs);
    const { N, L, width } = dims(q, "N L width");
    const split = [N, L, attrs.heads, width / attrs.heads];
    const [Y, DY] = [reader(y, split), reader(dy, split)];
    const sums = tabulate(
      [N, L, attrs.heads, 1],
      (n, l, h) => sumOver([width / attrs.heads], (d) => Y(n, l, h, d) * DY(n, l, h, d)),
    );
    return attentionTilesGradOp.reference([q, k, v, dy, logs, sums], attrs);
  },
};
