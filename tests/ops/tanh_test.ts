import { tanhOp } from "../../ops/tanh.ts";
import { checkOp } from "../check_op.ts";

checkOp(tanhOp, [{ shapes: [[1]], attrs: {} }, { shapes: [[3, 5, 7]], attrs: {} }, {
  shapes: [[65, 4]],
  attrs: {},
  fill: (_, k) => (k - 130) / 12,
}, { shapes: [[9]], attrs: {}, fill: (_, k) => k * 40 - 160 }]);
