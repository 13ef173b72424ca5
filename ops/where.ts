import { apply, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/where.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";

/** `y = condition != 0 ? a : b` with numpy broadcasting. */
export const whereOp: Op<NoAttrs, 3> = elementwise({
  name: "where",
  source,
  value: ([condition, a, b]) => condition !== 0 ? a : b,
  gradient: ({ inputs: [condition] }, dy) => {
    const zero = dy.graph.constant([0], [1]);
    return [null, where(condition, dy, zero), where(condition, zero, dy)];
  },
});

/** Elements of `a` where `condition` is not zero, of `b` elsewhere; shapes broadcast. */
export function where(condition: Value, a: Value, b: Value): Value {
  return apply(whereOp, [condition, a, b], {});
}
