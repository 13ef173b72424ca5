import { maxMiddleOp } from "../../ops/max_middle.ts";
import { checkOp } from "../check_op.ts";

checkOp(maxMiddleOp, [
  { shapes: [[1, 1, 1]], attrs: { parts: 1 } },
  { shapes: [[2, 12, 5]], attrs: { parts: 3 } },
  { shapes: [[3, 65, 2, 3]], attrs: { parts: 1 }, fill: (_, k) => -1 - k % 7 },
]);
