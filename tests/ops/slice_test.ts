import { sliceOp, sliceTexelsOp } from "../../ops/slice.ts";
import { checkOp } from "../check_op.ts";

checkOp(sliceTexelsOp, [
  { shapes: [[1]], attrs: { axis: 0, start: 0, size: 1 } },
  { shapes: [[2, 5, 3, 8]], attrs: { axis: 1, start: 2, size: 2 } },
  { shapes: [[2, 5, 3, 8]], attrs: { axis: 1, start: -1, size: 8 } },
  { shapes: [[3, 2, 12]], attrs: { axis: 2, start: 4, size: 6 } },
  { shapes: [[3, 2, 6]], attrs: { axis: 2, start: -4, size: 15 } },
]);

checkOp(sliceOp, [
  { shapes: [[3, 2, 12]], attrs: { axis: 2, start: 4, size: 6 } },
  { shapes: [[3, 2, 13]], attrs: { axis: 2, start: 5, size: 6 } },
  { shapes: [[3, 2, 13]], attrs: { axis: 2, start: 7, size: 6 } },
  { shapes: [[3, 2, 6]], attrs: { axis: 2, start: -2, size: 13 } },
]);
