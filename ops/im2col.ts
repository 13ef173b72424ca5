import { apply, dims, elements, type Op, type Shape, type Value } from "../engine/graph.ts";
import source from "../shaders/im2col.wgsl" with { type: "text" };
import { reader, tabulate } from "./_reference.ts";
import { type Conv2dAttrs, conv2dSize } from "./conv2d.ts";
import { reshape } from "./reshape.ts";
import type { Convolution } from "./winograd.ts";

/** Attributes of {@linkcode im2colOp}: those of a convolution, and the size of its filters. */
export type Im2colAttrs = Conv2dAttrs & { readonly kernel: readonly [number, number] };

/** The pixels under the filters of a convolution, for each of its results: a product with the filters completes it. */
export const im2colOp: Op<Im2colAttrs, 1> = {
  name: "im2col",
  bound: "memory",
  f16: () => "follows",
  shapes: ([x], attrs) => {
    const { N, I } = dims(x, "N H W I");
    const filters = [...attrs.kernel, I, 1];
    return [[N, ...conv2dSize(x, filters, attrs), elements(filters)]];
  },
  lowering: {
    kind: "kernel",
    kernel({ inputs: [x], outputs: [y], attrs: { stride, padding, kernel: [KH, KW] } }) {
      const { H, W, I } = dims(x, "N H W I");
      const { N, HO, WO, K } = dims(y, "N HO WO K");
      return {
        source,
        label: "shaders/im2col.wgsl",
        entry: "forward",
        reads: ["x"],
        writes: ["y"],
        constants: { KH, KW, I, I4: Math.ceil(I / 4), K4: Math.ceil(K / 4), S: stride },
        ints: { H, W, HO, WO, pad_top: padding[0], pad_left: padding[1] },
        threads: N * HO * WO,
      };
    },
  },
  flops: () => 0,
  reference([x], attrs) {
    const { stride, padding: [top, left], kernel: [KH, KW] } = attrs;
    const { N, I } = dims(x, "N H W I");
    const X = reader(x);
    return [
      tabulate([N, ...conv2dSize(x.shape, [KH, KW, I, 1], attrs), KH * KW * I], (n, h, w, k) => {
        const [kh, kw, i] = [Math.floor(k / I / KW), Math.floor(k / I) % KW, k % I];
        return X(n, h * stride + kh - top, w * stride + kw - left, i);
      }),
    ];
  },
};

/**
 * Returns true for a convolution that is faster as im2col and a matrix product: few channels come in, which fill neither
 * texels nor the sums of the direct kernel; strides leave fewer patches than pixels; and many channels go out.
 */
export function prefersIm2col({ filters, stride }: Convolution): boolean {
  const { KH, KW, I, O } = dims(filters, "KH KW I O");
  return KH * KW > 1 && I < 8 && stride > 1 && O >= 64;
}

/**
 * Patches of maps, as rows of a matrix.
 *
 * @param x `[N, H, W, I]`.
 * @param filters Shape of the filters, `[KH, KW, I, O]`.
 * @returns `[N HO WO, KH KW I]`.
 */
export function im2col(x: Value, filters: Shape, { stride, padding }: Conv2dAttrs): Value {
  const { KH, KW, I } = dims(filters, "KH KW I O");
  const K = KH * KW * I;
  const y = apply(im2colOp, [x], { stride, padding, kernel: [KH, KW] });
  return reshape(y, [elements(y.shape) / K, K]);
}
