import { apply, type NoAttrs, type Op, type Value } from "../engine/graph.ts";

/** `y = x`; no gradient flows back. */
export const stopGradientOp: Op<NoAttrs, 1> = {
  name: "stop_gradient",
  bound: "memory",
  shapes: ([x]) => [x],
  lowering: { kind: "view" },
  flops: () => 0,
  reference: ([x]) => [x],
};

/** The same values, which count as constants when a loss is differentiated. */
export function stopGradient(x: Value): Value {
  return apply(stopGradientOp, [x], {});
}
