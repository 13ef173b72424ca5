import { apply, dims, extent, type Op, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/upsample_nearest.wgsl" with { type: "text" };
import { reader, tabulate } from "./_reference.ts";
import { gridSizes, resizing, type SizeAttrs, wholeFactor } from "./_resize.ts";
import { adaptiveSumPool } from "./adaptive_sum_pool.ts";

/** `y[n, h, w] = x[n, floor(h H / HO), floor(w W / WO)]`. */
export const upsampleNearestOp: Op<SizeAttrs, 1> = {
  name: "upsample_nearest",
  ...resizing,
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [x], outputs: [y] }) => {
      const D = wholeFactor(x.shape, y.shape);
      return {
        source,
        label: "shaders/upsample_nearest.wgsl",
        entry: D ? "whole" : "forward",
        reads: ["x"],
        writes: ["y"],
        ...(D ? { fusable: ["x"] } : {}),
        constants: { D },
        ints: gridSizes(x.shape, y.shape),
        threads: texels(D ? x.shape : y.shape),
      };
    },
  },
  gradient: ({ inputs: [x] }, [dy]) => [adaptiveSumPool(dy, [extent(x, 1), extent(x, 2)])],
  flops: () => 0,
  reference([x], { size: [HO, WO] }) {
    const { N, H, W, C } = dims(x, "N H W C");
    const X = reader(x);
    return [tabulate([N, HO, WO, C], (n, h, w, c) => X(n, Math.floor(h * H / HO), Math.floor(w * W / WO), c))];
  },
};

/**
 * Enlarges maps by repeating pixels.
 *
 * @param x `[N, H, W, C]`.
 * @param size A factor, or the height and width of the result.
 * @returns `[N, HO, WO, C]`.
 */
export function upsampleNearest(x: Value, size: number | readonly [number, number] = 2): Value {
  const { H, W } = dims(x, "N H W C");
  const [HO, WO] = typeof size === "number" ? [H * size, W * size] : size;
  return HO === H && WO === W ? x : apply(upsampleNearestOp, [x], { size: [HO, WO] });
}
