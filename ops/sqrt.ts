import { apply, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/sqrt.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";
import { div } from "./div.ts";
import { affine } from "./affine.ts";

/** `y = sqrt(x)`. */
export const sqrtOp: Op<NoAttrs, 1> = elementwise({
  name: "sqrt",
  source,
  value: ([x]) => Math.sqrt(x),
  gradient: ({ outputs: [y] }, dy) => [affine(div(dy, y), 0.5)],
});

/** Square root, element-wise. */
export function sqrt(x: Value): Value {
  return apply(sqrtOp, [x], {});
}
