import { apply, dims, elements, extent, type Op, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/adaptive_sum_pool.wgsl" with { type: "text" };
import { accumulator, eachElement } from "./_reference.ts";
import { gridSizes, resizing, type SizeAttrs, wholeFactor } from "./_resize.ts";
import { upsampleNearest } from "./upsample_nearest.ts";

/** Sums of the pixels that nearest upsampling of the result would make equal: sum pooling, and that op's gradient. */
export const adaptiveSumPoolOp: Op<SizeAttrs, 1> = {
  name: "adaptive_sum_pool",
  ...resizing,
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [x], outputs: [y] }) => {
      const D = wholeFactor(y.shape, x.shape);
      return {
        source,
        label: "shaders/adaptive_sum_pool.wgsl",
        entry: D ? "whole" : "forward",
        reads: ["x"],
        writes: ["y"],
        fusable: ["x"],
        constants: { D },
        ints: gridSizes(x.shape, y.shape),
        threads: texels(y.shape),
      };
    },
  },
  gradient: ({ inputs: [x] }, [dy]) => [upsampleNearest(dy, [extent(x, 1), extent(x, 2)])],
  flops: ({ inputs: [x] }) => elements(x.shape),
  reference([x], { size: [HO, WO] }) {
    const { N, H, W, C } = dims(x, "N H W C");
    const { sum: y, add } = accumulator([N, HO, WO, C]);
    eachElement(x, (v, n, h, w, c) => add(v, n, Math.floor(h * HO / H), Math.floor(w * WO / W), c));
    return [y];
  },
};

/** Sums `[N, H, W, C]` over the regions of a coarser grid of `size` (height, width). */
export function adaptiveSumPool(x: Value, size: readonly [number, number]): Value {
  return x.shape[1] === size[0] && x.shape[2] === size[1] ? x : apply(adaptiveSumPoolOp, [x], { size });
}
