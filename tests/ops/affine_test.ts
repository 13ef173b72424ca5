import { affineOp } from "../../ops/affine.ts";
import { checkOp } from "../check_op.ts";

checkOp(affineOp, [{ shapes: [[3, 5, 7]], attrs: { factor: -2.5, offset: 0.75 } }]);
