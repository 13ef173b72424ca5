import assert from "node:assert";
import { add } from "../../ops/add.ts";
import { gradients } from "../../ops/autodiff.ts";
import { mul } from "../../ops/mul.ts";
import { adamHyper } from "../../ops/adam.ts";
import { adamUpdates } from "../../ops/optimizer.ts";
import { sum } from "../../ops/sum.ts";
import { Graph } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { Tensor } from "../../engine/tensor.ts";
import { gpuTest, TILED } from "../gpu.ts";

for (const [name, options] of Object.entries({ "": {}, ", together": TILED })) {
  gpuTest(`adamUpdates() clips by the norm of all gradients and steps every parameter${name}`, async (device) => {
    const graph = new Graph();
    const a = graph.parameter("a", [5]);
    const b = graph.parameter("b", [1]);
    // Gradients 3 and 4 times ones: the norm is sqrt(5 * 9 + 16).
    const loss = add(mul(sum(a), graph.constant([3], [1])), mul(b, graph.constant([4], [1])));
    const parameters = new Map([["a", a], ["b", b]]);
    const grads = gradients(loss, [a, b]);
    const { updates, squared_norm } = adamUpdates(graph, parameters, grads, { ema: true, clip_norm: 1 });
    const tensors = new Map([...graph.parameters].map(([name, v]) => [name, new Tensor(device, v.shape)]));
    const exe = new Executable(device, { outputs: { norm: squared_norm! }, updates }, tensors);
    for (const step of [0, 1]) exe.run({ "adam.hyper": adamHyper(step, { lr: 0.5, ema_decay: 0.75 }) });
    const [norm] = await exe.read("norm");
    assert.ok(Math.abs(norm! - 61) < 1e-4);
    const near = async (name: string, want: number) => {
      for (const v of await tensors.get(name)!.read()) assert.ok(Math.abs(v - want) < 1e-5, `${name}: ${v}, ${want}`);
    };
    // A constant gradient makes steps of lr.
    await near("a", -1);
    await near("b", -1);
    await near("adam.m/a", 3 / Math.sqrt(61) * (0.1 + 0.09));
    await near("ema/b", -0.5 * 0.25 * 0.75 - 0.25);
    exe.destroy();
    tensors.forEach((t) => t.destroy());
  }, options);
}
