import { apply, dims, elements, type Op, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/sum_regions.wgsl" with { type: "text" };
import { type SizeAttrs, upsampleNearest, wholeFactor } from "./upsample_nearest.ts";

/** Sums of the pixels that nearest upsampling of the result would make equal: sum pooling, and that op's gradient. */
export const sumRegionsOp: Op<SizeAttrs, 1> = {
  name: "sum_regions",
  bound: "memory",
  shapes: ([x], { size }) => [[x[0], ...size, x[3]]],
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [x], outputs: [y] }) => {
      const D = wholeFactor(y.shape, x.shape);
      return {
        source,
        label: "shaders/sum_regions.wgsl",
        entry: D ? "whole" : "forward",
        reads: ["x"],
        writes: ["y"],
        fusable: ["x"],
        constants: { D },
        ints: { H: x.shape[1], W: x.shape[2], HO: y.shape[1], WO: y.shape[2], C4: Math.ceil(x.shape[3] / 4) },
        threads: texels(y.shape),
      };
    },
  },
  gradient: ({ inputs: [x] }, [dy]) => [upsampleNearest(dy, [x.shape[1], x.shape[2]])],
  flops: ({ inputs: [x] }) => elements(x.shape),
  reference([x], { size: [HO, WO] }) {
    const { N, H, W, C } = dims(x, "N H W C");
    const data = new Float64Array(N * HO * WO * C);
    for (let n = 0; n < N; n++) {
      for (let h = 0; h < H; h++) {
        for (let w = 0; w < W; w++) {
          const to = (n * HO + Math.floor(h * HO / H)) * WO + Math.floor(w * WO / W);
          for (let c = 0; c < C; c++) data[to * C + c] += x.data[((n * H + h) * W + w) * C + c];
        }
      }
    }
    return [{ shape: [N, HO, WO, C], data }];
  },
};

/** Sums `[N, H, W, C]` over the regions of a coarser grid of `size` (height, width). */
export function sumRegions(x: Value, size: readonly [number, number]): Value {
  return x.shape[1] === size[0] && x.shape[2] === size[1] ? x : apply(sumRegionsOp, [x], { size });
}
