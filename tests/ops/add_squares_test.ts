import assert from "node:assert/strict";
import { addSquaresOp, sumOfSquares } from "../../ops/add_squares.ts";
import { Graph, topological } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { plan } from "../../engine/plan/plan.ts";
import { checkOp, spreadNumbers } from "../check_op.ts";
import { gpuTest, TILED } from "../gpu.ts";

checkOp(addSquaresOp, [
  { shapes: [[1024, 4], [1]], attrs: {} },
  { shapes: [[1024, 4], [3, 3, 5, 7], [8], [2050, 6], [9, 1], [2], [30], [7, 7], [3]], attrs: {} },
], { tiled: true });

/** The sum of squares of a hundred tensors, and its partial sums. */
function hundred() {
  const graph = new Graph();
  const y = sumOfSquares(Array.from({ length: 100 }, (_, k) => graph.input(`x${k}`, [1 + 7 * k])));
  return { y, parts: topological([y]).find(({ op }) => op === addSquaresOp)!.outputs[0]! };
}

Deno.test("sumOfSquares() takes more tensors a dispatch on hardware", () => {
  const count = (bindings: number, tiled: boolean) =>
    plan({ outputs: { y: hundred().y } }, { storage: "buffer", bindings, tiled }).dispatches
      .filter(({ name }) => name === "add_squares").length;
  assert.equal(count(8, false), 25);
  assert.equal(count(32, true), 4);
  assert.equal(count(1000, true), 2);
});

gpuTest("partial sums of squares are the same however many tensors a dispatch takes", async (device) => {
  const sums = await Promise.all([false, true].map(async (tiled) => {
    using exe = new Executable({ ...device, tiled }, { outputs: { y: hundred().parts } });
    exe.run(Object.fromEntries(Array.from({ length: 100 }, (_, k) => [
      `x${k}`,
      Float32Array.from({ length: 1 + 7 * k }, (_, i) => spreadNumbers(k, i)),
    ])));
    return [...await exe.read("y")];
  }));
  assert.deepEqual(sums[0], sums[1]);
}, TILED);
