import { divOp } from "../../ops/div.ts";
import { checkOp } from "../check_op.ts";

const fill = (input: number, k: number) => input ? 1 + (k % 5) / 3 : k / 7 - 2;

checkOp(divOp, [
  { shapes: [[7], [7]], attrs: {}, fill },
  { shapes: [[2, 3, 5], [5]], attrs: {}, fill },
  { shapes: [[2, 3, 8], [2, 3, 1]], attrs: {}, fill },
]);
