import { expandOp } from "../../ops/expand.ts";
import { checkOp } from "../check_op.ts";

checkOp(expandOp, [
  { shapes: [[1]], attrs: { shape: [3, 5] } },
  { shapes: [[2, 1, 6]], attrs: { shape: [2, 4, 6] } },
  { shapes: [[2, 3, 1]], attrs: { shape: [2, 3, 7] } },
]);
