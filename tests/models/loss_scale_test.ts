import assert from "node:assert/strict";
import { lossScale, lossScaleUpdates } from "../../models/loss_scale.ts";
import { Executable } from "../../engine/executable.ts";
import { Graph } from "../../engine/graph.ts";
import { Tensor } from "../../engine/tensor.ts";
import { gpuTest } from "../gpu.ts";

gpuTest(
  "lossScale() is halved by gradients that are not finite, and doubled by 500 steps of finite ones",
  async (device) => {
    const graph = new Graph();
    const scale = lossScale(graph);
    const updates = lossScaleUpdates(graph, [graph.input("g", [3])]);
    const tensors = new Map([...graph.parameters].map(([name, { shape }]) => [name, new Tensor(device, shape)]));
    using exe = new Executable(device, { outputs: { scale }, updates }, tensors);
    const after = async (steps: number, g: readonly number[]) => {
      for (let k = 0; k < steps; k++) exe.run({ g });
      exe.run({ g: [0, 0, 0] });
      return (await exe.read("scale"))[0];
    };
    const finite = [1, -2, 3e4];
    assert.equal(await after(498, finite), 2 ** 16);
    assert.equal(await after(1, finite), 2 ** 17);
    assert.equal(await after(1, [1, NaN, 1]), 2 ** 16);
    assert.equal(await after(2, [Infinity, 0, 0]), 2 ** 14);
    // The steps are counted anew; the last call has made one.
    assert.equal(await after(498, finite), 2 ** 14);
    assert.equal(await after(1, finite), 2 ** 15);
    assert.equal(await after(40, [NaN, 0, 0]), 1);
    tensors.forEach((tensor) => tensor.destroy());
  },
);
