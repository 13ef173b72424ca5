import { apply, type Op, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/repack.wgsl" with { type: "text" };
import type { ReshapeAttrs } from "./reshape.ts";

/** A reshape that changes the padding of the innermost dimension, so that elements move between texels. */
export const repackOp: Op<ReshapeAttrs, 1> = {
  name: "repack",
  bound: "memory",
  f16: () => "follows",
  shapes: (_, { shape }) => [shape],
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [x], outputs: [y] }) => {
      const [C, D] = [x.shape.at(-1) ?? 1, y.shape.at(-1) ?? 1];
      return {
        source,
        label: "shaders/repack.wgsl",
        entry: "forward",
        reads: ["x"],
        writes: ["y"],
        ints: { C, C4: Math.ceil(C / 4), D, D4: Math.ceil(D / 4) },
        threads: texels(y.shape),
      };
    },
  },
  gradient: ({ inputs: [x] }, [dy]) => [repack(dy, x.shape)],
  flops: () => 0,
  reference: ([x], { shape }) => [{ shape, data: x.data }],
};

/** Moves the elements of `x` to `shape`; `reshape` calls this where it must. */
export function repack(x: Value, shape: readonly number[]): Value {
  return apply(repackOp, [x], { shape });
}
