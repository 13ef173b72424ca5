import { awingOp } from "../../ops/awing.ts";
import { awingGradOp } from "../../ops/awing_grad.ts";
import { checkOp } from "../check_op.ts";

const attrs = { omega: 14, theta: 0.5, epsilon: 1, alpha: 2.1 };
// Predictions from -1 to 2, targets from 0 to 1, never equal.
const fill = (input: number, k: number) => input === 0 ? (k * 37 % 101) / 33 - 1.003 : (k * 53 % 97) / 97;

checkOp(awingOp, [{ shapes: [[1], [1]], attrs, fill, wrt: [0] }, {
  shapes: [[5, 9, 3], [5, 9, 3]],
  attrs,
  fill,
  wrt: [0],
}]);
checkOp(awingGradOp, [{ shapes: [[5, 9, 3], [5, 9, 3], [5, 9, 3]], attrs, fill }]);
