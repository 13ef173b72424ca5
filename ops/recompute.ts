import { apply, type NoAttrs, type Op, type Value } from "../engine/graph.ts";

/** `y = x`, as another node: see {@linkcode recompute}. */
export const recomputeOp: Op<NoAttrs, 1> = {
  name: "recompute",
  bound: "memory",
  shapes: ([x]) => [x],
  lowering: { kind: "view" },
  gradient: (_, [dy]) => [dy],
  flops: () => 0,
  reference: ([x]) => [x],
};

/**
 * An identity that is a barrier to common subexpressions: the graph shares no computation across it, so that the gradient
 * recomputes values instead of keeping them.
 *
 * Source: Chen et al. 2016, arXiv 1604.06174.
 */
export function recompute(x: Value): Value {
  return apply(recomputeOp, [x], {});
}
