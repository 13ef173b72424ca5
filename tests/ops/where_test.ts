import { whereOp } from "../../ops/where.ts";
import { checkOp, spreadNumbers } from "../check_op.ts";

const fill = (input: number, k: number) => input ? spreadNumbers(input, k) : k % 3;

checkOp(whereOp, [
  { shapes: [[3, 5, 7], [3, 5, 7], [3, 5, 7]], attrs: {}, fill, wrt: [1, 2] },
  { shapes: [[2, 3, 1], [2, 3, 5], [5]], attrs: {}, fill, wrt: [1, 2] },
]);
