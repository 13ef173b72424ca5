import assert from "node:assert";
import { randomNormal, randomNormalOp, randomStep, stepWords } from "../../ops/random_normal.ts";
import { Graph } from "../../engine/graph.ts";
import { Random } from "../../engine/rng.ts";
import { Executable } from "../../engine/executable.ts";
import { checkOp } from "../check_op.ts";
import { gpuTest } from "../gpu.ts";

const key = [0xfedcba98, 0x76543210] as const;

checkOp(randomNormalOp, [
  { shapes: [[4]], attrs: { shape: [1], key }, fill: () => 0 },
  { shapes: [[4]], attrs: { shape: [3, 5, 3], key }, fill: (_, k) => 65535 - k },
  { shapes: [[4]], attrs: { shape: [129, 8], key }, fill: (_, k) => k },
], { tol: 2e-6 });

gpuTest("randomNormal() draws what Random draws", async (device) => {
  const graph = new Graph();
  const options = { shape: [5, 7], seed: 7, stream: "test.noise" };
  const exe = new Executable(device, { outputs: { y: randomNormal(randomStep(graph), options) } });
  for (const step of [3, 2 ** 40 + 70000]) {
    exe.run({ "random.step": stepWords(step) });
    const want = new Random(7, "test.noise", step).fillNormal(new Float32Array(35));
    (await exe.read("y")).forEach((y, k) => assert.ok(Math.abs(y - want[k]!) <= 2e-6, `${k}: ${y}, ${want[k]}`));
  }
  exe.destroy();
});
