import { apply, dims, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/winograd_input.wgsl" with { type: "text" };
import tiles from "../shaders/_winograd.wgsl" with { type: "text" };
import { directWorkgroup } from "./_gemm.ts";
import { BLOCK, BT, leftRight, matrix, tabulateTiles, tilePosition, tilesOf, tileStride } from "./_winograd.ts";
import { reader } from "./_reference.ts";

/** Attributes of {@linkcode winogradInputOp}: whether maps are transposed by 180 degrees, as for the gradient. */
export type WinogradInputAttrs = { readonly transposed: boolean };

/** `v = B^T d B` for the pixels `d` under each tile of 4 x 4 results of a 3x3 convolution with a padding of 1. */
export const winogradInputOp: Op<WinogradInputAttrs, 1> = {
  name: "winograd_input",
  bound: "memory",
  shapes: ([x]) => {
    const { N, H, W, I } = dims(x, "N H W I");
    const [TH, TW] = tilesOf(H, W);
    return [[Math.ceil(N * TH * TW / BLOCK), 36, 4 * tileStride(I)]];
  },
  lowering: {
    kind: "kernel",
    kernel({ inputs: [x], attrs: { transposed } }, target) {
      const { N, H, W, I } = dims(x, "N H W I");
      const [TH, TW] = tilesOf(H, W);
      const I4 = Math.ceil(I / 4);
      const [first, step] = transposed ? [4, -1] : [-1, 1];
      return {
        source: `${source}\n${tiles}`,
        label: "shaders/winograd_input.wgsl",
        entry: "forward",
        reads: ["x"],
        writes: ["v"],
        constants: { BLOCK },
        ints: { H, W, I4, TH, TW, first, step, stride: tileStride(I) },
        threads: N * TH * TW * I4,
        workgroup: directWorkgroup(target),
      };
    },
  },
  // Operations of the convolution are those of the product: speeds compare, however it is computed.
  flops: () => 0,
  reference([x], { transposed }) {
    const { N, H, W, I } = dims(x, "N H W I");
    const [TH, TW] = tilesOf(H, W);
    const X = reader(x);
    return [tabulateTiles(N * TH * TW, I, (tile, i) => {
      const [n, th, tw] = tilePosition(tile, H, W);
      const pixel = (r: number) => transposed ? 4 - r : r - 1;
      return leftRight(BT, matrix(6, 6, (r, c) => X(n, 4 * th + pixel(r), 4 * tw + pixel(c), i)));
    })];
  },
};

/**
 * Tiles of maps, ready for {@linkcode winogradProduct}.
 *
 * @param x `[N, H, W, I]`.
 * @param transposed Whether maps are transposed by 180 degrees.
 * @returns Blocks of tiles: `ops/_winograd.ts`.
 */
export function winogradInput(x: Value, transposed: boolean): Value {
  return apply(winogradInputOp, [x], { transposed });
}
