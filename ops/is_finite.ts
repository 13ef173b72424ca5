import { apply, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/is_finite.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";

/** `y = 1` where x is a number, 0 where it is infinite or none; no gradient. */
export const isFiniteOp: Op<NoAttrs, 1> = elementwise({
  name: "is_finite",
  source,
  value: ([x]) => Number(Number.isFinite(x)),
});

/** Ones where `x` is finite, element-wise. */
export function isFinite(x: Value): Value {
  return apply(isFiniteOp, [x], {});
}
