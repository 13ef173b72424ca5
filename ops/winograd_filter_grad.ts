import { apply, dims, type Op, type Shape, type Value } from "../engine/graph.ts";
import source from "../shaders/winograd_filter_grad.wgsl" with { type: "text" };
import { directWorkgroup } from "./_gemm.ts";
import { filterReader, filterStride, G, leftRight, matrix, transpose } from "./_winograd.ts";
import { accumulator } from "./_reference.ts";

/** Attributes of {@linkcode winogradFilterGradOp}: shape of the filters, `[3, 3, I, O]`. */
export type WinogradFilterGradAttrs = { readonly shape: readonly number[] };

/** `df = G^T u G`, the gradient of `u = G f G^T`. */
export const winogradFilterGradOp: Op<WinogradFilterGradAttrs, 1> = {
  name: "winograd_filter_grad",
  bound: "memory",
  shapes: (_, { shape }) => [shape],
  lowering: {
    kind: "kernel",
    kernel({ attrs: { shape } }, target) {
      const { I, O } = dims(shape, "KH KW I O");
      return {
        source,
        label: "shaders/winograd_filter_grad.wgsl",
        entry: "forward",
        reads: ["u"],
        writes: ["df"],
        ints: { stride: filterStride(I, O) },
        threads: I * Math.ceil(O / 4),
        workgroup: directWorkgroup(target),
      };
    },
  },
  flops: () => 0,
  reference([u], { shape }) {
    const { I, O } = dims(shape, "KH KW I O");
    const U = filterReader(u, O);
    const { sum: df, add } = accumulator(shape);
    for (let i = 0; i < I; i++) {
      for (let o = 0; o < O; o++) {
        const places = matrix(6, 6, (r, c) => U(6 * r + c, i, o));
        leftRight(transpose(G), places).forEach((row, kh) => row.forEach((v, kw) => add(v, kh, kw, i, o)));
      }
    }
    return [df];
  },
};

/**
 * Gradients of filters.
 *
 * @param u Of `winogradFilterGradProduct`. @param shape `[3, 3, I, O]`.
 * @returns That shape.
 */
export function winogradFilterGrad(u: Value, shape: Shape): Value {
  return apply(winogradFilterGradOp, [u], { shape });
}
