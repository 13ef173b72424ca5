import { apply, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/tanh.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";
import { mul } from "./mul.ts";
import { affine } from "./affine.ts";

/** `y = tanh(x)`. */
export const tanhOp: Op<NoAttrs, 1> = elementwise({
  name: "tanh",
  source,
  value: ([x]) => Math.tanh(x),
  gradient: ({ outputs: [y] }, dy) => [mul(dy, affine(mul(y, y), -1, 1))],
});

/** Hyperbolic tangent, element-wise. */
export function tanh(x: Value): Value {
  return apply(tanhOp, [x], {});
}
