import { rsqrtOp } from "../../ops/rsqrt.ts";
import { checkOp } from "../check_op.ts";

checkOp(rsqrtOp, [{ shapes: [[3, 7]], attrs: { eps: 0.1 }, fill: (_, k) => k * k / 9 }]);
