import { clampOp } from "../../ops/clamp.ts";
import { checkOp } from "../check_op.ts";

checkOp(clampOp, [{ shapes: [[3, 5, 7]], attrs: { low: -0.5, high: 0.75 } }]);
