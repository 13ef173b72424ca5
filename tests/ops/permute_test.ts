import { permuteOp } from "../../ops/permute.ts";
import { checkOp } from "../check_op.ts";

checkOp(permuteOp, [
  { shapes: [[1]], attrs: { order: [0] } },
  { shapes: [[3, 6]], attrs: { order: [1, 0] } },
  { shapes: [[2, 3, 5]], attrs: { order: [1, 0, 2] } },
  { shapes: [[2, 6, 5, 7]], attrs: { order: [0, 2, 3, 1] } },
  { shapes: [[2, 3, 4, 2, 5]], attrs: { order: [4, 2, 0, 3, 1] } },
  { shapes: [[2, 3, 4, 2, 8]], attrs: { order: [0, 2, 1, 3, 4] } },
]);
