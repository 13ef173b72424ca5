import { apply, dims, elements, type Op, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/upsample_bilinear_grad.wgsl" with { type: "text" };
import { accumulator, eachElement } from "./_reference.ts";
import { bilinearNumbers, linearTaps, resizing } from "./_resize.ts";
import type { BilinearAttrs } from "./upsample_bilinear.ts";

/** The transpose of bilinear interpolation: each pixel of `dy` is spread over the four it was made from. */
export const upsampleBilinearGradOp: Op<BilinearAttrs, 1> = {
  name: "upsample_bilinear_grad",
  ...resizing,
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [dy], outputs: [dx], attrs: { align_corners } }) => {
      return {
        source,
        label: "shaders/upsample_bilinear_grad.wgsl",
        entry: "forward",
        reads: ["dy"],
        writes: ["dx"],
        ...bilinearNumbers(dx.shape, dy.shape, align_corners),
        threads: texels(dx.shape),
      };
    },
  },
  flops: ({ inputs: [dy] }) => 8 * elements(dy.shape),
  reference([dy], { size: [H, W], align_corners }) {
    const { N, HO, WO, C } = dims(dy, "N HO WO C");
    const { sum: dx, add } = accumulator([N, H, W, C]);
    eachElement(dy, (d, n, h, w, c) => {
      const [top, bottom, v] = linearTaps(h, H, HO, align_corners);
      const [left, right, t] = linearTaps(w, W, WO, align_corners);
      add(d * (1 - v) * (1 - t), n, top, left, c);
      add(d * (1 - v) * t, n, top, right, c);
      add(d * v * (1 - t), n, bottom, left, c);
      add(d * v * t, n, bottom, right, c);
    });
    return [dx];
  },
};

/** Gradient of `upsampleBilinear` with respect to maps of height and width `size`. */
export function upsampleBilinearGrad(dy: Value, size: readonly [number, number], align_corners: boolean): Value {
  return apply(upsampleBilinearGradOp, [dy], { size, align_corners });
}
