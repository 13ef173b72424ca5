import { apply, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/step.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";

/** Attributes of {@linkcode stepOp}. */
export type StepAttrs = { readonly at: number };

/** `y = x > at ? 1 : 0`; no gradient. */
export const stepOp: Op<StepAttrs, 1> = elementwise({
  name: "step",
  source,
  floats: ({ at }) => [at],
  value: ([x], { at }) => x > at ? 1 : 0,
});

/** Ones where `x` is greater than `at`, element-wise. */
export function step(x: Value, at = 0): Value {
  return apply(stepOp, [x], { at });
}
