import { reluOp } from "../../ops/relu.ts";
import { checkOp } from "../check_op.ts";

checkOp(reluOp, [{ shapes: [[3, 5, 7]], attrs: {} }]);
