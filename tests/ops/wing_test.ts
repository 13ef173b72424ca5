import { wingOp } from "../../ops/wing.ts";
import { wingGradOp } from "../../ops/wing_grad.ts";
import { checkOp } from "../check_op.ts";

const squares = (_: number, k: number) => ((k % 40) / 10 + 0.35) ** 2;

checkOp(wingOp, [
  { shapes: [[1]], attrs: { omega: 1, epsilon: 2 }, fill: squares },
  { shapes: [[9, 5]], attrs: { omega: 1, epsilon: 2 }, fill: squares },
  { shapes: [[9, 5]], attrs: { omega: 0.01, epsilon: 2 }, fill: squares },
]);
checkOp(wingGradOp, [{ shapes: [[9, 5], [9, 5]], attrs: { omega: 1, epsilon: 2 }, fill: squares }]);
