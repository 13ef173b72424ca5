import assert from "node:assert/strict";
import { gradients } from "../../ops/autodiff.ts";
import { mul } from "../../ops/mul.ts";
import { stopGradient, stopGradientOp } from "../../ops/stop_gradient.ts";
import { sum } from "../../ops/sum.ts";
import { Graph } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { checkOp } from "../check_op.ts";
import { gpuTest } from "../gpu.ts";

checkOp(stopGradientOp, [{ shapes: [[3, 5]], attrs: {} }]);

gpuTest("stopGradient() makes a factor a constant", async (device) => {
  const graph = new Graph();
  const x = graph.input("x", [3]);
  const [half, none] = [mul(x, stopGradient(x)), stopGradient(mul(x, x))].map((y) => gradients(sum(y), [x])[0]!);
  const exe = new Executable(device, { outputs: { half: half!, none: none! } });
  exe.run({ x: [1, 2, -3] });
  assert.deepEqual([...await exe.read("half")], [1, 2, -3]);
  assert.deepEqual([...await exe.read("none")], [0, 0, 0]);
  exe.destroy();
});
