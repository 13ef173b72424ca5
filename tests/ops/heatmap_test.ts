import assert from "node:assert";
import { add } from "../../ops/add.ts";
import { gradients } from "../../ops/autodiff.ts";
import { centres, heatmapMoments, softmaxWeights, varianceAbout } from "../../ops/heatmap.ts";
import { mul } from "../../ops/mul.ts";
import { sum } from "../../ops/sum.ts";
import { Graph } from "../../runtime/graph.ts";
import { Executable } from "../../runtime/run.ts";
import { spreadNumbers, testDevice } from "../check_op.ts";

const [N, H, W, P] = [2, 5, 7, 3];
const temperature = 0.7;
const heatmaps = Float32Array.from({ length: N * H * W * P }, (_, k) => Math.fround(4 * spreadNumbers(0, k)));
const target = Float32Array.from({ length: N * P * 2 }, (_, k) => Math.fround(spreadNumbers(1, k) / 2));
const share = Float32Array.from({ length: N * P * 2 }, (_, k) => Math.fround(spreadNumbers(2, k)));

/** Means of position under softmax, and the loss of the test, in plain loops. */
function reference(x: ArrayLike<number>): { mean: number[]; loss: number } {
  const mean: number[] = [];
  let loss = 0;
  for (let n = 0; n < N; n++) {
    for (let p = 0; p < P; p++) {
      const at = (n * P + p) * 2;
      const pixels = centres(H).flatMap((y, h) =>
        centres(W).map((px, w) => ({ x: px, y, e: Math.exp(x[((n * H + h) * W + w) * P + p]! / temperature) }))
      );
      const total = pixels.reduce((s, { e }) => s + e, 0);
      const expect = (f: (x: number, y: number) => number) =>
        pixels.reduce((s, { x, y, e }) => s + f(x, y) * e, 0) / total;
      mean.push(expect((x) => x), expect((_, y) => y));
      loss += share[at]! * mean[at]! + share[at + 1]! * mean[at + 1]! +
        expect((x, y) => (x - target[at]!) ** 2 + (y - target[at + 1]!) ** 2);
    }
  }
  return { mean, loss };
}

Deno.test({
  name: "softmax moments of heatmaps match plain loops, and so do their gradients",
  sanitizeResources: false, // the device outlives a test
  sanitizeOps: false,
  async fn() {
    const graph = new Graph();
    const x = graph.input("x", [N, H, W, P]);
    const moments = heatmapMoments(softmaxWeights(x, temperature));
    const loss = add(
      sum(mul(moments.mean, graph.constant(share, [N, P, 2]))),
      sum(varianceAbout(moments, graph.constant(target, [N, P, 2]))),
    );
    const exe = new Executable(await testDevice(), {
      outputs: { mean: moments.mean, loss, dx: gradients(loss, [x])[0]! },
    });
    exe.run({ x: heatmaps });
    const want = reference(heatmaps);
    (await exe.read("mean")).forEach((v, k) => assert.ok(Math.abs(v - want.mean[k]!) < 1e-5, `mean ${k}`));
    assert.ok(Math.abs((await exe.read("loss"))[0]! - want.loss) < 1e-4);
    const dx = await exe.read("dx");
    for (let k = 0; k < dx.length; k += 11) {
      const nudged = (h: number) => reference(Float64Array.from(heatmaps, (v, i) => i === k ? v + h : v)).loss;
      assert.ok(Math.abs(dx[k]! - (nudged(1e-4) - nudged(-1e-4)) / 2e-4) < 1e-5, `dx ${k}`);
    }
    exe.destroy();
  },
});

Deno.test({
  name: "a map of zeros is read as the centre, without NaN in the gradient",
  sanitizeResources: false,
  sanitizeOps: false,
  async fn() {
    const graph = new Graph();
    const x = graph.input("x", [1, 4, 4, 1]);
    const { mean } = heatmapMoments(x);
    const exe = new Executable(await testDevice(), { outputs: { mean, dx: gradients(sum(mean), [x])[0]! } });
    exe.run({ x: new Float32Array(16) });
    assert.deepEqual([...await exe.read("mean")], [0, 0]);
    assert.ok((await exe.read("dx")).every(Number.isFinite));
    exe.destroy();
  },
});
