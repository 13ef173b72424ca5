import { normalizeOp } from "../../ops/normalize.ts";
import { normalizeSumsOp } from "../../ops/normalize_sums.ts";
import { checkOp } from "../check_op.ts";

checkOp(normalizeOp, [
  { shapes: [[2, 3, 5, 7], [2, 1, 1, 7], [2, 1, 1, 7], [7]], attrs: {} },
  { shapes: [[1, 65, 8], [1, 1, 8], [8], [8]], attrs: {} },
]);

checkOp(normalizeSumsOp, [
  { shapes: [[1, 1, 1], [1, 1, 1], [1, 1, 1]], attrs: { step: 1 } },
  { shapes: [[2, 3, 5, 7], [2, 3, 5, 7], [2, 1, 1, 7]], attrs: { step: 4 } },
]);
