import { apply, elements, type Op, texels, type Value } from "../runtime/graph.ts";
import source from "../shaders/max_middle.wgsl" with { type: "text" };
import { largestDivisor, type SumAttrs } from "./sum.ts";

/** `y[a, s, ...] = max over the s-th part of b of x[a, b, ...]`. It stops the gradient: softmax does not depend on it. */
export const maxMiddleOp: Op<SumAttrs> = {
  name: "max_middle",
  bound: "memory",
  shapes: ([x], { parts }) => [[x![0]!, parts, ...x!.slice(2)]],
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [x], outputs: [y], attrs: { parts } }) => ({
      source,
      label: "shaders/max_middle.wgsl",
      entry: "forward",
      reads: ["x"],
      writes: ["y"],
      fusable: ["x"],
      ints: { B: x!.shape[1]!, S: parts, C4: texels(x!.shape.slice(2)), step: x!.shape[1]! / parts },
      threads: texels(y!.shape),
    }),
  },
  flops: ({ inputs: [x] }) => elements(x!.shape),
  reference([x], { parts }) {
    const [A, B] = x!.shape as [number, number];
    const C = elements(x!.shape.slice(2));
    const data = new Float64Array(A * parts * C).fill(-Infinity);
    x!.data.forEach((v, e) => {
      const row = Math.floor(e / C);
      const to = (Math.floor(row / B) * parts + Math.floor(row % B * parts / B)) * C + e % C;
      data[to] = Math.max(data[to]!, v);
    });
    return [{ shape: [A, parts, ...x!.shape.slice(2)], data }];
  },
};

/**
 * Largest of `[A, B, ...]` over B, in one pass or two as `sumMiddle`.
 *
 * @returns `[A, 1, ...]`; no gradient flows through it.
 */
export function maxMiddle(x: Value): Value {
  const [A, B] = x.shape as [number, number];
  const wanted = Math.min(Math.ceil(B / 16), Math.ceil(1024 / (A * texels(x.shape.slice(2)))));
  const parts = largestDivisor(B, wanted);
  return apply(maxMiddleOp, [parts > 1 ? apply(maxMiddleOp, [x], { parts }) : x], { parts: 1 });
}
