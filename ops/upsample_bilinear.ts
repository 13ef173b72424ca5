import { apply, dims, elements, extent, type Op, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/upsample_bilinear.wgsl" with { type: "text" };
import { reader, tabulate } from "./_reference.ts";
import { upsampleBilinearGrad } from "./upsample_bilinear_grad.ts";

/** Attributes of {@linkcode upsampleBilinearOp}: height and width of the result; whether the corner pixels' centres coincide. */
export type BilinearAttrs = { readonly size: readonly [number, number]; readonly align_corners: boolean };

/** Position in the source of output pixel 0, and the step between pixels, of one direction. */
export function bilinearMap(from: number, to: number, align_corners: boolean): { step: number; offset: number } {
  if (align_corners) return { step: to > 1 ? (from - 1) / (to - 1) : 0, offset: 0 };
  return { step: from / to, offset: from / to / 2 - 0.5 };
}

/** The two source pixels of an output pixel, with the weight of the second. */
export function bilinearTaps(at: number, from: number, to: number, align_corners: boolean): [number, number, number] {
  const { step, offset } = bilinearMap(from, to, align_corners);
  const source = Math.max(0, at * step + offset);
  const low = Math.min(Math.floor(source), from - 1);
  return [low, Math.min(low + 1, from - 1), source - low];
}

/** Linear interpolation between the four nearest pixels, in both directions; pixels outside repeat the border. */
export const upsampleBilinearOp: Op<BilinearAttrs, 1> = {
  name: "upsample_bilinear",
  bound: "memory",
  f16: () => "follows",
  shapes: ([x], { size }) => {
    const { N, C } = dims(x, "N H W C");
    return [[N, ...size, C]];
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [x], outputs: [y], attrs: { align_corners } }) => {
      const { H, W, C } = dims(x, "N H W C");
      const { HO, WO } = dims(y, "N HO WO C");
      const [h, w] = [bilinearMap(H, HO, align_corners), bilinearMap(W, WO, align_corners)];
      return {
        source,
        label: "shaders/upsample_bilinear.wgsl",
        entry: "forward",
        reads: ["x"],
        writes: ["y"],
        ints: { H, W, HO, WO, C4: Math.ceil(C / 4) },
        floats: { h_step: h.step, h_offset: h.offset, w_step: w.step, w_offset: w.offset },
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
        const [top, bottom, v] = bilinearTaps(h, H, HO, align_corners);
        const [left, right, t] = bilinearTaps(w, W, WO, align_corners);
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
