import { apply, dims, elements, type Op, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/upsample_bilinear_grad.wgsl" with { type: "text" };
import { type BilinearAttrs, bilinearMap, bilinearTaps } from "./upsample_bilinear.ts";

/** The transpose of bilinear interpolation: each pixel of `dy` is spread over the four it was made from. */
export const upsampleBilinearGradOp: Op<BilinearAttrs, 1> = {
  name: "upsample_bilinear_grad",
  bound: "memory",
  shapes: ([dy], { size }) => [[dy[0], ...size, dy[3]]],
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [dy], outputs: [dx], attrs: { align_corners } }) => {
      const { HO, WO, C } = dims(dy, " HO WO C");
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
    const data = new Float64Array(N * H * W * C);
    for (let n = 0, at = 0; n < N; n++) {
      for (let h = 0; h < HO; h++) {
        const [top, bottom, v] = bilinearTaps(h, H, HO, align_corners);
        for (let w = 0; w < WO; w++) {
          const [left, right, t] = bilinearTaps(w, W, WO, align_corners);
          for (let c = 0; c < C; c++) {
            const d = dy.data[at++];
            data[((n * H + top) * W + left) * C + c] += d * (1 - v) * (1 - t);
            data[((n * H + top) * W + right) * C + c] += d * (1 - v) * t;
            data[((n * H + bottom) * W + left) * C + c] += d * v * (1 - t);
            data[((n * H + bottom) * W + right) * C + c] += d * v * t;
          }
        }
      }
    }
    return [{ shape: [N, H, W, C], data }];
  },
};

/** Gradient of `upsampleBilinear` with respect to maps of height and width `size`. */
export function upsampleBilinearGrad(dy: Value, size: readonly [number, number], align_corners: boolean): Value {
  return apply(upsampleBilinearGradOp, [dy], { size, align_corners });
}
