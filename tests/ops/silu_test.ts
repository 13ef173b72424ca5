import { siluOp } from "../../ops/silu.ts";
import { checkOp } from "../check_op.ts";

checkOp(siluOp, [
  { shapes: [[1]], attrs: {} },
  { shapes: [[3, 5, 7]], attrs: {} },
  { shapes: [[257, 4]], attrs: {}, fill: (_, k) => (k - 500) / 25 },
]);
