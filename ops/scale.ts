import { apply, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/scale.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";

/** Attributes of {@linkcode scaleOp}. */
export type ScaleAttrs = { readonly factor: number; readonly offset: number };

/** `y = x * factor + offset` with fixed numbers. */
export const scaleOp: Op<ScaleAttrs, 1> = elementwise({
  name: "scale",
  source,
  floats: ({ factor, offset }) => [factor, offset],
  value: ([x], { factor, offset }) => x * factor + offset,
  gradient: ({ attrs }, dy) => [scale(dy, attrs.factor)],
});

/** Multiplies by a fixed number and adds one. */
export function scale(x: Value, factor: number, offset = 0): Value {
  return apply(scaleOp, [x], { factor, offset });
}
