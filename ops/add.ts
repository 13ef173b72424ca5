import { apply, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/add.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";

/** `y = a + b` with numpy broadcasting. */
export const addOp: Op<NoAttrs, 2> = elementwise({
  name: "add",
  source,
  value: ([a, b]) => a + b,
  gradient: (_, dy) => [dy, dy],
});

/** Sum of two tensors of shapes that broadcast. */
export function add(a: Value, b: Value): Value {
  return apply(addOp, [a, b], {});
}
