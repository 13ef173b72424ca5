import assert from "node:assert";
import { recompute, recomputeOp } from "../../ops/recompute.ts";
import { softmax } from "../../ops/softmax.ts";
import { Graph } from "../../engine/graph.ts";
import { plan } from "../../engine/plan/plan.ts";
import { checkOp } from "../check_op.ts";

checkOp(recomputeOp, [{ shapes: [[3, 5]], attrs: {} }]);

Deno.test("recompute() keeps a graph from sharing what is computed from it", () => {
  const graph = new Graph();
  const x = graph.input("x", [4, 8]);
  const softmaxes = (outputs: Parameters<typeof plan>[0]["outputs"]) =>
    plan({ outputs }, { storage: "buffer", bindings: 16, tiled: false })
      .dispatches.filter(({ name }) => name === "softmax").length;
  assert.equal(softmaxes({ a: softmax(x), b: softmax(x) }), 1);
  assert.equal(softmaxes({ a: softmax(x), b: softmax(recompute(x)) }), 2);
});
