import { apply, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/sign.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";

/** `y = -1, 0 or 1`; no gradient. */
export const signOp: Op<NoAttrs, 1> = elementwise({
  name: "sign",
  source,
  value: ([x]) => Math.sign(x),
});

/** Sign, element-wise. */
export function sign(x: Value): Value {
  return apply(signOp, [x], {});
}
