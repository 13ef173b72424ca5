import { apply, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/log.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";
import { div } from "./div.ts";

/** `y = log(x)`, natural. */
export const logOp: Op<NoAttrs, 1> = elementwise({
  name: "log",
  source,
  value: ([x]) => Math.log(x),
  gradient: ({ inputs: [x] }, dy) => [div(dy, x)],
});

/** Natural logarithm, element-wise. */
export function log(x: Value): Value {
  return apply(logOp, [x], {});
}
