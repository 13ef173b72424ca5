import { groupSumsOp } from "../../ops/group_sums.ts";
import { checkOp } from "../check_op.ts";

checkOp(groupSumsOp, [
  { shapes: [[1, 4], [1, 4]], attrs: { groups: 4, factors: [1, 2] } },
  { shapes: [[2, 1, 12], [2, 1, 12]], attrs: { groups: 4, factors: [1, -0.5] } },
  { shapes: [[3, 10], [3, 10]], attrs: { groups: 2, factors: [0.1, 3] } },
]);
