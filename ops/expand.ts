import { apply, type Op, sameShape, type Shape, type Value } from "../engine/graph.ts";
import source from "../shaders/expand.wgsl" with { type: "text" };
import { broadcast, broadcastShape } from "./_elementwise.ts";
import { sumTo } from "./sum.ts";

/** Attributes of {@linkcode expandOp}. */
export type ExpandAttrs = { readonly shape: readonly number[] };

/** `y = x`, repeated along dimensions of size 1. */
export const expandOp: Op<ExpandAttrs, 1> = {
  name: "expand",
  bound: "memory",
  lowering: { kind: "elementwise", source },
  shapes: ([x], { shape }) => [broadcastShape("expand", [x, shape])],
  gradient: ({ inputs: [x] }, [dy]) => [sumTo(dy, x.shape)],
  flops: () => 0,
  reference: ([x], { shape }) => [{ shape, data: broadcast(x, shape) }],
};

/** Repeats `x` along its dimensions of size 1 to fill `shape`. */
export function expandTo(x: Value, shape: Shape): Value {
  return sameShape(x.shape, shape) ? x : apply(expandOp, [x], { shape });
}
