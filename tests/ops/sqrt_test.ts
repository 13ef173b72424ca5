import { sqrtOp } from "../../ops/sqrt.ts";
import { checkOp } from "../check_op.ts";

checkOp(sqrtOp, [{ shapes: [[3, 5, 7]], attrs: {}, fill: (_, k) => (k + 1) / 9 }]);
