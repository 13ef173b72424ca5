import { softmaxOp } from "../../ops/softmax.ts";
import { checkOp, spreadNumbers } from "../check_op.ts";

checkOp(softmaxOp, [
  { shapes: [[1]], attrs: { scale: 1, causal: false }, wrt: [] },
  { shapes: [[3, 5, 7]], attrs: { scale: 1, causal: false } },
  { shapes: [[65, 12]], attrs: { scale: 0.5, causal: false }, fill: (_, k) => 60 * spreadNumbers(0, k) },
  { shapes: [[2, 6, 6]], attrs: { scale: 0.7, causal: true } },
  { shapes: [[2, 3, 9]], attrs: { scale: 1, causal: true } },
]);
