import { mulOp } from "../../ops/mul.ts";
import { checkOp } from "../check_op.ts";

checkOp(mulOp, [
  { shapes: [[7], [7]], attrs: {} },
  { shapes: [[2, 3, 4, 5], [5]], attrs: {} },
  { shapes: [[2, 3, 4, 8], [2, 1, 1, 8]], attrs: {} },
  { shapes: [[2, 3, 4, 8], [2, 3, 4, 1]], attrs: {} },
  { shapes: [[2, 3, 4, 8], [1]], attrs: {} },
  { shapes: [[2, 1, 4, 8], [2, 3, 1, 8]], attrs: {} },
]);
