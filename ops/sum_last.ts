import { apply, elements, extent, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/sum_last.wgsl" with { type: "text" };
import { fromRows, rowsOf } from "./_reference.ts";
import { expandTo } from "./expand.ts";

/** `y[..., 0] = sum over c of x[..., c]`. */
export const sumLastOp: Op<NoAttrs, 1> = {
  name: "sum_last",
  bound: "memory",
  shapes: ([x]) => [[...x.slice(0, -1), 1]],
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [x] }) => ({
      source,
      label: "shaders/sum_last.wgsl",
      entry: "forward",
      reads: ["x"],
      writes: ["y"],
      fusable: ["x"],
      ints: { C: extent(x, -1), C4: Math.ceil(extent(x, -1) / 4) },
      threads: elements(x.shape.slice(0, -1)),
    }),
  },
  gradient: ({ inputs: [x] }, [dy]) => [expandTo(dy, x.shape)],
  flops: ({ inputs: [x] }) => elements(x.shape),
  reference: ([x]) => [
    fromRows([...x.shape.slice(0, -1), 1], rowsOf(x).map((row) => [row.reduce((a, b) => a + b)])),
  ],
};

/** Sum over the innermost dimension, which becomes 1. */
export function sumLast(x: Value): Value {
  return x.shape.at(-1) === 1 ? x : apply(sumLastOp, [x], {});
}
