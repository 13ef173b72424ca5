import { eigen2x2Op } from "../../ops/eigen_2x2.ts";
import { eigen2x2GradOp } from "../../ops/eigen_2x2_grad.ts";
import { checkOp } from "../check_op.ts";

// xx, yy, xy with every sign of xx - yy and of xy
const fill = (input: number, k: number) => input ? Math.sin(7 * k) : [0.9, 0.4, 0.1][k % 3]! + Math.cos(k) / 3;

checkOp(eigen2x2Op, [
  { shapes: [[1, 3]], attrs: {}, fill },
  { shapes: [[2, 34, 3]], attrs: {}, fill },
  // diagonal, and a multiple of the identity
  { shapes: [[3, 3]], attrs: {}, fill: (_, k) => [1, 2, 0, 2, 1, 0, 1, 1, 0][k]!, wrt: [] },
]);
checkOp(eigen2x2GradOp, [{ shapes: [[2, 9, 4], [2, 9, 4]], attrs: {}, fill: (input, k) => fill(input, k) + k % 4 }]);
