import { apply, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/div.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";
import { mul } from "./mul.ts";
import { affine } from "./affine.ts";

/** `y = a / b` with numpy broadcasting. */
export const divOp: Op<NoAttrs, 2> = elementwise({
  name: "div",
  source,
  value: ([a, b]) => a / b,
  gradient: ({ inputs: [, b], outputs: [y] }, dy) => [div(dy, b), affine(div(mul(dy, y), b), -1)],
});

/** Quotient of two tensors of shapes that broadcast. */
export function div(a: Value, b: Value): Value {
  return apply(divOp, [a, b], {});
}
