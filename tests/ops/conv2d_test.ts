import { conv2dOp } from "../../ops/conv2d.ts";
import { conv2dBackwardInputOp } from "../../ops/conv2d_backward_input.ts";
import { conv2dBackwardWeightOp } from "../../ops/conv2d_backward_weight.ts";
import { checkOp } from "../check_op.ts";

checkOp(conv2dOp, [
  { shapes: [[1, 1, 1, 1], [1, 1, 1, 1]], attrs: { stride: 1, padding: [0, 0, 0, 0] } },
  { shapes: [[2, 5, 9, 3], [3, 3, 3, 5]], attrs: { stride: 1, padding: [1, 1, 1, 1] } },
  { shapes: [[1, 8, 8, 8], [3, 3, 8, 4]], attrs: { stride: 2, padding: [1, 1, 1, 1] } },
  { shapes: [[1, 8, 8, 4], [3, 3, 4, 8]], attrs: { stride: 2, padding: [0, 0, 1, 1] } },
  { shapes: [[1, 9, 7, 4], [7, 7, 4, 6]], attrs: { stride: 2, padding: [3, 3, 3, 3] } },
  { shapes: [[3, 4, 4, 12], [1, 1, 12, 8]], attrs: { stride: 2, padding: [0, 0, 0, 0] } },
  { shapes: [[1, 7, 10, 4], [3, 3, 4, 8]], attrs: { stride: 3, padding: [1, 2, 0, 1] } },
  { shapes: [[1, 3, 13, 4], [3, 3, 4, 20]], attrs: { stride: 1, padding: [1, 1, 1, 1] } },
  { shapes: [[2, 7, 9, 20], [3, 3, 20, 70]], attrs: { stride: 1, padding: [1, 1, 1, 1] } },
  { shapes: [[2, 12, 11, 6], [3, 3, 6, 33]], attrs: { stride: 2, padding: [0, 0, 1, 1] } },
], { tiled: true });

checkOp(conv2dBackwardInputOp, [
  { shapes: [[2, 7, 9, 20], [3, 3, 70, 20]], attrs: { stride: 1, padding: [1, 1, 1, 1], height: 7, width: 9 } },
  { shapes: [[2, 6, 5, 6], [3, 3, 33, 6]], attrs: { stride: 2, padding: [0, 0, 1, 1], height: 12, width: 11 } },
], { tiled: true });

checkOp(conv2dBackwardWeightOp, [
  {
    shapes: [[2, 5, 6, 70], [2, 5, 6, 36]],
    attrs: { stride: 1, padding: [1, 1, 1, 1], kernel: [3, 3], parts: 3 },
  },
  {
    shapes: [[1, 8, 9, 33], [1, 4, 5, 34]],
    attrs: { stride: 2, padding: [1, 1, 1, 1], kernel: [3, 3], parts: 1 },
  },
], { tiled: true });
