import { apply, dims, type Op, type Shape, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/upsample_nearest.wgsl" with { type: "text" };
import { sumRegions } from "./sum_regions.ts";

/** Attributes of {@linkcode upsampleNearestOp}: height and width of the result. */
export type SizeAttrs = { readonly size: readonly [number, number] };

/** How many times as high and as wide the finer of two grids is, if that is one small whole number; else 0. */
export function wholeFactor([, H, W]: Shape, [, HO, WO]: Shape): number {
  const factor = HO / H;
  return Number.isInteger(factor) && factor <= 4 && WO === factor * W ? factor : 0;
}

/** `y[n, h, w] = x[n, floor(h H / HO), floor(w W / WO)]`. */
export const upsampleNearestOp: Op<SizeAttrs, 1> = {
  name: "upsample_nearest",
  bound: "memory",
  shapes: ([x], { size }) => [[x[0], ...size, x[3]]],
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
        ints: { H: x.shape[1], W: x.shape[2], HO: y.shape[1], WO: y.shape[2], C4: Math.ceil(x.shape[3] / 4) },
        threads: texels(D ? x.shape : y.shape),
      };
    },
  },
  gradient: ({ inputs: [x] }, [dy]) => [sumRegions(dy, [x.shape[1], x.shape[2]])],
  flops: () => 0,
  reference([x], { size: [HO, WO] }) {
    const { N, H, W, C } = dims(x, "N H W C");
    const data = new Float64Array(N * HO * WO * C);
    for (let n = 0, at = 0; n < N; n++) {
      for (let h = 0; h < HO; h++) {
        for (let w = 0; w < WO; w++) {
          const from = (n * H + Math.floor(h * H / HO)) * W + Math.floor(w * W / WO);
          for (let c = 0; c < C; c++) data[at++] = x.data[from * C + c];
        }
      }
    }
    return [{ shape: [N, HO, WO, C], data }];
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
  const [H, W] = [x.shape[1], x.shape[2]];
  const [HO, WO] = typeof size === "number" ? [H * size, W * size] : size;
  return HO === H && WO === W ? x : apply(upsampleNearestOp, [x], { size: [HO, WO] });
}
