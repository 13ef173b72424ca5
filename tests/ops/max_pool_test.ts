import { maxPoolOp } from "../../ops/max_pool.ts";
import { maxPoolGradOp } from "../../ops/max_pool_grad.ts";
import { checkOp } from "../check_op.ts";

const halve = { kernel: 2, stride: 2, padding: 0 };
const dilate = { kernel: 3, stride: 1, padding: 1 };

checkOp(maxPoolOp, [
  { shapes: [[1, 2, 2, 1]], attrs: halve },
  { shapes: [[2, 6, 8, 5]], attrs: halve },
  { shapes: [[2, 7, 5, 4]], attrs: halve },
  { shapes: [[1, 5, 4, 3]], attrs: dilate },
  { shapes: [[1, 9, 7, 4]], attrs: { kernel: 3, stride: 2, padding: 1 } },
]);
checkOp(maxPoolGradOp, [
  // Equal values: the first of each window takes all.
  { shapes: [[1, 4, 4, 5], [1, 2, 2, 5]], attrs: halve, fill: (input, k) => input ? k : 1 },
  { shapes: [[1, 4, 4, 4], [1, 4, 4, 4]], attrs: dilate, fill: (input, k) => input ? k : k % 3 },
]);
