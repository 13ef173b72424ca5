import assert from "node:assert";
import { conv2dBackwardInputOp } from "../../ops/conv2d_backward_input.ts";
import { convTranspose2d } from "../../ops/conv_transpose2d.ts";
import { Graph } from "../../engine/graph.ts";
import { checkOp } from "../check_op.ts";

checkOp(conv2dBackwardInputOp, [
  { shapes: [[2, 3, 4, 5], [4, 4, 3, 5]], attrs: { stride: 2, padding: [1, 1, 1, 1], height: 6, width: 8 } },
  { shapes: [[1, 5, 9, 4], [3, 3, 4, 4]], attrs: { stride: 1, padding: [1, 1, 1, 1], height: 5, width: 9 } },
]);

Deno.test("convTranspose2d() doubles the size with a 4 x 4 filter", () => {
  const graph = new Graph();
  const y = convTranspose2d(graph.input("x", [2, 3, 4, 5]), graph.input("f", [4, 4, 3, 5]), { stride: 2, padding: 1 });
  assert.deepEqual(y.shape, [2, 6, 8, 3]);
});
