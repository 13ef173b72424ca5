import { apply, dims, elements, type Op, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/upsample_bilinear_grad.wgsl" with { type: "text" };
import { accumulator, eachElement } from "./_reference.ts";
import { type BilinearAttrs, bilinearMap, bilinearTaps } from "./upsample_bilinear.ts";

/** The transpose of bilinear interpolation: each pixel of `dy` is spread over the four it was made from. */
export const upsampleBilinearGradOp: Op<BilinearAttrs, 1> = {
  name: "upsample_bilinear_grad",
  bound: "memory",
  f16: () => "follows",
  shapes: ([dy], { size }) => {
    const { N, C } = dims(dy, "N H W C");
    return [[N, ...size, C]];
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [dy], outputs: [dx], attrs: { align_corners } }) => {
      const { HO, WO, C } = dims(dy, "N HO WO C");
      const { H, W } = dims(dx, "N H W C");
      const [h, w] = [bilinearMap(H, HO, align_corners), bilinearMap(W, WO, align_corners)];
      return {
        source,
        label: "shaders/upsample_bilinear_grad.wgsl",
        entry: "forward",
        reads: ["dy"],
        writes: ["dx"],
        ints: { H, W, HO, WO, C4: Math.ceil(C / 4) },
        floats: { h_step: h.step, h_offset: h.offset, w_step: w.step, w_offset: w.offset },
        threads: texels(dx.shape),
      };
    },
  },
  flops: ({ inputs: [dy] }) => 8 * elements(dy.shape),
  reference([dy], { size: [H, W], align_corners }) {
    const { N, HO, WO, C } = dims(dy, "N HO WO C");
    const { sum: dx, add } = accumulator([N, H, W, C]);
    eachElement(dy, (d, n, h, w, c) => {
      const [top, bottom, v] = bilinearTaps(h, H, HO, align_corners);
      const [left, right, t] = bilinearTaps(w, W, WO, align_corners);
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
