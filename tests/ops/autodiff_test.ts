import assert from "node:assert";
import { gradients } from "../../ops/autodiff.ts";
import { mul } from "../../ops/mul.ts";
import { step } from "../../ops/step.ts";
import { sum } from "../../ops/sum.ts";
import { Graph } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { gpuTest } from "../gpu.ts";

gpuTest("gradients() adds up the ways to a value, and is zero where there is none", async (device) => {
  const graph = new Graph();
  const [x, y, z] = ["x", "y", "z"].map((name) => graph.input(name, [3]));
  // x^2 y, and what only goes through an op without a gradient.
  const loss = sum(mul(mul(x!, mul(x!, y!)), step(z!)));
  const [dx, dy, dz] = gradients(loss, [x!, y!, z!]);
  const exe = new Executable(device, { outputs: { dx: dx!, dy: dy!, dz: dz! } });
  exe.run({ x: [1, 2, 3], y: [4, 5, 6], z: [1, 1, 1] });
  assert.deepEqual([...await exe.read("dx")], [8, 20, 36]);
  assert.deepEqual([...await exe.read("dy")], [1, 4, 9]);
  assert.deepEqual([...await exe.read("dz")], [0, 0, 0]);
  exe.destroy();
});

Deno.test("gradients() of what is no scalar is an error", () => {
  const x = new Graph().input("x", [3]);
  assert.throws(() => gradients(x, [x]), /Cannot differentiate \[3\]/);
});
