import { apply, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/minimum.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";
import { mul } from "./mul.ts";
import { affine } from "./affine.ts";
import { sign } from "./sign.ts";
import { sub } from "./sub.ts";

/** `y = min(a, b)` with numpy broadcasting; equal operands share the gradient, as in PyTorch. */
export const minimumOp: Op<NoAttrs, 2> = elementwise({
  name: "minimum",
  source,
  value: ([a, b]) => Math.min(a, b),
  gradient: ({ inputs: [a, b] }, dy) => {
    const d = sign(sub(a, b));
    return [mul(dy, affine(d, -0.5, 0.5)), mul(dy, affine(d, 0.5, 0.5))];
  },
});

/** The smaller of two elements, shapes broadcast. */
export function minimum(a: Value, b: Value): Value {
  return apply(minimumOp, [a, b], {});
}
