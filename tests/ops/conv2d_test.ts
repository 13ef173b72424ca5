import { conv2dOp } from "../../ops/conv2d.ts";
import { checkOp } from "../check_op.ts";

checkOp(conv2dOp, [
  { shapes: [[1, 1, 1, 1], [1, 1, 1, 1]], attrs: { stride: 1, padding: [0, 0, 0, 0] } },
  { shapes: [[2, 5, 9, 3], [3, 3, 3, 5]], attrs: { stride: 1, padding: [1, 1, 1, 1] } },
  { shapes: [[1, 8, 8, 8], [3, 3, 8, 4]], attrs: { stride: 2, padding: [1, 1, 1, 1] } },
  { shapes: [[1, 8, 8, 4], [3, 3, 4, 8]], attrs: { stride: 2, padding: [0, 0, 1, 1] } },
  { shapes: [[1, 9, 7, 4], [7, 7, 4, 6]], attrs: { stride: 2, padding: [3, 3, 3, 3] } },
  { shapes: [[3, 4, 4, 12], [1, 1, 12, 8]], attrs: { stride: 2, padding: [0, 0, 0, 0] } },
  { shapes: [[1, 3, 13, 4], [3, 3, 4, 20]], attrs: { stride: 1, padding: [1, 1, 1, 1] } },
]);
