import { apply, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/silu.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";
import { siluGrad } from "./silu_grad.ts";

/** `y = x / (1 + exp(-x))`. Source: Elfwing et al. 2017, arXiv 1702.03118. */
export const siluOp: Op<NoAttrs, 1> = elementwise({
  name: "silu",
  source,
  value: ([x]) => x / (1 + Math.exp(-x)),
  gradient: ({ inputs: [x] }, dy) => [siluGrad(x, dy)],
});

/** Sigmoid-weighted linear unit, element-wise. */
export function silu(x: Value): Value {
  return apply(siluOp, [x], {});
}
