import { apply, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/wing_grad.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";
import type { WingAttrs } from "./wing.ts";

/** The gradient of `wing`: zero below its smallest distance. */
export const wingGradOp: Op<WingAttrs, 2> = elementwise({
  name: "wing_grad",
  source,
  floats: ({ omega, epsilon }) => [omega, epsilon],
  value: ([s, dy], { omega, epsilon }) => {
    const d = Math.sqrt(s);
    return s < 1e-6 ? 0 : dy / (2 * d) * (d < omega ? omega / (epsilon + d) : 1);
  },
});

/** Gradient of `wingDistance` at squared distances `s`. */
export function wingGrad(s: Value, dy: Value, attrs: WingAttrs): Value {
  return apply(wingGradOp, [s, dy], attrs);
}
