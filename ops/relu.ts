import { apply, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/relu.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";
import { mul } from "./mul.ts";
import { step } from "./step.ts";

/** `y = max(x, 0)`; the gradient at 0 is 0. */
export const reluOp: Op<NoAttrs, 1> = elementwise({
  name: "relu",
  source,
  value: ([x]) => Math.max(x, 0),
  gradient: ({ inputs: [x] }, dy) => [mul(dy, step(x))],
});

/** Rectified linear unit, element-wise. */
export function relu(x: Value): Value {
  return apply(reluOp, [x], {});
}
