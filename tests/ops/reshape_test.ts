import assert from "node:assert";
import { reshape, reshapeOp } from "../../ops/reshape.ts";
import { Graph } from "../../engine/graph.ts";
import { checkOp } from "../check_op.ts";

checkOp(reshapeOp, [
  { shapes: [[2, 3, 8]], attrs: { shape: [6, 8] } },
  { shapes: [[4, 8]], attrs: { shape: [2, 16] } },
]);

Deno.test("reshape() moves elements only where the padding changes", () => {
  const x = new Graph().input("x", [2, 3, 4]);
  assert.equal(reshape(x, [2, 3, 4]), x);
  assert.equal(reshape(x, [2, 12]).node.op?.name, "reshape");
  assert.equal(reshape(x, [8, 3]).node.op?.name, "repack");
  assert.throws(() => reshape(x, [5, 5]), /Cannot reshape \[2, 3, 4\] to \[5, 5\]/);
});
