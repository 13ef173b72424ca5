import { sumOp } from "../../ops/sum.ts";
import { checkOp } from "../check_op.ts";

checkOp(sumOp, [
  { shapes: [[1, 1, 1]], attrs: { parts: 1 } },
  { shapes: [[2, 12, 5]], attrs: { parts: 3 } },
  { shapes: [[3, 65, 2, 3]], attrs: { parts: 1 } },
  // Long enough for several passes on hardware.
  { shapes: [[1, 4096, 5]], attrs: { parts: 2 } },
], { tiled: true });
