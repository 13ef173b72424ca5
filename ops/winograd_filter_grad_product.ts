import { apply, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/winograd_filter_grad_product.wgsl" with { type: "text" };
import { directWorkgroup } from "./_gemm.ts";
import { BLOCK, filterStride, matrix, tabulateFilters, tileReader, tileStride } from "./_winograd.ts";
import { sumOver } from "./_reference.ts";

/** Attributes of {@linkcode winogradFilterGradProductOp}: channels of the filters, multiples of 8, and tiles of the results. */
export type WinogradFilterGradProductAttrs = {
  readonly inputs: number;
  readonly outputs: number;
  readonly tiles: number;
};

/** `u = v^T m`, the sum over all tiles, for each of their 36 places. */
export const winogradFilterGradProductOp: Op<WinogradFilterGradProductAttrs, 2> = {
  name: "winograd_filter_grad_product",
  bound: "compute",
  shapes: (_, { inputs, outputs }) => [[36, 4 * filterStride(inputs, outputs)]],
  lowering: {
    kind: "kernel",
    kernel({ attrs: { inputs, outputs, tiles } }, target) {
      const [I4, O4] = [inputs / 4, outputs / 4];
      const [R, Q] = [I4 % 4 ? 2 : 4, O4 % 4 ? 2 : 4];
      const strides = {
        v_stride: tileStride(inputs),
        m_stride: tileStride(outputs),
        stride: filterStride(inputs, outputs),
      };
      return {
        source,
        label: "shaders/winograd_filter_grad_product.wgsl",
        entry: "forward",
        reads: ["v", "m"],
        writes: ["u"],
        constants: { BLOCK, R, Q },
        ints: { I4, O4, tiles, i_tiles: I4 / R, o_tiles: O4 / Q, ...strides },
        threads: 36 * (I4 / R) * (O4 / Q),
        workgroup: directWorkgroup(target),
      };
    },
  },
  // Those of the direct kernel, as in winograd_product.
  flops: ({ attrs: { inputs, outputs, tiles } }) => 2 * 9 * 16 * tiles * inputs * outputs,
  reference([v, m], { inputs, outputs, tiles }) {
    const [V, M] = [tileReader(v, inputs), tileReader(m, outputs)];
    return [
      tabulateFilters(
        inputs,
        outputs,
        (i, o) => matrix(6, 6, (r, c) => sumOver([tiles], (tile) => V(tile, 6 * r + c, i) * M(tile, 6 * r + c, o))),
      ),
    ];
  },
};

/**
 * Products of tiles of maps and of gradients, summed over the tiles.
 *
 * @param v Of `winogradInput`. @param m Of `winogradGradOutputTransform`.
 * @returns A matrix `[I, O]` for each of the 36 places.
 */
export function winogradFilterGradProduct(v: Value, m: Value, attrs: WinogradFilterGradProductAttrs): Value {
  return apply(winogradFilterGradProductOp, [v, m], attrs);
}
