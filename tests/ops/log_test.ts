import { logOp } from "../../ops/log.ts";
import { checkOp } from "../check_op.ts";

checkOp(logOp, [{ shapes: [[3, 5, 7]], attrs: {}, fill: (_, k) => (k + 1) / 9 }]);
