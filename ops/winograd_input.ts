import { apply, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/winograd_input.wgsl" with { type: "text" };
import { directWorkgroup } from "./_gemm.ts";
import { BLOCK, both, BT, tilesOf, tileStride } from "./_winograd.ts";

/** Attributes of {@linkcode winogradInputOp}: whether maps are turned by 180 degrees, as for the gradient. */
export type WinogradInputAttrs = { readonly turned: boolean };

/** `v = B^T d B` for the pixels `d` under each tile of 4 x 4 results of a 3x3 convolution with a padding of 1. */
export const winogradInputOp: Op<WinogradInputAttrs> = {
  name: "winograd_input",
  bound: "memory",
  shapes: ([x]) => {
    const [N, H, W, I] = x as [number, number, number, number];
    const [TH, TW] = tilesOf(H, W);
    return [[Math.ceil(N * TH * TW / BLOCK), 36, 4 * tileStride(I)]];
  },
  lowering: {
    kind: "kernel",
    kernel({ inputs: [x], attrs: { turned } }, target) {
      const [N, H, W, I] = x!.shape as [number, number, number, number];
      const [TH, TW] = tilesOf(H, W);
      const I4 = Math.ceil(I / 4);
      const [first, step] = turned ? [4, -1] : [-1, 1];
      return {
        source,
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
  reference([x], { turned }) {
    const [N, H, W, I] = x!.shape as [number, number, number, number];
    const [TH, TW] = tilesOf(H, W);
    const stride = 4 * tileStride(I);
    const shape = [Math.ceil(N * TH * TW / BLOCK), 36, stride];
    const data = new Float64Array(shape[0]! * 36 * stride);
    for (let tile = 0; tile < N * TH * TW; tile++) {
      const [n, th, tw] = [Math.floor(tile / (TH * TW)), Math.floor(tile / TW) % TH, tile % TW];
      for (let i = 0; i < I; i++) {
        const d = [0, 1, 2, 3, 4, 5].map((r) =>
          [0, 1, 2, 3, 4, 5].map((c) => {
            const [h, w] = [4 * th + (turned ? 4 - r : r - 1), 4 * tw + (turned ? 4 - c : c - 1)];
            return h >= 0 && h < H && w >= 0 && w < W ? x!.data[((n * H + h) * W + w) * I + i]! : 0;
          })
        );
        const at = Math.floor(tile / BLOCK) * 36 * stride + (tile % BLOCK) * 4 * Math.ceil(I / 4) + i;
        both(BT, d).flat().forEach((v, place) => data[at + place * stride] = v);
      }
    }
    return [{ shape, data }];
  },
};

/**
 * Tiles of maps, ready for {@linkcode winogradProduct}.
 *
 * @param x `[N, H, W, I]`.
 * @param turned Whether maps are turned by 180 degrees.
 * @returns Blocks of tiles: `ops/_winograd.ts`.
 */
export function winogradInput(x: Value, turned: boolean): Value {
  return apply(winogradInputOp, [x], { turned });
}
