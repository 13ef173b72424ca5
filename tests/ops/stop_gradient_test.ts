import assert from "node:assert/strict";
import { gradients } from "../../ops/autodiff.ts";
import { mul } from "../../ops/mul.ts";
import { stopGradient, stopGradientOp } from "../../ops/stop_gradient.ts";
import { sum } from "../../ops/sum.ts";
import { Graph } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { checkOp, testDevice } from "../check_op.ts";

checkOp(stopGradientOp, [{ shapes: [[3, 5]], attrs: {} }]);

Deno.test({
  name: "stopGradient() makes a factor a constant",
  sanitizeResources: false, // the device outlives a test
  sanitizeOps: false,
  async fn() {
    const graph = new Graph();
    const x = graph.input("x", [3]);
    const [half, none] = [mul(x, stopGradient(x)), stopGradient(mul(x, x))].map((y) => gradients(sum(y), [x])[0]!);
    const exe = new Executable(await testDevice(), { outputs: { half: half!, none: none! } });
    exe.run({ x: [1, 2, -3] });
    assert.deepEqual([...await exe.read("half")], [1, 2, -3]);
    assert.deepEqual([...await exe.read("none")], [0, 0, 0]);
    exe.destroy();
  },
});
