import { apply, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/rsqrt.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";
import { mul } from "./mul.ts";
import { affine } from "./affine.ts";

/** Attributes of {@linkcode rsqrtOp}. */
export type RsqrtAttrs = { readonly eps: number };

/** `y = 1 / sqrt(x + eps)`. */
export const rsqrtOp: Op<RsqrtAttrs, 1> = elementwise({
  name: "rsqrt",
  source,
  floats: ({ eps }) => [eps],
  value: ([x], { eps }) => 1 / Math.sqrt(x + eps),
  gradient: ({ outputs: [y] }, dy) => [affine(mul(dy, mul(y, mul(y, y))), -0.5)],
});

/** Reciprocal square root of `x + eps`, element-wise. */
export function rsqrt(x: Value, eps = 0): Value {
  return apply(rsqrtOp, [x], { eps });
}
