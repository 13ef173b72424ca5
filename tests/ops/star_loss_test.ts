import assert from "node:assert";
import { gradients } from "../../ops/autodiff.ts";
import { centres } from "../../ops/heatmap.ts";
import { starLoss, type StarLossOptions } from "../../ops/star_loss.ts";
import { Graph } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { spreadNumbers } from "../check_op.ts";
import { gpuTest, testDevice } from "../gpu.ts";

const [N, H, W, P] = [2, 6, 5, 3];
const maps = Float32Array.from({ length: N * H * W * P }, (_, k) => Math.fround(spreadNumbers(0, k) + 1.6));
const target = Float32Array.from({ length: N * P * 2 }, (_, k) => Math.fround(spreadNumbers(1, k) / 2));

/** The loss in plain loops, for smooth L1 and L1. */
function reference(maps: ArrayLike<number>, { version = 2, distance = "smooth_l1" }: StarLossOptions): number {
  let loss = 0;
  const far = (squared: number) => squared < 1e-4 ? squared * 50 : Math.sqrt(squared) - 0.005;
  for (let n = 0; n < N; n++) {
    for (let p = 0; p < P; p++) {
      const pixels = centres(H).flatMap((y, h) =>
        centres(W).map((x, w) => ({ x, y, e: maps[((n * H + h) * W + w) * P + p]! }))
      );
      const total = pixels.reduce((s, { e }) => s + e, 0);
      const expect = (f: (x: number, y: number, p: number) => number) =>
        pixels.reduce((s, { x, y, e }) => s + f(x, y, e / total) * e / total, 0);
      const [mx, my] = [expect((x) => x), expect((_, y) => y)];
      const denominator = 1 + 1e-5 - (expect((_x, _y, p) => p) + 1e-5) / (1 + 1e-5);
      const xx = expect((x) => (x - mx) ** 2) / denominator;
      const yy = expect((_, y) => (y - my) ** 2) / denominator;
      const xy = expect((x, y) => (x - mx) * (y - my)) / denominator;
      const gap = Math.hypot((xx - yy) / 2, xy);
      const angle = Math.atan2(xy, (xx - yy) / 2) / 2;
      const [low, high] = [(xx + yy) / 2 - gap, (xx + yy) / 2 + gap];
      const [x, y] = [target[(n * P + p) * 2]! - mx, target[(n * P + p) * 2 + 1]! - my];
      const [a, b] = [Math.cos(angle) * y - Math.sin(angle) * x, Math.cos(angle) * x + Math.sin(angle) * y];
      const [na, nb] = [a / Math.sqrt(low + 1e-5), b / Math.sqrt(high + 1e-5)];
      if (version === 1) loss += distance === "l1" ? (Math.abs(na) + Math.abs(nb)) / 2 : far(na * na + nb * nb);
      else loss += far(a * a) / Math.sqrt(low + 1e-5) + far(b * b) / Math.sqrt(high + 1e-5);
      loss += low + high;
    }
  }
  return loss / N / P;
}

gpuTest("starLoss() matches plain loops, and so do its gradients", async () => {
  for (const options of [{}, { version: 1 }, { version: 1, distance: "l1" }] satisfies StarLossOptions[]) {
    const graph = new Graph();
    const x = graph.input("x", [N, H, W, P]);
    const loss = starLoss(x, graph.constant(target, [N, P, 2]), options);
    const exe = new Executable(testDevice(), { outputs: { loss, dx: gradients(loss, [x])[0]! } });
    exe.run({ x: maps });
    const [value] = await exe.read("loss");
    assert.ok(Math.abs(value! - reference(maps, options)) < 1e-4, JSON.stringify(options));
    const dx = await exe.read("dx");
    for (let k = 0; k < dx.length; k += 13) {
      const nudged = (h: number) => reference(Float64Array.from(maps, (v, i) => i === k ? v + h : v), options);
      const want = (nudged(1e-4) - nudged(-1e-4)) / 2e-4;
      assert.ok(Math.abs(dx[k]! - want) < 1e-4, `${JSON.stringify(options)} dx ${k}: ${dx[k]}, ${want}`);
    }
    exe.destroy();
  }
});

gpuTest("starLoss() of a single pixel and of no map is finite, with its gradients", async (device) => {
  const graph = new Graph();
  const x = graph.input("x", [1, 4, 4, 2]);
  const loss = starLoss(x, graph.constant([0.1, 0.2, 0.3, 0.4], [1, 2, 2]));
  const exe = new Executable(device, { outputs: { loss, dx: gradients(loss, [x])[0]! } });
  const data = new Float32Array(32);
  data[10] = 1;
  exe.run({ x: data });
  assert.ok(Number.isFinite((await exe.read("loss"))[0]));
  assert.ok((await exe.read("dx")).every(Number.isFinite));
  exe.destroy();
});
