import assert from "node:assert";
import { avgPool } from "../../ops/avg_pool.ts";
import { Graph } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { testDevice } from "../gpu.ts";
import { gpuTest } from "../gpu.ts";

gpuTest("avg_pool() is the mean of squares", async () => {
  const graph = new Graph();
  const x = graph.input("x", [1, 2, 4, 1]);
  const exe = new Executable(testDevice(), { outputs: { y: avgPool(x) } });
  exe.run({ x: [1, 2, 3, 4, 5, 6, 7, 8] });
  assert.deepEqual([...await exe.read("y")], [3.5, 5.5]);
  exe.destroy();
  assert.throws(() => avgPool(graph.input("odd", [1, 3, 4, 1])), TypeError);
});
