import assert from "node:assert/strict";
import { add } from "../../ops/add.ts";
import { affine } from "../../ops/affine.ts";
import { softmaxOp } from "../../ops/softmax.ts";
import { openDevice } from "../../engine/device.ts";
import { Graph } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { Tensor } from "../../engine/tensor.ts";

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
