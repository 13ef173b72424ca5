import { apply, dims, elements, extent, type Op, type Shape, type Value } from "../engine/graph.ts";
import source from "../shaders/conv2d_backward_input.wgsl" with { type: "text" };
import tiled from "../shaders/conv2d_backward_input.tiled.wgsl" with { type: "text" };
import { CONVOLUTION_CANDIDATES, directWorkgroup, gemmKernel, usesTiles } from "./_gemm.ts";
import { reader, sumOver, tabulate } from "./_reference.ts";
import { type Conv2dAttrs, conv2dOp, decided, pixelTile } from "./conv2d.ts";
import { conv2dBackwardWeight } from "./conv2d_backward_weight.ts";
import { prefersWinograd, supportsWinograd, winograd } from "./winograd.ts";

/** Attributes of {@linkcode conv2dBackwardInputOp}: those of the convolution and the size of its input. */
export type Conv2dBackwardInputAttrs = Conv2dAttrs & { readonly height: number; readonly width: number };

/** The gradient of a convolution with respect to its input, from `dy` and the filters. */
export const conv2dBackwardInputOp: Op<Conv2dBackwardInputAttrs, 2> = {
  name: "conv2d_backward_input",
  bound: "compute",
  f16: () => "always",
  shapes: ([dy, f], { height, width }) => [[extent(dy, 0), height, width, extent(f, 2)]],
  lowering: {
    kind: "kernel",
    tune: CONVOLUTION_CANDIDATES,
    kernel({ inputs: [dy, f], outputs: [dx], attrs: { stride, padding } }, target, candidate) {
      const { HO, WO, O } = dims(dy, "N HO WO O");
      const { KH, KW } = dims(f, "KH KW I O");
      const { N, H, W, I } = dims(dx, "N H W I");
      const [I4, O4] = [Math.ceil(I / 4), Math.ceil(O / 4)];
      const ints = { H, W, I, I4, HO, WO, O4, pad_top: padding[0], pad_left: padding[1] };
      const common = { reads: ["dy", "f"], writes: ["dx"] };
      // Of each S pixels, every filter tap meets one.
      const pixels = candidate.P ?? pixelTile(Math.ceil(W / stride));
      const { WG = directWorkgroup(target) } = candidate;
      const tiles = { batches: 1, rows: N * H * W, columns4: I4 };
      if (usesTiles(candidate, target, tiles)) {
        const tap_steps = Math.ceil(O / 16);
        return gemmKernel({
          ...common,
          source: tiled,
          label: "shaders/conv2d_backward_input.tiled.wgsl",
          ...tiles,
          steps: KH * KW * tap_steps,
          transposed: { x: false, w: true },
          constants: { KW, S: stride },
          ints: { ...ints, tap_steps, rows: N * H * W },
          inlined: ["H", "W", "tap_steps"],
        }, candidate);
      }
      const P = pixels * stride;
      const w_tiles = Math.ceil(W / P);
      const A = KW * stride + padding[1] - (KW - 1);
      return {
        ...common,
        source,
        label: "shaders/conv2d_backward_input.wgsl",
        entry: "forward",
        constants: { P, KH, KW, S: stride, A: A % stride },
        ints: { ...ints, w_tiles },
        threads: N * H * w_tiles * I4,
        workgroup: WG,
      };
    },
  },
  decompose({ inputs: [dy, f], outputs: [dx], attrs }, candidate, target) {
    if (target.keepComposite) return null;
    const [convolution, frozen] = [{ maps: dx.shape, filters: f.shape, ...attrs }, target.isFrozen?.(f) ?? false];
    const { I, O } = dims(f, "KH KW I O");
    const wanted = decided(candidate, () => prefersWinograd(convolution, [O, I], frozen));
    return wanted && supportsWinograd(convolution) ? [winograd(dy, f, { transposed: true, frozen })] : null;
  },
  // Linear in dy, whose gradient is the convolution; dx and dy change places in that of the filters.
  gradient: ({ inputs: [dy, f], attrs: { stride, padding } }, [g]) => [
    apply(conv2dOp, [g, f], { stride, padding }),
    conv2dBackwardWeight(g, dy, f.shape, { stride, padding }),
  ],
  flops: ({ inputs: [dy, f] }) => 2 * elements(dy.shape) * elements(f.shape.slice(0, 3)),
  reference([dy, f], { stride, padding: [top, left], height, width }) {
    const { N } = dims(dy, "N HO WO O");
    const { KH, KW, I, O } = dims(f, "KH KW I O");
    const [DY, F] = [reader(dy), reader(f)];
    // The result that a filter tap makes of this pixel: none between the steps of the stride.
    const at = (pixel: number) => pixel % stride ? -1 : pixel / stride;
    return [
      tabulate(
        [N, height, width, I],
        (n, h, w, i) =>
          sumOver([KH, KW, O], (kh, kw, o) => DY(n, at(h + top - kh), at(w + left - kw), o) * F(kh, kw, i, o)),
      ),
    ];
  },
};

/** Gradient of `conv2d` with respect to an input of shape `x`. */
export function conv2dBackwardInput(dy: Value, f: Value, x: Shape, { stride, padding }: Conv2dAttrs): Value {
  const { height, width } = dims(x, "N height width I");
  return apply(conv2dBackwardInputOp, [dy, f], { stride, padding, height, width });
}
