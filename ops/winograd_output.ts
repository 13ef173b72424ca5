import { apply, dims, type Op, type Shape, type Value } from "../engine/graph.ts";
import source from "../shaders/winograd_output.wgsl" with { type: "text" };
import tiles from "../shaders/_winograd.wgsl" with { type: "text" };
import { directWorkgroup } from "./_gemm.ts";
import { AT, BLOCK, leftRight, matrix, tilePosition, tileReader, tilesOf, tileStride } from "./_winograd.ts";
import { accumulator } from "./_reference.ts";

/** Attributes of {@linkcode winogradOutputOp}: shape of the result, and whether maps are transposed by 180 degrees. */
export type WinogradOutputAttrs = { readonly shape: readonly number[]; readonly transposed: boolean };

/** `y = A^T m A`, the tiles of 4 x 4 results. */
export const winogradOutputOp: Op<WinogradOutputAttrs, 1> = {
  name: "winograd_output",
  bound: "memory",
  f16: () => "always",
  shapes: (_, { shape }) => [shape],
  lowering: {
    kind: "kernel",
    kernel({ attrs: { shape, transposed } }, target) {
      const { N, H, W, O } = dims(shape, "N H W O");
      const [TH, TW] = tilesOf(H, W);
      const O4 = Math.ceil(O / 4);
      const [first, step] = transposed ? [3, -1] : [0, 1];
      return {
        source: `${source}\n${tiles}`,
        label: "shaders/winograd_output.wgsl",
        entry: "forward",
        reads: ["m"],
        writes: ["y"],
        constants: { BLOCK },
        ints: { H, W, O4, TH, TW, first, step, stride: tileStride(O) },
        threads: N * TH * TW * O4,
        workgroup: directWorkgroup(target),
      };
    },
  },
  flops: () => 0,
  reference([m], { shape, transposed }) {
    const { N, H, W, O } = dims(shape, "N H W O");
    const [TH, TW] = tilesOf(H, W);
    const M = tileReader(m, O);
    const { sum: y, add } = accumulator(shape);
    for (let tile = 0; tile < N * TH * TW; tile++) {
      const [n, th, tw] = tilePosition(tile, H, W);
      for (let o = 0; o < O; o++) {
        leftRight(AT, matrix(6, 6, (r, c) => M(tile, 6 * r + c, o))).forEach((row, r) =>
          row.forEach((v, c) => {
            const [h, w] = [4 * th + (transposed ? 3 - r : r), 4 * tw + (transposed ? 3 - c : c)];
            if (h < H && w < W) add(v, n, h, w, o);
          })
        );
      }
    }
    return [y];
  },
};

/**
 * Results of a convolution.
 *
 * @param m Of {@linkcode winogradProduct}. @param shape `[N, H, W, O]`.
 * @returns That shape.
 */
export function winogradOutput(m: Value, shape: Shape, transposed: boolean): Value {
  return apply(winogradOutputOp, [m], { shape, transposed });
}
