import { apply, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/mul.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";

/** `y = a * b` with numpy broadcasting. */
export const mulOp: Op<NoAttrs, 2> = elementwise({
  name: "mul",
  source,
  value: ([a, b]) => a * b,
  gradient: ({ inputs: [a, b] }, dy) => [mul(dy, b), mul(dy, a)],
});

/** Product of two tensors of shapes that broadcast. */
export function mul(a: Value, b: Value): Value {
  return apply(mulOp, [a, b], {});
}
