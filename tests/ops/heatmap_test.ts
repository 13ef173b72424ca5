import assert from "node:assert";
import { reader, sumOver, tabulate } from "../../ops/_reference.ts";
import { gradients } from "../../ops/autodiff.ts";
import { centres, heatmapMoments } from "../../ops/heatmap.ts";
import { sum } from "../../ops/sum.ts";
import { dims, Graph } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { check, spreadNumbers } from "../check_op.ts";
import { gpuTest } from "../gpu.ts";

check({
  name: "heatmapMoments",
  compute([x]) {
    const { mean, second } = heatmapMoments(x!);
    return [mean, second];
  },
  reference([x]) {
    const { N, H, W, P } = dims(x!, "N H W P");
    const X = reader(x!);
    const [rows, columns] = [centres(H), centres(W)];
    const mean = (n: number, p: number, f: (x: number, y: number) => number) =>
      sumOver([H, W], (h, w) => f(columns[w]!, rows[h]!) * X(n, h, w, p)) / sumOver([H, W], (h, w) => X(n, h, w, p));
    const first = [(x: number) => x, (_: number, y: number) => y];
    const second = [(x: number) => x * x, (_: number, y: number) => y * y, (x: number, y: number) => x * y];
    return [first, second].map((list) => tabulate([N, P, list.length], (n, p, k) => mean(n, p, list[k]!)));
  },
}, [{ shapes: [[2, 5, 7, 3]], attrs: {}, fill: (_, k) => Math.exp(4 * spreadNumbers(0, k)) }]);

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
