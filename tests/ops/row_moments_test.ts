import { rowMomentsOp } from "../../ops/row_moments.ts";
import { checkOp, spreadNumbers } from "../check_op.ts";

checkOp(rowMomentsOp, [
  { shapes: [[1, 1]], attrs: {}, wrt: [] },
  { shapes: [[3, 5, 7]], attrs: {} },
  { shapes: [[65, 12]], attrs: {}, fill: (_, k) => 1000 + spreadNumbers(0, k) },
]);
