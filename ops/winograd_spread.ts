import { apply, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/winograd_spread.wgsl" with { type: "text" };
import { directWorkgroup } from "./_gemm.ts";
import { AT, BLOCK, both, tilesOf, tileStride, turned } from "./_winograd.ts";

/** `m = A dy A^T` for the gradients `dy` of each tile of 4 x 4 results of a 3x3 convolution. */
export const winogradSpreadOp: Op<Record<string, never>> = {
  name: "winograd_spread",
  bound: "memory",
  shapes: ([dy]) => {
    const [N, H, W, O] = dy as [number, number, number, number];
    const [TH, TW] = tilesOf(H, W);
    return [[Math.ceil(N * TH * TW / BLOCK), 36, 4 * tileStride(O)]];
  },
  lowering: {
    kind: "kernel",
    kernel({ inputs: [dy] }, target) {
      const [N, H, W, O] = dy!.shape as [number, number, number, number];
      const [TH, TW] = tilesOf(H, W);
      const O4 = Math.ceil(O / 4);
      return {
        source,
        label: "shaders/winograd_spread.wgsl",
        entry: "forward",
        reads: ["dy"],
        writes: ["m"],
        constants: { BLOCK },
        ints: { H, W, O4, TH, TW, stride: tileStride(O) },
        threads: N * TH * TW * O4,
        workgroup: directWorkgroup(target),
      };
    },
  },
  flops: () => 0,
  reference([dy]) {
    const [N, H, W, O] = dy!.shape as [number, number, number, number];
    const [TH, TW] = tilesOf(H, W);
    const stride = 4 * tileStride(O);
    const shape = [Math.ceil(N * TH * TW / BLOCK), 36, stride];
    const data = new Float64Array(shape[0]! * 36 * stride);
    for (let tile = 0; tile < N * TH * TW; tile++) {
      const [n, th, tw] = [Math.floor(tile / (TH * TW)), Math.floor(tile / TW) % TH, tile % TW];
      for (let o = 0; o < O; o++) {
        const d = [0, 1, 2, 3].map((r) =>
          [0, 1, 2, 3].map((c) => {
            const [h, w] = [4 * th + r, 4 * tw + c];
            return h < H && w < W ? dy!.data[((n * H + h) * W + w) * O + o]! : 0;
          })
        );
        const at = Math.floor(tile / BLOCK) * 36 * stride + (tile % BLOCK) * 4 * Math.ceil(O / 4) + o;
        both(turned(AT), d).flat().forEach((v, place) => data[at + place * stride] = v);
      }
    }
    return [{ shape, data }];
  },
};

/**
 * Gradients of a convolution's results, ready for {@linkcode winogradSums}.
 *
 * @param dy `[N, H, W, O]`.
 * @returns Blocks of tiles: `ops/_winograd.ts`.
 */
export function winogradSpread(dy: Value): Value {
  return apply(winogradSpreadOp, [dy], {});
}
