import { absOp } from "../../ops/abs.ts";
import { checkOp } from "../check_op.ts";

checkOp(absOp, [{ shapes: [[3, 5, 7]], attrs: {} }]);
