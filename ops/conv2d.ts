import { apply, type Candidate, elements, type Op, type Shape, showShape, type Value } from "../engine/graph.ts";
import source from "../shaders/conv2d.wgsl" with { type: "text" };
import tiled from "../shaders/conv2d.tiled.wgsl" with { type: "text" };
import { CONVOLUTION_CANDIDATES, directWorkgroup, fillsTiles, gemmKernel } from "./_gemm.ts";
import { add } from "./add.ts";
import { conv2dBackwardInput } from "./conv2d_backward_input.ts";
import { conv2dBackwardWeight } from "./conv2d_backward_weight.ts";
import { matmul } from "./matmul.ts";
import { patches, patchesPay } from "./patches.ts";
import { reshape } from "./reshape.ts";
import { winograd, winogradFits, winogradPays } from "./winograd.ts";

/** Attributes of {@linkcode conv2dOp}: stride in both directions; padding at the top, left, bottom and right. */
export type Conv2dAttrs = { readonly stride: number; readonly padding: readonly [number, number, number, number] };

/** Height and width of the result of a convolution. */
export function conv2dSize(
  x: Shape,
  f: Shape,
  { stride, padding: [top, left, bottom, right] }: Conv2dAttrs,
): [number, number] {
  const [, H, W, I] = x as [number, number, number, number];
  const [KH, KW, FI] = f as [number, number, number, number];
  const size = (n: number, k: number, pads: number) => Math.floor((n + pads - k) / stride) + 1;
  const [HO, WO] = [size(H, KH, top + bottom), size(W, KW, left + right)];
  if (x.length !== 4 || f.length !== 4 || I !== FI || HO < 1 || WO < 1) {
    throw new TypeError(
      `Cannot convolve ${showShape(x)} with ${showShape(f)}: [N, H, W, I] and [KH, KW, I, O] are expected`,
    );
  }
  return [HO, WO];
}

/** Pixels of a row that one invocation computes: 8 where the row fills them, fewer for narrow maps. */
export function pixelTile(width: number): number {
  if (width >= 8 && (width % 8 === 0 || width % 8 > 4)) return 8;
  return width >= 3 ? 4 : width;
}

/** Whether Winograd's way is taken: what tuning found, or where it found nothing the rule of shapes. */
export function decided(candidate: Candidate, rule: () => boolean): boolean {
  const { WINOGRAD = 0 } = candidate;
  return Object.keys(candidate).length ? WINOGRAD === 1 : rule();
}

/** `y = conv(x, f)` of channels-last maps; filters are `[KH, KW, I, O]`. */
export const conv2dOp: Op<Conv2dAttrs> = {
  name: "conv2d",
  bound: "compute",
  shapes: ([x, f], attrs) => [[x![0]!, ...conv2dSize(x!, f!, attrs), f![3]!]],
  lowering: {
    kind: "kernel",
    tune: CONVOLUTION_CANDIDATES,
    kernel({ inputs: [x, f], outputs: [y], attrs: { stride, padding } }, target, candidate) {
      const [, H, W, I] = x!.shape as [number, number, number, number];
      const [KH, KW] = f!.shape as [number, number];
      const [N, HO, WO, O] = y!.shape as [number, number, number, number];
      const [I4, O4] = [Math.ceil(I / 4), Math.ceil(O / 4)];
      const ints = { H, W, I, I4, HO, WO, O4, pad_top: padding[0], pad_left: padding[1] };
      const common = { reads: ["x", "f"], writes: ["y"] };
      const { P = pixelTile(WO), WG = directWorkgroup(target), TILED = Number(target.tiled) } = candidate;
      if (TILED && fillsTiles(N * HO * WO, O4)) {
        const tap_steps = Math.ceil(I / 16);
        return gemmKernel({
          ...common,
          source: tiled,
          label: "shaders/conv2d.tiled.wgsl",
          batches: 1,
          rows: N * HO * WO,
          columns4: O4,
          steps: KH * KW * tap_steps,
          transposed: { x: false, w: false },
          constants: { KW, S: stride },
          ints: { ...ints, tap_steps, rows: N * HO * WO },
        });
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
    const [convolution, frozen] = [{ maps: x!.shape, filters: f!.shape, ...attrs }, target.isFrozen?.(f!) ?? false];
    const [I, O] = f!.shape.slice(2) as [number, number];
    if (patchesPay(convolution)) {
      return reshape(matmul(patches(x!, f!.shape, attrs), reshape(f!, [elements(f!.shape) / O, O])), y!.shape);
    }
    const wanted = decided(candidate, () => winogradPays(convolution, [I, O], frozen));
    return wanted && winogradFits(convolution) ? winograd(x!, f!, { turned: false, frozen }) : null;
  },
  gradient: ({ inputs: [x, f], attrs }, [dy]) => [
    conv2dBackwardInput(dy!, f!, x!.shape, attrs),
    conv2dBackwardWeight(x!, dy!, f!.shape, attrs),
  ],
  flops: ({ inputs: [, f], outputs: [y] }) => 2 * elements(y!.shape) * elements(f!.shape.slice(0, 3)),
  reference([x, f], attrs) {
    const [N, H, W, I] = x!.shape as [number, number, number, number];
    const [KH, KW, , O] = f!.shape as [number, number, number, number];
    const [HO, WO] = conv2dSize(x!.shape, f!.shape, attrs);
    const data = new Float64Array(N * HO * WO * O);
    for (let n = 0; n < N; n++) {
      for (let h = 0; h < HO; h++) {
        for (let w = 0; w < WO; w++) {
          for (let kh = 0; kh < KH; kh++) {
            for (let kw = 0; kw < KW; kw++) {
              const [xh, xw] = [h * attrs.stride + kh - attrs.padding[0], w * attrs.stride + kw - attrs.padding[1]];
              if (xh < 0 || xh >= H || xw < 0 || xw >= W) continue;
              for (let i = 0; i < I; i++) {
                for (let o = 0; o < O; o++) {
                  data[((n * HO + h) * WO + w) * O + o]! += x!.data[((n * H + xh) * W + xw) * I + i]! *
                    f!.data[((kh * KW + kw) * I + i) * O + o]!;
                }
              }
            }
          }
        }
      }
    }
    return [{ shape: [N, HO, WO, O], data }];
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
  const [KH, KW, I, O] = f.shape as [number, number, number, number];
  const pointwise = KH === 1 && KW === 1 && stride === 1 && pads.every((p) => p === 0);
  const y = pointwise
    ? reshape(matmul(reshape(x, [elements(x.shape) / I, I]), reshape(f, [I, O])), [...x.shape.slice(0, 3), O])
    : apply(conv2dOp, [x, f], { stride, padding: pads });
  return bias ? add(y, bias) : y;
}
