import { upsampleNearestOp } from "../../ops/upsample_nearest.ts";
import { checkOp } from "../check_op.ts";

checkOp(upsampleNearestOp, [
  { shapes: [[1, 1, 1, 1]], attrs: { size: [2, 2] } },
  { shapes: [[2, 3, 4, 5]], attrs: { size: [6, 8] } },
  { shapes: [[1, 3, 4, 8]], attrs: { size: [7, 5] } },
]);
