import { againOp } from "../../ops/again.ts";
import { checkOp } from "../check_op.ts";

checkOp(againOp, [{ shapes: [[3, 5]], attrs: {} }]);
