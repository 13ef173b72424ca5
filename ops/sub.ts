import { apply, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/sub.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";
import { affine } from "./affine.ts";

/** `y = a - b` with numpy broadcasting. */
export const subOp: Op<NoAttrs, 2> = elementwise({
  name: "sub",
  source,
  value: ([a, b]) => a - b,
  gradient: (_, dy) => [dy, affine(dy, -1)],
});

/** Difference of two tensors of shapes that broadcast. */
export function sub(a: Value, b: Value): Value {
  return apply(subOp, [a, b], {});
}
