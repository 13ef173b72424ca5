import { apply, elements, type Op, type Shape, type Value } from "../engine/graph.ts";
import source from "../shaders/patches.wgsl" with { type: "text" };
import { type Conv2dAttrs, conv2dSize } from "./conv2d.ts";
import { reshape } from "./reshape.ts";
import type { Convolution } from "./winograd.ts";

/** Attributes of {@linkcode patchesOp}: those of a convolution, and the size of its filters. */
export type PatchesAttrs = Conv2dAttrs & { readonly kernel: readonly [number, number] };

/** The pixels under the filters of a convolution, for each of its results: what a matrix product makes a convolution of. */
export const patchesOp: Op<PatchesAttrs> = {
  name: "patches",
  bound: "memory",
  shapes: ([x], attrs) => {
    const filters = [...attrs.kernel, x![3]!, 1];
    return [[x![0]!, ...conv2dSize(x!, filters, attrs), elements(filters)]];
  },
  lowering: {
    kind: "kernel",
    kernel({ inputs: [x], outputs: [y], attrs: { stride, padding, kernel: [KH, KW] } }) {
      const [, H, W, I] = x!.shape as [number, number, number, number];
      const [N, HO, WO, K] = y!.shape as [number, number, number, number];
      return {
        source,
        label: "shaders/patches.wgsl",
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
  reference([x], { stride, padding, kernel: [KH, KW] }) {
    const [N, H, W, I] = x!.shape as [number, number, number, number];
    const [HO, WO] = conv2dSize(x!.shape, [KH, KW, I, 1], { stride, padding });
    const shape: Shape = [N, HO, WO, KH * KW * I];
    const data = Float64Array.from({ length: elements(shape) }, (_, e) => {
      const i = e % I, kw = Math.floor(e / I) % KW, kh = Math.floor(e / I / KW) % KH;
      const pixel = Math.floor(e / I / KW / KH);
      const w = pixel % WO * stride + kw - padding[1];
      const h = Math.floor(pixel / WO) % HO * stride + kh - padding[0];
      const n = Math.floor(pixel / WO / HO);
      return h >= 0 && h < H && w >= 0 && w < W ? x!.data[((n * H + h) * W + w) * I + i]! : 0;
    });
    return [{ shape, data }];
  },
};

/**
 * Whether a convolution is faster as a matrix product of patches: where few channels come in, which fill neither texels
 * nor the sums of the direct kernel, and strides leave fewer patches than pixels, of which many channels are made.
 */
export function patchesPay({ filters: [KH, KW, I, O], stride }: Convolution): boolean {
  return KH! * KW! > 1 && I! < 8 && stride > 1 && O! >= 64;
}

/**
 * Patches of maps, as rows of a matrix.
 *
 * @param x `[N, H, W, I]`.
 * @param filters Shape of the filters, `[KH, KW, I, O]`.
 * @returns `[N HO WO, KH KW I]`.
 */
export function patches(x: Value, filters: Shape, { stride, padding }: Conv2dAttrs): Value {
  const y = apply(patchesOp, [x], { stride, padding, kernel: [filters[0]!, filters[1]!] });
  const K = y.shape[3]!;
  return reshape(y, [elements(y.shape) / K, K]);
}
