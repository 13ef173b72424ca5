import { apply, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/abs.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";
import { mul } from "./mul.ts";
import { sign } from "./sign.ts";

/** `y = |x|`; the gradient at 0 is 0. */
export const absOp: Op<NoAttrs, 1> = elementwise({
  name: "abs",
  source,
  value: ([x]) => Math.abs(x),
  gradient: ({ inputs: [x] }, dy) => [mul(dy, sign(x))],
});

/** Absolute value, element-wise. */
export function abs(x: Value): Value {
  return apply(absOp, [x], {});
}
