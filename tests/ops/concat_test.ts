import { concatOp } from "../../ops/concat.ts";
import { checkOp } from "../check_op.ts";

checkOp(concatOp, [
  { shapes: [[1], [1]], attrs: { axis: 0 } },
  { shapes: [[2, 3, 5], [4, 3, 5]], attrs: { axis: 0 } },
  { shapes: [[2, 3, 5], [2, 1, 5]], attrs: { axis: 1 } },
  { shapes: [[2, 3, 8], [2, 3, 7]], attrs: { axis: 2 } },
  { shapes: [[2, 3, 5], [2, 3, 9]], attrs: { axis: 2 } },
  { shapes: [[2, 3, 6], [2, 3, 2]], attrs: { axis: 2 } },
  { shapes: [[2, 3, 7], [2, 3, 1]], attrs: { axis: 2 } },
]);
