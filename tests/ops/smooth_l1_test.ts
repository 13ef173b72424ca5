import { smoothL1Op } from "../../ops/smooth_l1.ts";
import { smoothL1GradOp } from "../../ops/smooth_l1_grad.ts";
import { checkOp } from "../check_op.ts";

const squares = (_: number, k: number) => ((k % 40) / 10 + 0.35) ** 2;

checkOp(smoothL1Op, [
  { shapes: [[1]], attrs: { beta: 1 }, fill: squares },
  { shapes: [[9, 5]], attrs: { beta: 1 }, fill: squares },
  { shapes: [[9, 5]], attrs: { beta: 0.01 }, fill: squares },
]);
checkOp(smoothL1GradOp, [{ shapes: [[9, 5], [9, 5]], attrs: { beta: 1 }, fill: squares }]);
