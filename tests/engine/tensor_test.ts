import assert from "node:assert/strict";
import { add } from "../../ops/add.ts";
import { matmul } from "../../ops/matmul.ts";
import { Graph } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { pack, Tensor } from "../../engine/tensor.ts";
import { spreadNumbers } from "../check_op.ts";
import { gpuTest } from "../gpu.ts";

for (const storage of ["auto", "buffer"] as const) {
  gpuTest(
    `f16 weights are rounded, take half the memory and are computed with in f32, storage class ${storage}`,
    async (device) => {
      const [M, K, N] = [5, 70, 1030];
      const [x, w] = [M * K, K * N].map((n, k) => Float32Array.from({ length: n }, (_, i) => spreadNumbers(k, i)));
      const graph = new Graph();
      const y = matmul(graph.input("x", [M, K]), graph.parameter("w", [K, N]));
      const [wide, narrow] = (["f32", "f16"] as const).map((dtype) => {
        const before = device.memory.live;
        return { tensor: new Tensor(device, [K, N], w, dtype), bytes: device.memory.live - before };
      });
      assert.equal(narrow!.bytes * 2, wide!.bytes);
      const rounded = w!.map(Math.f16round);
      assert.deepEqual(await narrow!.tensor.read(), rounded);

      const run = async (tensor: Tensor) => {
        const exe = new Executable(device, { outputs: { y } }, new Map([["w", tensor]]));
        exe.run({ x: x! });
        return await exe.read("y");
      };
      const found = await run(narrow!.tensor);
      wide!.tensor.write(rounded);
      assert.deepEqual(found, await run(wide!.tensor), "the same bits as with the rounded weights in f32");
    },
    { storage },
  );
}

gpuTest("a parameter in f16 cannot be trained", (device) => {
  const graph = new Graph();
  const w = graph.parameter("w", [4]);
  const parameters = new Map([["w", new Tensor(device, [4], [1, 2, 3, 4], "f16")]]);
  assert.throws(
    () => new Executable(device, { outputs: {}, updates: [[w, add(w, w)]] }, parameters),
    /Cannot update parameter "w": it is f16, hint: only frozen weights may be f16/,
  );
});

Deno.test("pack() pads the innermost dimension to texels, and takes texels as they are", () => {
  const texels = pack([2, 3], [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(texels, Float32Array.of(1, 2, 3, 0, 4, 5, 6, 0));
  assert.equal(pack([2, 3], texels), texels);
  assert.throws(() => pack([2, 3], new Float32Array(7)), /Cannot write 7 elements to a tensor of shape \[2, 3\]/);
});
