import { stepOp } from "../../ops/step.ts";
import { checkOp } from "../check_op.ts";

checkOp(stepOp, [{ shapes: [[9]], attrs: { at: 0.5 }, fill: (_, k) => (k - 2) / 4 }]);
