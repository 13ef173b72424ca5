import { apply, dims, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/winograd_grad_output_transform.wgsl" with { type: "text" };
import tiles from "../shaders/_winograd.wgsl" with { type: "text" };
import { directWorkgroup } from "./_gemm.ts";
import {
  AT,
  BLOCK,
  leftRight,
  matrix,
  tabulateTiles,
  tilePosition,
  tilesOf,
  tileStride,
  transpose,
} from "./_winograd.ts";
import { reader } from "./_reference.ts";

/** `m = A dy A^T` for the gradients `dy` of each tile of 4 x 4 results of a 3x3 convolution. */
export const winogradGradOutputTransformOp: Op<NoAttrs, 1> = {
  name: "winograd_grad_output_transform",
  bound: "memory",
  shapes: ([dy]) => {
    const { N, H, W, O } = dims(dy, "N H W O");
    const [TH, TW] = tilesOf(H, W);
    return [[Math.ceil(N * TH * TW / BLOCK), 36, 4 * tileStride(O)]];
  },
  lowering: {
    kind: "kernel",
    kernel({ inputs: [dy] }, target) {
      const { N, H, W, O } = dims(dy, "N H W O");
      const [TH, TW] = tilesOf(H, W);
      const O4 = Math.ceil(O / 4);
      return {
        source: `${source}\n${tiles}`,
        label: "shaders/winograd_grad_output_transform.wgsl",
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
    const { N, H, W, O } = dims(dy, "N H W O");
    const [TH, TW] = tilesOf(H, W);
    const DY = reader(dy);
    return [tabulateTiles(N * TH * TW, O, (tile, o) => {
      const [n, th, tw] = tilePosition(tile, H, W);
      return leftRight(transpose(AT), matrix(4, 4, (r, c) => DY(n, 4 * th + r, 4 * tw + c, o)));
    })];
  },
};

/**
 * Gradients of a convolution's results, ready for {@linkcode winogradFilterGradProduct}.
 *
 * @param dy `[N, H, W, O]`.
 * @returns Blocks of tiles: `ops/_winograd.ts`.
 */
export function winogradGradOutputTransform(dy: Value): Value {
  return apply(winogradGradOutputTransformOp, [dy], {});
}
