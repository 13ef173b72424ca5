import { apply, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/affine.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";

/** Attributes of {@linkcode affineOp}. */
export type AffineAttrs = { readonly factor: number; readonly offset: number };

/** `y = x * factor + offset` with fixed numbers. */
export const affineOp: Op<AffineAttrs, 1> = elementwise({
  name: "affine",
  source,
  floats: ({ factor, offset }) => [factor, offset],
  value: ([x], { factor, offset }) => x * factor + offset,
  gradient: ({ attrs }, dy) => [affine(dy, attrs.factor)],
});

/** Multiplies by a fixed number and adds one. */
export function affine(x: Value, factor: number, offset = 0): Value {
  return apply(affineOp, [x], { factor, offset });
}
