import { apply, dims, elements, extent, type Op, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/upsample_bilinear.wgsl" with { type: "text" };
import { reader, tabulate } from "./_reference.ts";
import { bilinearNumbers, linearTaps, resizing, type SizeAttrs } from "./_resize.ts";
import { upsampleBilinearGrad } from "./upsample_bilinear_grad.ts";

/** Attributes of {@linkcode upsampleBilinearOp}: `align_corners` if the centres of the corner pixels coincide. */
export type BilinearAttrs = SizeAttrs & { readonly align_corners: boolean };

/** Linear interpolation between the four nearest pixels, in both directions; pixels outside repeat the border. */
export const upsampleBilinearOp: Op<BilinearAttrs, 1> = {
  name: "upsample_bilinear",
  ...resizing,
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [x], outputs: [y], attrs: { align_corners } }) => {
      return {
        source,
        label: "shaders/upsample_bilinear.wgsl",
        entry: "forward",
        reads: ["x"],
        writes: ["y"],
        ...bilinearNumbers(x.shape, y.shape, align_corners),
        threads: texels(y.shape),
      };
    },
  },
  gradient: ({ inputs: [x], attrs: { align_corners } }, [dy]) => [
    upsampleBilinearGrad(dy, [extent(x, 1), extent(x, 2)], align_corners),
  ],
  flops: ({ outputs: [y] }) => 8 * elements(y.shape),
  reference([x], { size: [HO, WO], align_corners }) {
    const { N, H, W, C } = dims(x, "N H W C");
    const X = reader(x);
    return [
      tabulate([N, HO, WO, C], (n, h, w, c) => {
        const [top, bottom, v] = linearTaps(h, H, HO, align_corners);
        const [left, right, t] = linearTaps(w, W, WO, align_corners);
        const row = (i: number) => (1 - t) * X(n, i, left, c) + t * X(n, i, right, c);
        return (1 - v) * row(top) + v * row(bottom);
      }),
    ];
  },
};

/**
 * Resizes maps by linear interpolation, without smoothing first (so shrinking aliases).
 *
 * @param x `[N, H, W, C]`.
 * @param size A factor, or the height and width of the result.
 * @param align_corners True if the centres of the corner pixels coincide, instead of the corners of the maps.
 * @returns `[N, HO, WO, C]`.
 */
export function upsampleBilinear(
  x: Value,
  size: number | readonly [number, number] = 2,
  align_corners = false,
): Value {
  const [HO, WO] = typeof size === "number" ? [extent(x, 1) * size, extent(x, 2) * size] : size;
  return apply(upsampleBilinearOp, [x], { size: [HO, WO], align_corners });
}
