import { subOp } from "../../ops/sub.ts";
import { checkOp } from "../check_op.ts";

checkOp(subOp, [
  { shapes: [[7], [7]], attrs: {} },
  { shapes: [[2, 3, 4, 5], [5]], attrs: {} },
  { shapes: [[2, 3, 4, 8], [2, 1, 1, 8]], attrs: {} },
  { shapes: [[1], [3, 5]], attrs: {} },
]);
