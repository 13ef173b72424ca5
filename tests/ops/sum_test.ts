import { sumOp } from "../../ops/sum.ts";
import { checkOp } from "../check_op.ts";

checkOp(sumOp, [
  { shapes: [[1, 1, 1]], attrs: { parts: 1 } },
  { shapes: [[2, 12, 5]], attrs: { parts: 3 } },
  { shapes: [[3, 65, 2, 3]], attrs: { parts: 1 } },
]);
