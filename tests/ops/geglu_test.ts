import assert from "node:assert";
import { geglu } from "../../ops/geglu.ts";
import { normalCdf } from "../../ops/gelu_grad.ts";
import { Graph } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { gpuTest } from "../gpu.ts";

gpuTest("geglu() gates the first half by the second", async (device) => {
  const graph = new Graph();
  const w = graph.constant([1, 2, 3, -1, 0, 2], [1, 6]);
  const y = geglu(graph.input("x", [2, 1, 1]), w, graph.constant([0, 0, 1, 0.5, 0, 0], [6]));
  const exe = new Executable(device, { outputs: { y } });
  exe.run({ x: [1, -2] });
  const want = [1, -2].flatMap((x) =>
    [[x, 0.5 - x], [2 * x, 0], [3 * x + 1, 2 * x]].map(([value, gate]) => value! * gate! * normalCdf(gate!))
  );
  (await exe.read("y")).forEach((v, k) => assert.ok(Math.abs(v - want[k]!) < 1e-5, `${k}: ${v}, ${want[k]}`));
  exe.destroy();
});
