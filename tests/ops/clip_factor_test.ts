import { clipFactorOp } from "../../ops/clip_factor.ts";
import { checkOp } from "../check_op.ts";

checkOp(clipFactorOp, [{ shapes: [[9]], attrs: { max_norm: 1 }, fill: (_, k) => k * k / 4 }]);
