import assert from "node:assert";
import { gradients } from "../../ops/autodiff.ts";
import { mse } from "../../ops/mse.ts";
import { Graph } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { testDevice } from "../gpu.ts";
import { gpuTest } from "../gpu.ts";

gpuTest("mse() is the mean of squares, with its gradient", async () => {
  const graph = new Graph();
  const [x, y] = [graph.input("x", [2, 3]), graph.input("y", [2, 3])];
  const loss = mse(x, y);
  const exe = new Executable(testDevice(), { outputs: { loss, dx: gradients(loss, [x])[0]! } });
  exe.run({ x: [1, 2, 3, 4, 5, 6], y: [1, 0, 3, 4, 5, 0] });
  assert.ok(Math.abs((await exe.read("loss"))[0]! - 40 / 6) < 1e-6);
  (await exe.read("dx")).forEach((v, k) => assert.ok(Math.abs(v - [0, 4 / 6, 0, 0, 0, 2][k]!) < 1e-6));
  exe.destroy();
});
