import assert from "node:assert";
import { linear } from "../../ops/linear.ts";
import { Graph } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { gpuTest } from "../gpu.ts";

gpuTest("linear() multiplies each row and adds the bias", async (device) => {
  const graph = new Graph();
  const y = linear(
    graph.input("x", [1, 2, 3]),
    graph.constant([1, 2, 3, 4, 5, 6], [3, 2]),
    graph.constant([10, 20], [2]),
  );
  assert.deepEqual(y.shape, [1, 2, 2]);
  const exe = new Executable(device, { outputs: { y } });
  exe.run({ x: [1, 0, 0, 1, 1, 1] });
  assert.deepEqual([...await exe.read("y")], [11, 22, 19, 32]);
  exe.destroy();
});
