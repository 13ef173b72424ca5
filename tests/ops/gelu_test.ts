import { geluOp } from "../../ops/gelu.ts";
import { checkOp } from "../check_op.ts";

// The rational erf is right to 1e-7.
checkOp(geluOp, [{ shapes: [[1]], attrs: {} }, { shapes: [[3, 5, 7]], attrs: {} }, {
  shapes: [[65, 4]],
  attrs: {},
  fill: (_, k) => (k - 130) / 12,
}, { shapes: [[4001]], attrs: {}, fill: (_, k) => (k - 2000) / 250 }], { tol: 1e-6 });
