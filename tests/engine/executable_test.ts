import assert from "node:assert/strict";
import { add } from "../../ops/add.ts";
import { log } from "../../ops/log.ts";
import { adamHyper } from "../../ops/adam.ts";
import { adamUpdates } from "../../ops/optimizer.ts";
import { sum } from "../../ops/sum.ts";
import { affine } from "../../ops/affine.ts";
import { softmaxOp } from "../../ops/softmax.ts";
import { openDevice } from "../../engine/device.ts";
import { Graph } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { Tensor } from "../../engine/tensor.ts";
import { gpuTest } from "../gpu.ts";

Deno.test({
  name: "large results are the same to the bit, whether they are written to their textures or copied to them",
  ignore: Deno.env.get("FACEWRIGHT_STORAGE") === "buffer",
  async fn() {
    // Texels of results neither of which is a multiple of a row. Two of a kernel wait in the staging buffer, of parts that differ
    // in size, then two that read them, of which one goes straight to a parameter.
    const shape = [4111, 7];
    const x = Float32Array.from({ length: 4111 * 7 }, (_, k) => Math.sin(k));
    const results: Float32Array[][] = [];
    for (const staged of [true, false]) {
      const device = await openDevice({ storage: "texture", staged });
      const graph = new Graph();
      const p = graph.parameter("p", shape);
      const [y, logs] = graph.apply(softmaxOp, [graph.input("x", shape)], { scale: 2, causal: false });
      const fetches = { outputs: { y: y!, logs: logs!, more: affine(y!, 3) }, updates: [[p, add(p, y!)] as const] };
      const parameters = new Map([["p", new Tensor(device, shape, x)]]);
      const exe = new Executable(device, fetches, parameters);
      assert.equal(exe.plan.bytes.stagingBuffer, staged ? 16 * 1024 * (9 + 9) : 0);
      assert.equal(exe.plan.inPlaceUpdates.size, staged ? 1 : 0);
      exe.run({ x });
      exe.run({ x });
      results.push([...await Promise.all(["y", "logs", "more"].map((name) => exe.read(name)))]);
      results.at(-1)!.push(await parameters.get("p")!.read());
      exe.destroy();
      parameters.get("p")!.destroy();
      assert.equal(device.memory.live, 0);
      device.destroy();
    }
    assert.deepEqual(results[0], results[1]);
    assert.ok(Math.abs(results[0]![0]!.subarray(0, 7).reduce((a, b) => a + b) - 1) < 1e-6);
  },
});

gpuTest(
  "firstNonFinite() names the dispatch of the first value that is not finite, and updates nothing",
  async (device) => {
    const graph = new Graph();
    const p = graph.parameter("p", [4]);
    const logs = log(add(graph.input("x", [4]), p));
    const fetches = { outputs: { y: sum(logs) }, updates: [[p, affine(p, 2)] as const] };
    using tensor = new Tensor(device, [4], [1, 1, 1, 1]);
    const parameters = new Map([["p", tensor]]);
    using fused = new Executable(device, fetches, parameters);
    using unfused = new Executable(device, fetches, parameters, undefined, false);
    assert.ok(unfused.plan.dispatches.every(({ name }) => !name.includes("+")));
    assert.equal(await fused.firstNonFinite({ x: [1, 2, 3, 4] }), null);
    const x = [1, 2, -1, 4];
    const found = await fused.firstNonFinite({ x });
    assert.equal(found?.op, "add+log+sum_last");
    assert.deepEqual(await unfused.firstNonFinite({ x }), {
      op: "log",
      label: "fused log",
      shape: [4],
      value: -Infinity,
    });
    assert.equal((await fused.firstNonFinite({ x: [1, 2, Infinity, 4] }))?.op, 'input "x"');
    assert.deepEqual([...await tensor.read()], [1, 1, 1, 1]);
  },
);

gpuTest("profile() and firstNonFinite() leave parameters as they are that a run writes in place", async (device) => {
  const graph = new Graph();
  const { updates } = adamUpdates(graph, new Map([["p", graph.parameter("p", [5])]]), [graph.input("g", [5])]);
  using p = new Tensor(device, [5], [1, 2, 3, 4, 5]);
  using m = new Tensor(device, [5], [1, 1, 1, 1, 1]);
  using v = new Tensor(device, [5], [1, 1, 1, 1, 1]);
  using exe = new Executable(
    device,
    { outputs: {}, updates },
    new Map([["p", p], ["adam.m/p", m], ["adam.v/p", v]]),
  );
  assert.equal(exe.plan.copies.length, 0);
  const inputs = { g: [1, 1, 1, 1, 1], "adam.hyper": adamHyper(0, { lr: 1 }) };
  assert.equal(await exe.firstNonFinite(inputs), null);
  await exe.profile();
  assert.deepEqual([...await p.read()], [1, 2, 3, 4, 5]);
  const { version } = p.storage;
  exe.run(inputs);
  assert.ok([...await p.read()].every((value, k) => value < k + 1));
  assert.equal(p.storage.version, version + 1);
}, { storage: "buffer" });

gpuTest("an executable that cannot be made leaves no memory allocated", (device) => {
  const { live } = device.memory;
  const graph = new Graph();
  const y = add(graph.input("x", [4]), graph.parameter("missing", [4]));
  assert.throws(() => new Executable(device, { outputs: { y } }), /parameter "missing" is missing/);
  assert.equal(device.memory.live, live);
  const w = graph.parameter("w", [4]);
  using tensor = new Tensor(device, [4], [1, 2, 3, 4], "f16");
  const fetches = { outputs: {}, updates: [[w, add(w, graph.input("x", [4]))] as const] };
  assert.throws(() => new Executable(device, fetches, new Map([["w", tensor]])), /it is f16/);
  assert.equal(device.memory.live, live + tensor.storage.bytes);
  tensor.destroy();
  tensor.destroy();
  assert.equal(device.memory.live, live, "freed once");
});
