import type { Attrs, Op } from "../../engine/graph.ts";
import { TILED_CANDIDATES } from "../../ops/_gemm.ts";
import { conv2dOp } from "../../ops/conv2d.ts";
import { conv2dBackwardInputOp } from "../../ops/conv2d_backward_input.ts";
import { conv2dBackwardWeightOp } from "../../ops/conv2d_backward_weight.ts";
import { matmulOp } from "../../ops/matmul.ts";
import { winogradProductOp } from "../../ops/winograd_product.ts";
import { type Case, checkOp } from "../check_op.ts";

// Wide tiles and two buffers; tests of the ops have the others. More than 64 columns, so that a wide tile is not half empty,
// and sums of one step and of many.
function inWideTiles<A extends Attrs>(op: Op<A, 2>, cases: readonly Case<A>[]) {
  const { gradient: _, ...forward } = op;
  checkOp(forward, cases, { tiled: TILED_CANDIDATES.slice(1) });
}

const plain = { ta: false, tb: false, heads: 1, merged_a: true, merged_b: true, merged_y: true };

inWideTiles(matmulOp, [
  { shapes: [[2, 70, 53], [2, 53, 135]], attrs: plain },
  { shapes: [[1, 65, 16], [1, 16, 130]], attrs: plain },
  { shapes: [[2, 33, 35], [2, 139, 35]], attrs: { ...plain, tb: true } },
  { shapes: [[2, 37, 66], [2, 37, 70]], attrs: { ...plain, ta: true } },
]);

inWideTiles(conv2dOp, [
  { shapes: [[2, 7, 9, 20], [3, 3, 20, 70]], attrs: { stride: 1, padding: [1, 1, 1, 1] } },
]);

inWideTiles(conv2dBackwardInputOp, [
  { shapes: [[2, 6, 5, 6], [3, 3, 68, 6]], attrs: { stride: 2, padding: [0, 0, 1, 1], height: 12, width: 11 } },
]);

inWideTiles(conv2dBackwardWeightOp, [
  { shapes: [[2, 5, 6, 36], [2, 5, 6, 70]], attrs: { stride: 1, padding: [1, 1, 1, 1], kernel: [3, 3], parts: 3 } },
]);

inWideTiles(winogradProductOp, [
  { shapes: [[5, 36, 160], [36, 16 * 72 + 32]], attrs: { inputs: 16, outputs: 72, pixels: 640, transposed: false } },
  { shapes: [[5, 36, 160], [36, 16 * 72 + 32]], attrs: { inputs: 72, outputs: 16, pixels: 640, transposed: true } },
]);
