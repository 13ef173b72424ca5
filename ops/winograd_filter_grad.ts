import { apply, type Op, type Shape, type Value } from "../engine/graph.ts";
import source from "../shaders/winograd_filter_grad.wgsl" with { type: "text" };
import { directWorkgroup } from "./_gemm.ts";
import { both, filterStride, G, turned } from "./_winograd.ts";

/** Attributes of {@linkcode winogradFilterGradOp}: shape of the filters, `[3, 3, I, O]`. */
export type WinogradFilterGradAttrs = { readonly shape: readonly number[] };

/** `df = G^T u G`, the gradient of `u = G f G^T`. */
export const winogradFilterGradOp: Op<WinogradFilterGradAttrs> = {
  name: "winograd_filter_grad",
  bound: "memory",
  shapes: (_, { shape }) => [shape],
  lowering: {
    kind: "kernel",
    kernel({ attrs: { shape: [, , I, O] } }, target) {
      return {
        source,
        label: "shaders/winograd_filter_grad.wgsl",
        entry: "forward",
        reads: ["u"],
        writes: ["df"],
        ints: { stride: filterStride(I!, O!) },
        threads: I! * Math.ceil(O! / 4),
        workgroup: directWorkgroup(target),
      };
    },
  },
  flops: () => 0,
  reference([u], { shape }) {
    const [, , I, O] = shape as [number, number, number, number];
    const stride = 4 * filterStride(I, O);
    const data = new Float64Array(9 * I * O);
    for (let i = 0; i < I; i++) {
      for (let o = 0; o < O; o++) {
        const places = [0, 1, 2, 3, 4, 5].map((r) =>
          [0, 1, 2, 3, 4, 5].map((c) => u!.data[(6 * r + c) * stride + i * 4 * Math.ceil(O / 4) + o]!)
        );
        both(turned(G), places).flat().forEach((v, tap) => data[(tap * I + i) * O + o] = v);
      }
    }
    return [{ shape, data }];
  },
};

/**
 * Gradients of filters.
 *
 * @param u Of `winogradSums`. @param shape `[3, 3, I, O]`.
 * @returns That shape.
 */
export function winogradFilterGrad(u: Value, shape: Shape): Value {
  return apply(winogradFilterGradOp, [u], { shape });
}
