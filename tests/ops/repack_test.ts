import { repackOp } from "../../ops/repack.ts";
import { checkOp } from "../check_op.ts";

checkOp(repackOp, [
  { shapes: [[2, 3, 5]], attrs: { shape: [6, 5] } },
  { shapes: [[2, 15]], attrs: { shape: [5, 3, 2] } },
  { shapes: [[1]], attrs: { shape: [1, 1] } },
]);
