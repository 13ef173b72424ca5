import { apply, dims, elements, extent, type Op, type Shape, type Value } from "../engine/graph.ts";
import source from "../shaders/conv2d_backward_weight.wgsl" with { type: "text" };
import tiled from "../shaders/conv2d_backward_weight.tiled.wgsl" with { type: "text" };
import { directWorkgroup, gemmKernel, splitFor, TILED_CANDIDATES, usesTiles } from "./_gemm.ts";
import { reader, sumOver, tabulate } from "./_reference.ts";
import { type Conv2dAttrs, decided } from "./conv2d.ts";
import { matmul } from "./matmul.ts";
import { im2col, prefersIm2col } from "./im2col.ts";
import { reshape } from "./reshape.ts";
import { largestDivisor, sumInPasses, sumMiddle } from "./sum.ts";
import { prefersWinogradGradient, winogradGradient } from "./winograd.ts";

/** Attributes of {@linkcode conv2dBackwardWeightOp}: those of the convolution, the filter's size, and the partial sums. */
export type Conv2dBackwardWeightAttrs = Conv2dAttrs & {
  readonly kernel: readonly [number, number];
  readonly parts: number;
};

/** The gradient of a convolution with respect to its filters, in `parts` partial sums over the rows. */
export const conv2dBackwardWeightOp: Op<Conv2dBackwardWeightAttrs, 2> = {
  name: "conv2d_backward_weight",
  bound: "compute",
  shapes: ([x, dy], { kernel: [KH, KW], parts }) => [[parts, KH, KW, extent(x, 3), extent(dy, 3)]],
  lowering: {
    kind: "kernel",
    tune: [{}, { TILED: 0 }, { TILED: 0, R: 1 }, { TILED: 0, WG: 32 }, { TILED: 0, WG: 128 }, ...TILED_CANDIDATES],
    kernel({ inputs: [x, dy], attrs: { stride, padding, kernel: [KH, KW], parts } }, target, candidate) {
      const { N, H, W, I } = dims(x, "N H W I");
      const { HO, WO, O } = dims(dy, "N HO WO O");
      const [I4, O4] = [Math.ceil(I / 4), Math.ceil(O / 4)];
      const step = Math.ceil(N * HO / parts);
      const ints = { H, W, I, I4, HO, WO, O4, rows: N * HO, step, pad_top: padding[0], pad_left: padding[1] };
      const common = { reads: ["x", "dy"], writes: ["df"] };
      // 2 x 2 texels of channels take two thirds of the time of one (docs/speed.md); more taps would be too many sums.
      const most = I4 > 1 && O4 > 1 && KW <= 3 ? 2 : 1;
      const { R: wanted = most, WG = directWorkgroup(target) } = candidate;
      const tiles = { batches: parts * KH * KW, rows: I, columns4: O4 };
      if (usesTiles(candidate, target, tiles)) {
        return gemmKernel({
          ...common,
          source: tiled,
          label: "shaders/conv2d_backward_weight.tiled.wgsl",
          ...tiles,
          steps: Math.ceil(step * WO / 16),
          transposed: { x: true, w: false },
          constants: { KH, KW, S: stride },
          ints,
          inlined: ["HO", "WO"],
        }, candidate);
      }
      const R = Math.min(wanted, most);
      const [i_tiles, o_tiles] = [Math.ceil(I4 / R), Math.ceil(O4 / R)];
      return {
        ...common,
        source,
        label: "shaders/conv2d_backward_weight.wgsl",
        entry: "forward",
        constants: { R, KH, KW, S: stride },
        ints: { ...ints, i_tiles, o_tiles },
        threads: parts * KH * i_tiles * o_tiles,
        workgroup: WG,
      };
    },
  },
  decompose({ inputs: [x, dy], outputs: [df], attrs }, candidate, target) {
    const { stride, padding, parts } = attrs;
    if (parts > 1) return null;
    const { KH, KW, I, O } = dims(df, "parts KH KW I O");
    const filters = [KH, KW, I, O];
    const convolution = { maps: x.shape, filters, stride, padding };
    const wanted = decided(candidate, () => !target.tiled && prefersWinogradGradient(convolution));
    if (wanted && !target.keepComposite) return [reshape(winogradGradient(x, dy), df.shape)];
    // Few filters have a long sum, which is split into parts that run side by side.
    const { N, HO, WO } = dims(dy, "N HO WO O");
    const im2cols = prefersIm2col(convolution) && !target.keepComposite;
    const tiles = (im2cols ? 1 : KH * KW) * Math.ceil((im2cols ? KH * KW * I : I) / 64) * Math.ceil(O / 64);
    const threads = KH * Math.ceil(I / 8) * Math.ceil(O / 8);
    const most = target.tiled ? splitFor(tiles, N * HO * WO) : Math.min(32, Math.ceil(192 / threads));
    const split = largestDivisor(N * HO, most);
    const total = target.tiled ? (some: Value) => sumInPasses(some, 1) : sumMiddle;
    const sum = (some: Value) => [reshape(total(reshape(some, [1, split, ...filters])), df.shape)] as const;
    if (im2cols) {
      const rows = (v: Value) => reshape(v, [split, N * HO * WO / split, elements(v.shape) / (N * HO * WO)]);
      return sum(matmul(rows(im2col(x, filters, attrs)), rows(dy), { transpose_a: true }));
    }
    return split > 1 ? sum(apply(conv2dBackwardWeightOp, [x, dy], { ...attrs, parts: split })) : null;
  },
  flops: ({ inputs: [x, dy], attrs: { kernel: [KH, KW] } }) => 2 * elements(dy.shape) * KH * KW * extent(x, 3),
  reference([x, dy], { stride, padding: [top, left], kernel: [KH, KW], parts }) {
    const { N, I } = dims(x, "N H W I");
    const { HO, WO, O } = dims(dy, "N HO WO O");
    const [X, DY] = [reader(x), reader(dy)];
    // The rows of all maps of results, in `parts` runs.
    const step = Math.ceil(N * HO / parts);
    return [
      tabulate([parts, KH, KW, I, O], (part, kh, kw, i, o) =>
        sumOver([step, WO], (k, w) => {
          const [n, h] = [Math.floor((part * step + k) / HO), (part * step + k) % HO];
          return X(n, h * stride + kh - top, w * stride + kw - left, i) * DY(n, h, w, o);
        })),
    ];
  },
};

/** Gradient of `conv2d` with respect to filters of shape `f`. */
export function conv2dBackwardWeight(x: Value, dy: Value, f: Shape, { stride, padding }: Conv2dAttrs): Value {
  const { KH, KW } = dims(f, "KH KW I O");
  return reshape(apply(conv2dBackwardWeightOp, [x, dy], { stride, padding, kernel: [KH, KW], parts: 1 }), f);
}
