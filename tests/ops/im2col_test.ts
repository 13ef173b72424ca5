import assert from "node:assert";
import { conv2d, conv2dOp } from "../../ops/conv2d.ts";
import { conv2dBackwardWeight, conv2dBackwardWeightOp } from "../../ops/conv2d_backward_weight.ts";
import { im2colOp } from "../../ops/im2col.ts";
import { elements, type F64, Graph, type Shape } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { checkOp, spreadNumbers } from "../check_op.ts";
import { gpuTest } from "../gpu.ts";

checkOp(im2colOp, [
  { shapes: [[1, 1, 1, 1]], attrs: { stride: 1, padding: [0, 0, 0, 0], kernel: [1, 1] } },
  { shapes: [[2, 5, 7, 3]], attrs: { stride: 1, padding: [1, 1, 1, 1], kernel: [3, 3] } },
  { shapes: [[2, 8, 6, 5]], attrs: { stride: 2, padding: [0, 1, 1, 0], kernel: [3, 2] } },
  { shapes: [[1, 9, 9, 8]], attrs: { stride: 3, padding: [2, 2, 2, 2], kernel: [4, 4] } },
], { tol: 0 });

gpuTest(
  "convolutions of few channels to many are products of patches, and the gradients of their filters too",
  async (device) => {
    const filled = (shape: Shape, seed: number): F64 => ({
      shape,
      data: Float64Array.from({ length: elements(shape) }, (_, k) => Math.fround(spreadNumbers(seed, k))),
    });
    const attrs = { stride: 2, padding: [1, 1, 1, 1] } as const;
    const [x, f, dy] = [[4, 10, 12, 5], [3, 3, 5, 66], [4, 5, 6, 66]].map(filled) as [F64, F64, F64];
    const graph = new Graph();
    const [maps, filters, back] = Object.entries({ x, f, dy }).map(([name, { shape }]) => graph.input(name, shape));
    const y = conv2d(maps!, filters!, { stride: 2, padding: 1 });
    const df = conv2dBackwardWeight(maps!, back!, f.shape, attrs);
    const exe = new Executable(device, { outputs: { y, df } });
    const names = exe.plan.dispatches.map(({ name }) => name);
    assert.deepEqual(names.filter((name) => name !== "sum"), ["im2col", "matmul", "matmul"]);
    exe.run(Object.fromEntries(Object.entries({ x, f, dy }).map(([k, { data }]) => [k, Float32Array.from(data)])));
    const kernel = [3, 3] as const;
    const wants = {
      y: conv2dOp.reference([x, f], attrs)[0]!,
      df: conv2dBackwardWeightOp.reference([x, dy], { ...attrs, kernel, parts: 1 })[0]!,
    };
    for (const [name, want] of Object.entries(wants)) {
      const got = await exe.read(name);
      const scale = want.data.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
      const off = want.data.reduce((most, v, k) => Math.max(most, Math.abs(v - got[k]!)), 0);
      assert.ok(off <= 1e-5 * scale, `${name} is off by ${off / scale}`);
    }
    exe.destroy();
  },
);
