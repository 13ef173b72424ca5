import { apply, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/sigmoid.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";
import { mul } from "./mul.ts";
import { affine } from "./affine.ts";

/** `y = 1 / (1 + exp(-x))`. */
export const sigmoidOp: Op<NoAttrs, 1> = elementwise({
  name: "sigmoid",
  source,
  value: ([x]) => 1 / (1 + Math.exp(-x)),
  gradient: ({ outputs: [y] }, dy) => [mul(dy, mul(y, affine(y, -1, 1)))],
});

/** Logistic function, element-wise. */
export function sigmoid(x: Value): Value {
  return apply(sigmoidOp, [x], {});
}
