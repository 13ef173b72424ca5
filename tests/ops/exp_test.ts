import { expOp } from "../../ops/exp.ts";
import { checkOp } from "../check_op.ts";

checkOp(expOp, [{ shapes: [[3, 5, 7]], attrs: {} }]);
