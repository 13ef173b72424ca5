import { apply, type Op, type Value } from "../engine/graph.ts";
import { type AttentionTilesAttrs, WIDEST_HEAD } from "./_attention.ts";
import { attentionTilesOp } from "./attention_tiles.ts";
import { type AttentionTilesGradAttrs, attentionTilesGradOp } from "./attention_tiles_grad.ts";
import { mul } from "./mul.ts";
import { reshape } from "./reshape.ts";
import { sumLast } from "./sum_last.ts";

/** Sums of result times gradient over each head, `[N, L, heads, 1]`: what the softmax subtracts backwards. */
export function headProducts(y: Value, dy: Value, heads: number): Value {
  const [N, L, width] = y.shape as [number, number, number];
  return sumLast(reshape(mul(y, dy), [N, L, heads, width / heads]));
}

/** Whether attention of these values has a kernel that tiles in workgroup memory. */
export function fitsTiles(q: Value, { heads }: AttentionTilesAttrs): boolean {
  return q.shape[2]! / heads <= WIDEST_HEAD;
}

/**
 * A gradient of attention: inputs are the gradient, as products of stored weights give it, q, k, v and the gradient of
 * the result; the output is the gradient. On hardware a kernel with its own weights stands in its place.
 */
export const attentionGradOp: Op<AttentionTilesGradAttrs> = {
  name: "attention_grad",
  bound: "memory",
  shapes: ([dx]) => [dx!],
  lowering: { kind: "view" },
  decompose({ inputs: [, q, k, v, dy], attrs }, _, { tiled }) {
    if (!tiled || !fitsTiles(q!, attrs)) return null;
    const { heads, causal } = attrs;
    const [y, logs] = q!.graph.apply(attentionTilesOp, [q!, k!, v!], { heads, causal }) as [Value, Value];
    return apply(attentionTilesGradOp, [q!, k!, v!, dy!, logs, headProducts(y, dy!, heads)], attrs);
  },
  flops: () => 0,
  reference: ([dx]) => [dx!],
};
