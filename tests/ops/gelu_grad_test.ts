import { geluGradOp } from "../../ops/gelu_grad.ts";
import { checkOp } from "../check_op.ts";

checkOp(geluGradOp, [
  { shapes: [[4001], [4001]], attrs: {}, fill: (input, k) => input ? 1 : (k - 2000) / 250 },
  { shapes: [[3, 7], [3, 7]], attrs: {} },
], { tol: 1e-6 });
