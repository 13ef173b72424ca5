import { apply, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/silu_grad.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";

/** `dx = dy s (1 + x (1 - s))`, `s = 1 / (1 + exp(-x))`: the gradient of `silu`. */
export const siluGradOp: Op<NoAttrs, 2> = elementwise({
  name: "silu_grad",
  source,
  value: ([x, dy]) => {
    const s = 1 / (1 + Math.exp(-x));
    return dy * s * (1 + x * (1 - s));
  },
});

/** Gradient of `silu` at `x`, in one kernel. */
export function siluGrad(x: Value, dy: Value): Value {
  return apply(siluGradOp, [x, dy], {});
}
