import { signOp } from "../../ops/sign.ts";
import { checkOp } from "../check_op.ts";

checkOp(signOp, [{ shapes: [[9]], attrs: {}, fill: (_, k) => k - 4 }]);
