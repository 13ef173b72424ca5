import { apply, elements, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/sum_last.wgsl" with { type: "text" };
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
      ints: { C: x.shape.at(-1), C4: Math.ceil(x.shape.at(-1) / 4) },
      threads: elements(x.shape.slice(0, -1)),
    }),
  },
  gradient: ({ inputs: [x] }, [dy]) => [expandTo(dy, x.shape)],
  flops: ({ inputs: [x] }) => elements(x.shape),
  reference([x]) {
    const last = x.shape.at(-1);
    const data = new Float64Array(x.data.length / last);
    x.data.forEach((v, k) => data[Math.floor(k / last)] += v);
    return [{ shape: [...x.shape.slice(0, -1), 1], data }];
  },
};

/** Sum over the innermost dimension, which becomes 1. */
export function sumLast(x: Value): Value {
  return x.shape.at(-1) === 1 ? x : apply(sumLastOp, [x], {});
}
