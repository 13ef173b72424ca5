import assert from "node:assert/strict";
import { Executable } from "../../engine/executable.ts";
import { Graph } from "../../engine/graph.ts";
import { log, logOp } from "../../ops/log.ts";
import { checkOp } from "../check_op.ts";
import { gpuTest } from "../gpu.ts";

checkOp(logOp, [{ shapes: [[3, 5, 7]], attrs: {}, fill: (_, k) => (k + 1) / 9 }]);

gpuTest(
  "log: minus infinity at zero, no number below it, on every driver",
  async (device) => {
    using exe = new Executable(device, { outputs: { y: log(new Graph().input("x", [7])) } });
    exe.run({ x: [0, -0, -1, -Infinity, NaN, Infinity, 1] });
    assert.deepEqual([...await exe.read("y")], [-Infinity, -Infinity, NaN, NaN, NaN, Infinity, 0]);
  },
);
