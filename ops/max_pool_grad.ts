import { apply, elements, type Op, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/max_pool_grad.wgsl" with { type: "text" };
import { accumulator, reader } from "./_reference.ts";
import { eachMaximum, type PoolAttrs, poolSizes } from "./max_pool.ts";

/** The gradient of `max_pool`: `dy` goes to the first maximum of each window, in row-major order. */
export const maxPoolGradOp: Op<PoolAttrs, 2> = {
  name: "max_pool_grad",
  bound: "memory",
  f16: () => "follows",
  shapes: ([x]) => [x],
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [x], outputs: [dx], attrs }) => {
      const { N, H, W, HO, WO, C4, K, S, pad, disjoint } = poolSizes(x.shape, attrs);
      return {
        source,
        label: "shaders/max_pool_grad.wgsl",
        entry: disjoint ? "disjoint" : "forward",
        reads: ["x", "dy"],
        writes: ["dx"],
        constants: { D: disjoint ? K : 1 },
        ints: { H, W, HO, WO, C4, K, S, pad },
        threads: disjoint ? N * HO * WO * C4 : texels(dx.shape),
      };
    },
  },
  flops: ({ inputs: [x], attrs: { kernel } }) => kernel ** 2 * elements(x.shape),
  reference([x, dy], attrs) {
    const DY = reader(dy);
    const { sum: dx, add } = accumulator(x.shape);
    eachMaximum(x, attrs, ({ n, h, w, c, i, j }) => add(DY(n, h, w, c), n, i, j, c));
    return [dx];
  },
};

/** Gradient of `maxPool` at `x`. */
export function maxPoolGrad(x: Value, dy: Value, attrs: PoolAttrs): Value {
  return apply(maxPoolGradOp, [x, dy], attrs);
}
