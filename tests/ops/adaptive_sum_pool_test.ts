import { adaptiveSumPoolOp } from "../../ops/adaptive_sum_pool.ts";
import { checkOp } from "../check_op.ts";

checkOp(adaptiveSumPoolOp, [
  { shapes: [[1, 2, 2, 1]], attrs: { size: [1, 1] } },
  { shapes: [[2, 6, 8, 5]], attrs: { size: [3, 4] } },
  { shapes: [[1, 7, 5, 8]], attrs: { size: [3, 4] } },
]);
