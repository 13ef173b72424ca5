import { isFiniteOp } from "../../ops/is_finite.ts";
import { checkOp } from "../check_op.ts";

const values = [0, -1.5, 3e38, Infinity, -Infinity, NaN, 1e-38];

checkOp(isFiniteOp, [{ shapes: [[7]], attrs: {}, fill: (_, k) => values[k]! }]);
