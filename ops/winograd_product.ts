import { apply, extent, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/winograd_product.wgsl" with { type: "text" };
import tiled from "../shaders/winograd_product.tiled.wgsl" with { type: "text" };
import { directWorkgroup, gemmKernel, TILED_CANDIDATES, usesTiles } from "./_gemm.ts";
import { BLOCK, filterReader, filterStride, matrix, tabulateTiles, tileReader, tileStride } from "./_winograd.ts";
import { sumOver } from "./_reference.ts";

/**
 * Attributes of {@linkcode winogradProductOp}: channels of the filters, multiples of 8, pixels of the results, and whether
 * tiles have the outputs' channels, as for the gradient.
 */
export type WinogradProductAttrs = {
  readonly inputs: number;
  readonly outputs: number;
  readonly pixels: number;
  readonly transposed: boolean;
};

/** Texels of channels summed over and of the results. */
function sizes({ inputs, outputs, transposed }: WinogradProductAttrs) {
  return transposed ? { K4: outputs / 4, N4: inputs / 4 } : { K4: inputs / 4, N4: outputs / 4 };
}

/** `m = v u` for each of the 36 places of tiles, or `m = v u^T`. */
export const winogradProductOp: Op<WinogradProductAttrs, 2> = {
  name: "winograd_product",
  bound: "compute",
  shapes: ([v], attrs) => [[extent(v, 0), 36, 4 * tileStride(4 * sizes(attrs).N4)]],
  lowering: {
    kind: "kernel",
    tune: [{}, { TILED: 0 }, { TILED: 0, Q: 1 }, { TILED: 0, Q: 2 }, ...TILED_CANDIDATES],
    kernel({ inputs: [v], attrs }, target, candidate) {
      const { K4, N4 } = sizes(attrs);
      const blocks = extent(v, 0);
      const ints = {
        K4,
        N4,
        w_row: attrs.outputs / 4,
        w_stride: filterStride(attrs.inputs, attrs.outputs),
        x_stride: tileStride(4 * K4),
        y_stride: tileStride(4 * N4),
      };
      const common = { reads: ["x", "w"], writes: ["y"] };
      const { Q = N4 % 4 ? 2 : 4 } = candidate;
      const tiles = { batches: 36, rows: BLOCK * blocks, columns4: N4 };
      if (usesTiles(candidate, target, tiles)) {
        return gemmKernel({
          ...common,
          source: tiled,
          label: "shaders/winograd_product.tiled.wgsl",
          ...tiles,
          steps: Math.ceil(K4 / 4),
          transposed: { x: false, w: attrs.transposed },
          constants: { BLOCK },
          ints: { ...ints, rows: BLOCK * blocks },
        }, candidate);
      }
      return {
        ...common,
        source,
        label: "shaders/winograd_product.wgsl",
        entry: attrs.transposed ? "nt" : "nn",
        constants: { BLOCK, Q },
        ints: { ...ints, col_tiles: N4 / Q },
        threads: 36 * blocks * N4 / Q,
        workgroup: directWorkgroup(target),
      };
    },
  },
  // Of the convolution that it is part of.
  flops: ({ attrs: { inputs, outputs, pixels } }) => 2 * 9 * inputs * outputs * pixels,
  reference([v, u], attrs) {
    const { K4, N4 } = sizes(attrs);
    const [V, U] = [tileReader(v, 4 * K4), filterReader(u, attrs.outputs)];
    return [
      tabulateTiles(
        BLOCK * extent(v, 0),
        4 * N4,
        (tile, n) =>
          matrix(
            6,
            6,
            (r, c) =>
              sumOver(
                [4 * K4],
                (k) => V(tile, 6 * r + c, k) * (attrs.transposed ? U(6 * r + c, n, k) : U(6 * r + c, k, n)),
              ),
          ),
      ),
    ];
  },
};

/**
 * Products of tiles and filters, place by place.
 *
 * @param v Of {@linkcode winogradInput}. @param u Of {@linkcode winogradFilter}.
 * @returns Tiles for {@linkcode winogradOutput}.
 */
export function winogradProduct(v: Value, u: Value, attrs: WinogradProductAttrs): Value {
  return apply(winogradProductOp, [v, u], attrs);
}
