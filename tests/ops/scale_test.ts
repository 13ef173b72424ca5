import { scaleOp } from "../../ops/scale.ts";
import { checkOp } from "../check_op.ts";

checkOp(scaleOp, [{ shapes: [[3, 5, 7]], attrs: { factor: -2.5, offset: 0.75 } }]);
