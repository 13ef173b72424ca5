import { apply, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/unscale.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";

/** `y = factor x`, and zero where the factor is zero even if x is not finite; no gradient. */
export const unscaleOp: Op<NoAttrs, 2> = elementwise({
  name: "unscale",
  source,
  value: ([x, factor]) => factor === 0 ? 0 : x * factor,
});

/** The product of `x` and `factor`, which may be `[1]`; a factor of zero gives zeros, also for NaN and infinity. */
export function unscale(x: Value, factor: Value): Value {
  return apply(unscaleOp, [x, factor], {});
}
