import { apply, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/smooth_l1_grad.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";
import type { SmoothL1Attrs } from "./smooth_l1.ts";

/** `ds = dy / (2 max(sqrt(s), beta))`: the gradient of `smooth_l1`. */
export const smoothL1GradOp: Op<SmoothL1Attrs, 2> = elementwise({
  name: "smooth_l1_grad",
  source,
  floats: ({ beta }) => [beta],
  value: ([s, dy], { beta }) => dy / (2 * Math.max(Math.sqrt(s), beta)),
});

/** Gradient of `smoothDistance` at squared distances `s`. */
export function smoothL1Grad(s: Value, dy: Value, beta: number): Value {
  return apply(smoothL1GradOp, [s, dy], { beta });
}
