import { momentsOp } from "../../ops/moments.ts";
import { momentsPartsOp } from "../../ops/moments_parts.ts";
import { elements, type Shape } from "../../engine/graph.ts";
import { checkOp, spreadNumbers } from "../check_op.ts";

/** x far from zero: mean 1000, spread 1. */
const far = (_: number, k: number) => 1000 + spreadNumbers(0, k);

checkOp(momentsPartsOp, [
  { shapes: [[2, 1, 1]], attrs: { step: 1 } },
  { shapes: [[2, 3, 5, 7]], attrs: { step: 4 } },
  { shapes: [[1, 130, 8]], attrs: { step: 64 }, fill: far },
]);

/** The chunks that go with an `x` of this shape. */
function whole(shape: Shape, groups: number, step: number, x = (k: number) => spreadNumbers(2, k)) {
  const data = Float64Array.from({ length: elements(shape) }, (_, k) => Math.fround(x(k)));
  const parts = momentsPartsOp.reference([{ shape, data }], { step });
  return {
    shapes: [parts[0]!.shape, parts[1]!.shape, shape],
    attrs: { groups, step },
    fill: (input: number, k: number) => input < 2 ? parts[input]!.data[k]! : x(k),
    wrt: [2],
  };
}

checkOp(momentsOp, [
  whole([1, 1, 4], 1, 1),
  whole([2, 3, 5, 12], 4, 4),
  whole([3, 7, 6], 3, 3),
  whole([2, 9, 10], 2, 9),
  whole([2, 33, 5], 5, 8),
  whole([1, 4, 4, 24], 2, 16, (k) => 1000 + spreadNumbers(0, k)),
]);
