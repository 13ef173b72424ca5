import { apply, elements, type Graph, type NoAttrs, type Op, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/add_squares.wgsl" with { type: "text" };
import { accumulator } from "./_reference.ts";
import { sum } from "./sum.ts";

/** Tensors that one dispatch takes: with the two accumulators they fit the smallest binding limit. */
const TOGETHER = 4;
/** Tensors that one dispatch takes on hardware, where it binds as many: the host takes as long to encode a small one. */
const TOGETHER_ON_HARDWARE = 64;
/** Partial sums, enough invocations to fill a GPU. */
const PARTS = 1024;

/** The partial sums and the tensors whose squares are added to them. */
function split<T>(inputs: readonly T[]): readonly [T, ...T[]] {
  return inputs as readonly [T, ...T[]];
}

/** `y = a + squares of the x_k`, spread over the `[T, 4]` partial sums of `a`; only their total means something. */
export const addSquaresOp: Op<NoAttrs, number> = {
  name: "add_squares",
  bound: "memory",
  shapes: (inputs) => [split(inputs)[0]],
  lowering: {
    kind: "kernel",
    kernel: ({ inputs }) => {
      const [a, ...xs] = split(inputs);
      return {
        source,
        label: "shaders/add_squares.wgsl",
        entry: "forward",
        reads: ["a", ...xs.map((_, k) => `x${k}`)],
        writes: ["y"],
        constants: { X: xs.length },
        ints: Object.fromEntries(xs.map((x, k) => [`n${k}`, texels(x.shape)])),
        threads: texels(a.shape),
      };
    },
  },
  decompose({ inputs }, _, { tiled, bindings }) {
    const [a, ...xs] = split(inputs);
    const most = tiled ? Math.min(TOGETHER_ON_HARDWARE, bindings - 2) : TOGETHER;
    if (xs.length <= most) return null;
    // One after the other, so that the sum is the same however many a dispatch takes.
    let total = a;
    for (let k = 0; k < xs.length; k += most) total = apply(addSquaresOp, [total, ...xs.slice(k, k + most)], {});
    return [total];
  },
  flops: ({ inputs: [, ...xs] }) => xs.reduce((n, x) => n + 2 * elements(x.shape), 0),
  reference(inputs) {
    const [a, ...xs] = split(inputs);
    const { sum: y, add } = accumulator([a.data.length]);
    a.data.forEach((v, k) => add(v, k));
    for (const x of xs) {
      const last = x.shape.at(-1) ?? 1;
      const wide = Math.ceil(last / 4) * 4;
      x.data.forEach((v, k) => add(v * v, (Math.floor(k / last) * wide + k % last) % a.data.length));
    }
    return [{ shape: a.shape, data: y.data }];
  },
};

/** Zeros that sums of squares start from, by graph: equal sums are one node, as they start from one. */
const starts = new WeakMap<Graph, Value>();

function startOf(graph: Graph): Value {
  const start = starts.get(graph) ?? graph.constant(new Float32Array(PARTS * 4), [PARTS, 4]);
  starts.set(graph, start);
  return start;
}

/** Sum of the squares of all elements of all `xs`, `[1]`; a dispatch takes many of them. */
export function sumOfSquares(xs: readonly Value[]): Value {
  const [first] = split(xs);
  return sum(apply(addSquaresOp, [startOf(first.graph), ...xs], {}));
}
