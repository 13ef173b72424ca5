import { apply, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/exp.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";
import { mul } from "./mul.ts";

/** `y = exp(x)`. */
export const expOp: Op<NoAttrs, 1> = elementwise({
  name: "exp",
  source,
  value: ([x]) => Math.exp(x),
  gradient: ({ outputs: [y] }, dy) => [mul(dy, y)],
});

/** Exponential function, element-wise. */
export function exp(x: Value): Value {
  return apply(expOp, [x], {});
}
