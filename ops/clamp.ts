import { apply, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/clamp.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";
import { mul } from "./mul.ts";
import { affine } from "./affine.ts";
import { step } from "./step.ts";

/** Attributes of {@linkcode clampOp}. */
export type ClampAttrs = { readonly low: number; readonly high: number };

/** `y = min(max(x, low), high)`; the gradient at the bounds is 1, as in PyTorch. */
export const clampOp: Op<ClampAttrs, 1> = elementwise({
  name: "clamp",
  source,
  floats: ({ low, high }) => [low, high],
  value: ([x], { low, high }) => Math.min(Math.max(x, low), high),
  gradient: ({ inputs: [x], attrs: { low, high } }, dy) => {
    // 1 - step is 1 up to and including the bound.
    const inside = mul(affine(step(x, high), -1, 1), affine(step(affine(x, -1), -low), -1, 1));
    return [mul(dy, inside)];
  },
});

/** Limits to `low` to `high`, element-wise. */
export function clamp(x: Value, low: number, high: number): Value {
  return apply(clampOp, [x], { low, high });
}
