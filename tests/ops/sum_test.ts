import assert from "node:assert/strict";
import { sumOp, sumTo } from "../../ops/sum.ts";
import { reshape } from "../../ops/reshape.ts";
import { Graph, texels } from "../../engine/graph.ts";
import { plan } from "../../engine/plan/plan.ts";
import { check, checkOp } from "../check_op.ts";

checkOp(sumOp, [
  { shapes: [[1, 1, 1]], attrs: { parts: 1 } },
  { shapes: [[2, 12, 5]], attrs: { parts: 3 } },
  { shapes: [[3, 65, 2, 3]], attrs: { parts: 1 } },
  // By workgroups on hardware: rows that do not fill them, columns of several, one column, and several passes.
  { shapes: [[2, 34, 50]], attrs: { parts: 2 } },
  { shapes: [[1, 300, 1]], attrs: { parts: 1 } },
  { shapes: [[1, 4096, 5]], attrs: { parts: 2 } },
], { tiled: true });

check(
  {
    name: "sumTo",
    compute: ([x]) => [reshape(sumTo(x!, [1, 1, 1, 6]), [6])],
    reference: ([x]) => [{
      shape: [6],
      data: Float64Array.from({ length: 6 }, (_, c) => x!.data.filter((_, k) => k % 6 === c).reduce((a, b) => a + b)),
    }],
  },
  [{ shapes: [[4, 8, 8, 6]], attrs: {} }],
  { tiled: true },
);

Deno.test("plan() sums sums in one pass on hardware, unless there are many", () => {
  const passes = (N: number, tiled: boolean) => {
    const x = new Graph().input("x", [N, 1024, 48]);
    const rows = x.graph.apply(sumOp, [x], { parts: 4 })[0];
    const y = sumTo(rows, [1, 1, 48]);
    const { dispatches } = plan({ outputs: { y } }, { storage: "buffer", bindings: 16, tiled });
    return dispatches.map(({ writes }) => texels(writes[0]!.shape) / 12);
  };
  assert.deepEqual(passes(2, true), [1]);
  assert.deepEqual(passes(64, true), [128, 1]);
  assert.deepEqual(passes(64, false), [256, 16, 1]);
});
