import {
  apply,
  type Candidate,
  dims,
  elements,
  extent,
  type Op,
  type Shape,
  showShape,
  type Value,
} from "../engine/graph.ts";
import source from "../shaders/conv2d.wgsl" with { type: "text" };
import tiled from "../shaders/conv2d.tiled.wgsl" with { type: "text" };
import { CONVOLUTION_CANDIDATES, directWorkgroup, gemmKernel, usesTiles } from "./_gemm.ts";
import { reader, sumOver, tabulate } from "./_reference.ts";
import { add } from "./add.ts";
import { conv2dBackwardInput } from "./conv2d_backward_input.ts";
import { conv2dBackwardWeight } from "./conv2d_backward_weight.ts";
import { matmul } from "./matmul.ts";
import { im2col, prefersIm2col } from "./im2col.ts";
import { reshape } from "./reshape.ts";
import { prefersWinograd, supportsWinograd, winograd } from "./winograd.ts";

/** Attributes of {@linkcode conv2dOp}: stride in both directions; padding at the top, left, bottom and right. */
export type Conv2dAttrs = { readonly stride: number; readonly padding: readonly [number, number, number, number] };

/** Height and width of the result of a convolution. */
export function conv2dSize(
  x: Shape,
  f: Shape,
  { stride, padding: [top, left, bottom, right] }: Conv2dAttrs,
): [number, number] {
  const size = (n: number, k: number, pads: number) => Math.floor((n + pads - k) / stride) + 1;
  if (x.length === 4 && f.length === 4) {
    const { H, W, I } = dims(x, "N H W I");
    const { KH, KW, FI } = dims(f, "KH KW FI O");
    const [HO, WO] = [size(H, KH, top + bottom), size(W, KW, left + right)];
    if (I === FI && HO >= 1 && WO >= 1) return [HO, WO];
  }
  throw new TypeError(
    `Cannot convolve ${showShape(x)} with ${showShape(f)}: [N, H, W, I] and [KH, KW, I, O] are expected`,
  );
}

/** Pixels of a row that one invocation computes: 8 where the row fills them, fewer for narrow maps. */
export function pixelTile(width: number): number {
  if (width >= 8 && (width % 8 === 0 || width % 8 > 4)) return 8;
  return width >= 3 ? 4 : width;
}

/** Returns true to take Winograd's way: by a tuned candidate, or by the rule of shapes where there is none. */
export function decided(candidate: Candidate, rule: () => boolean): boolean {
  const { WINOGRAD = 0 } = candidate;
  return Object.keys(candidate).length ? WINOGRAD === 1 : rule();
}

/** `y = conv(x, f)` of channels-last maps; filters are `[KH, KW, I, O]`. */
export const conv2dOp: Op<Conv2dAttrs, 2> = {
  name: "conv2d",
  bound: "compute",
  f16: () => "always",
  shapes: ([x, f], attrs) => [[extent(x, 0), ...conv2dSize(x, f, attrs), extent(f, -1)]],
  lowering: {
    kind: "kernel",
    tune: CONVOLUTION_CANDIDATES,
    kernel({ inputs: [x, f], outputs: [y], attrs: { stride, padding } }, target, candidate) {
      const { H, W, I } = dims(x, "N H W I");
      const { KH, KW } = dims(f, "KH KW I O");
      const { N, HO, WO, O } = dims(y, "N HO WO O");
      const [I4, O4] = [Math.ceil(I / 4), Math.ceil(O / 4)];
      const ints = { H, W, I, I4, HO, WO, O4, pad_top: padding[0], pad_left: padding[1] };
      const common = { reads: ["x", "f"], writes: ["y"] };
      const { P = pixelTile(WO), WG = directWorkgroup(target) } = candidate;
      const tiles = { batches: 1, rows: N * HO * WO, columns4: O4 };
      if (usesTiles(candidate, target, tiles)) {
        const tap_steps = Math.ceil(I / 16);
        return gemmKernel({
          ...common,
          source: tiled,
          label: "shaders/conv2d.tiled.wgsl",
          ...tiles,
          steps: KH * KW * tap_steps,
          transposed: { x: false, w: false },
          constants: { KW, S: stride },
          ints: { ...ints, tap_steps, rows: N * HO * WO },
          inlined: ["HO", "WO", "tap_steps"],
        }, candidate);
      }
      const w_tiles = Math.ceil(WO / P);
      return {
        ...common,
        source,
        label: "shaders/conv2d.wgsl",
        entry: "forward",
        constants: { P, KH, KW, S: stride },
        ints: { ...ints, w_tiles },
        threads: N * HO * w_tiles * O4,
        workgroup: WG,
      };
    },
  },
  decompose({ inputs: [x, f], outputs: [y], attrs }, candidate, target) {
    if (target.keepComposite) return null;
    const [convolution, frozen] = [{ maps: x.shape, filters: f.shape, ...attrs }, target.isFrozen?.(f) ?? false];
    const { I, O } = dims(f, "KH KW I O");
    if (prefersIm2col(convolution)) {
      return [reshape(matmul(im2col(x, f.shape, attrs), reshape(f, [elements(f.shape) / O, O])), y.shape)];
    }
    const wanted = decided(candidate, () => prefersWinograd(convolution, [I, O], frozen));
    return wanted && supportsWinograd(convolution) ? [winograd(x, f, { transposed: false, frozen })] : null;
  },
  gradient: ({ inputs: [x, f], attrs }, [dy]) => [
    conv2dBackwardInput(dy, f, x.shape, attrs),
    conv2dBackwardWeight(x, dy, f.shape, attrs),
  ],
  flops: ({ inputs: [, f], outputs: [y] }) => 2 * elements(y.shape) * elements(f.shape.slice(0, 3)),
  reference([x, f], attrs) {
    const { stride, padding: [top, left] } = attrs;
    const { N } = dims(x, "N H W I");
    const { KH, KW, I, O } = dims(f, "KH KW I O");
    const [X, F] = [reader(x), reader(f)];
    return [
      tabulate(
        [N, ...conv2dSize(x.shape, f.shape, attrs), O],
        (n, h, w, o) =>
          sumOver([KH, KW, I], (kh, kw, i) => X(n, h * stride + kh - top, w * stride + kw - left, i) * F(kh, kw, i, o)),
      ),
    ];
  },
};

/**
 * Two-dimensional convolution (cross-correlation).
 *
 * @param x `[N, H, W, I]`.
 * @param f Filters, `[KH, KW, I, O]`.
 * @param options `stride` (1), `padding` (one number, or top, left, bottom, right; 0) and `bias`, `[O]`.
 * @returns `[N, HO, WO, O]`.
 */
export function conv2d(
  x: Value,
  f: Value,
  options: { stride?: number; padding?: number | readonly [number, number, number, number]; bias?: Value } = {},
): Value {
  const { stride = 1, padding = 0, bias } = options;
  const pads: [number, number, number, number] = typeof padding === "number"
    ? [padding, padding, padding, padding]
    : [...padding];
  const { KH, KW, I, O } = dims(f, "KH KW I O");
  const pointwise = KH === 1 && KW === 1 && stride === 1 && pads.every((p) => p === 0);
  const y = pointwise
    ? reshape(matmul(reshape(x, [elements(x.shape) / I, I]), reshape(f, [I, O])), [...x.shape.slice(0, 3), O])
    : apply(conv2dOp, [x, f], { stride, padding: pads });
  return bias ? add(y, bias) : y;
}
