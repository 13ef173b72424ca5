import assert from "node:assert";
import { gradients } from "../../ops/autodiff.ts";
import { concat } from "../../ops/concat.ts";
import { centres, heatmapMoments } from "../../ops/heatmap.ts";
import { mul } from "../../ops/mul.ts";
import { sum } from "../../ops/sum.ts";
import { Graph } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { spreadNumbers } from "../check_op.ts";
import { gpuTest, testDevice } from "../gpu.ts";

const [N, H, W, P] = [2, 5, 7, 3];
const heatmaps = Float32Array.from({ length: N * H * W * P }, (_, k) => Math.fround(Math.exp(4 * spreadNumbers(0, k))));
const share = Float32Array.from({ length: N * P * 5 }, (_, k) => Math.fround(spreadNumbers(1, k)));

/** Means of x, y, x^2, y^2 and x y, and the loss of the test, in plain loops. */
function reference(x: ArrayLike<number>): { means: number[]; loss: number } {
  const means: number[] = [];
  for (let n = 0; n < N; n++) {
    for (let p = 0; p < P; p++) {
      const pixels = centres(H).flatMap((y, h) =>
        centres(W).map((px, w) => ({ x: px, y, weight: x[((n * H + h) * W + w) * P + p]! }))
      );
      const total = pixels.reduce((s, { weight }) => s + weight, 0);
      const mean = (f: (x: number, y: number) => number) =>
        pixels.reduce((s, { x, y, weight }) => s + f(x, y) * weight, 0) / total;
      means.push(mean((x) => x), mean((_, y) => y), mean((x) => x * x), mean((_, y) => y * y), mean((x, y) => x * y));
    }
  }
  return { means, loss: means.reduce((s, mean, k) => s + share[k]! * mean, 0) };
}

gpuTest("moments of heatmaps match plain loops, and so do their gradients", async () => {
  const graph = new Graph();
  const x = graph.input("x", [N, H, W, P]);
  const { mean, second } = heatmapMoments(x);
  const means = concat([mean, second], 2);
  const loss = sum(mul(means, graph.constant(share, [N, P, 5])));
  const exe = new Executable(testDevice(), { outputs: { means, dx: gradients(loss, [x])[0]! } });
  exe.run({ x: heatmaps });
  const want = reference(heatmaps);
  (await exe.read("means")).forEach((v, k) => assert.ok(Math.abs(v - want.means[k]!) < 1e-5, `mean ${k}`));
  const dx = await exe.read("dx");
  for (let k = 0; k < dx.length; k += 11) {
    const nudged = (h: number) => reference(Float64Array.from(heatmaps, (v, i) => i === k ? v + h : v)).loss;
    assert.ok(Math.abs(dx[k]! - (nudged(1e-4) - nudged(-1e-4)) / 2e-4) < 1e-5, `dx ${k}`);
  }
  exe.destroy();
});

gpuTest("a map of zeros is read as the centre, without NaN in the gradient", async (device) => {
  const graph = new Graph();
  const x = graph.input("x", [1, 4, 4, 1]);
  const { mean } = heatmapMoments(x);
  const exe = new Executable(device, { outputs: { mean, dx: gradients(sum(mean), [x])[0]! } });
  exe.run({ x: new Float32Array(16) });
  assert.deepEqual([...await exe.read("mean")], [0, 0]);
  assert.ok((await exe.read("dx")).every(Number.isFinite));
  exe.destroy();
});
