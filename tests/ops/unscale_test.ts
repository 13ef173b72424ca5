import { unscaleOp } from "../../ops/unscale.ts";
import { checkOp, spreadNumbers } from "../check_op.ts";

checkOp(unscaleOp, [
  { shapes: [[3, 5], [1]], attrs: {}, fill: (input, k) => input ? 0.25 : spreadNumbers(0, k) },
  { shapes: [[3, 5], [1]], attrs: {}, fill: (input, k) => input ? 0 : k % 2 ? NaN : Infinity },
]);
