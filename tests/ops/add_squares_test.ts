import { addSquaresOp } from "../../ops/add_squares.ts";
import { checkOp } from "../check_op.ts";

checkOp(addSquaresOp, [
  { shapes: [[1024, 4], [1]], attrs: {} },
  { shapes: [[1024, 4], [3, 3, 5, 7], [8], [2050, 6], [9, 1]], attrs: {} },
]);
