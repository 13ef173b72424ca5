import { maximumOp } from "../../ops/maximum.ts";
import { checkOp } from "../check_op.ts";

checkOp(maximumOp, [
  { shapes: [[3, 5, 7], [3, 5, 7]], attrs: {} },
  { shapes: [[2, 3, 8], [1]], attrs: {} },
]);
