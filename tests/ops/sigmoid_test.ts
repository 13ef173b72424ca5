import { sigmoidOp } from "../../ops/sigmoid.ts";
import { checkOp } from "../check_op.ts";

checkOp(sigmoidOp, [{ shapes: [[1]], attrs: {} }, { shapes: [[3, 5, 7]], attrs: {} }, {
  shapes: [[65, 4]],
  attrs: {},
  fill: (_, k) => (k - 130) / 12,
}]);
