import assert from "node:assert/strict";
import { nearestRow, nearestRowOp } from "../../ops/nearest_row.ts";
import { Graph } from "../../engine/graph.ts";
import { checkOp } from "../check_op.ts";

checkOp(nearestRowOp, [
  { shapes: [[1, 3], [2, 1, 3]], attrs: {} },
  { shapes: [[17, 4], [2, 3, 8, 4]], attrs: {} },
  { shapes: [[33, 6], [5, 7, 6]], attrs: {} }, // 7 is no multiple of 4: padding lanes
  { shapes: [[5, 9], [66, 9]], attrs: {} },
  // Rows 3 and 7 are equal: the first one counts.
  { shapes: [[8, 4], [1, 4, 4]], attrs: {}, fill: (input, k) => input ? 3 : Math.floor(k / 4) % 4 },
]);

Deno.test("nearestRow() says which shapes do not fit", () => {
  const graph = new Graph();
  assert.throws(() => nearestRow(graph.input("table", [8, 4]), graph.input("x", [2, 3])), {
    name: "TypeError",
    message:
      "Cannot find the rows of a table of shape [8, 4] that are nearest to [2, 3]: [V, C] and [..., C] are expected",
  });
});
