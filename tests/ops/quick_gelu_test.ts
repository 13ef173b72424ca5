import assert from "node:assert";
import { quickGelu } from "../../ops/quick_gelu.ts";
import { Graph } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { gpuTest } from "../gpu.ts";

gpuTest("quickGelu() is x / (1 + exp(-1.702 x))", async (device) => {
  const x = Float32Array.from({ length: 41 }, (_, k) => (k - 20) / 4);
  const exe = new Executable(device, { outputs: { y: quickGelu(new Graph().input("x", [41])) } });
  exe.run({ x });
  (await exe.read("y")).forEach((y, k) => assert.ok(Math.abs(y - x[k]! / (1 + Math.exp(-1.702 * x[k]!))) < 2e-6));
  exe.destroy();
});
