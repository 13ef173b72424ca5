import assert from "node:assert";
import { affine } from "../../ops/affine.ts";
import { sumLast, sumLastOp } from "../../ops/sum_last.ts";
import { Graph } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { checkOp } from "../check_op.ts";
import { gpuTest } from "../gpu.ts";

checkOp(sumLastOp, [
  { shapes: [[1]], attrs: {} },
  { shapes: [[3, 7]], attrs: {} },
  { shapes: [[2, 5, 8]], attrs: {} },
]);

gpuTest("sum_last() leaves out the padding of a fused expression", async (device) => {
  const y = sumLast(affine(new Graph().input("x", [1, 2]), 1, 1));
  const exe = new Executable(device, { outputs: { y } });
  exe.run({ x: [3, 4] });
  assert.equal((await exe.read("y"))[0], 9);
  exe.destroy();
});
