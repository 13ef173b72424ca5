import assert from "node:assert/strict";
import { Graph, type Target, type Value } from "../../../engine/graph.ts";
import { decompose } from "../../../engine/plan/decompose.ts";
import { fuse, MAX_LEAVES, MAX_STEPS } from "../../../engine/plan/fuse.ts";
import { add } from "../../../ops/add.ts";
import { conv2d } from "../../../ops/conv2d.ts";
import { reshape } from "../../../ops/reshape.ts";
import { affine } from "../../../ops/affine.ts";
import { silu } from "../../../ops/silu.ts";

const target: Target = { storage: "buffer", bindings: 16, tiled: false };
const fused = (y: Value, bindings = 16) => fuse(decompose({ outputs: { y } }, { ...target, bindings }));

Deno.test("fuse() stores leaves and outputs, and computes a chain between them in one expression", () => {
  const x = new Graph().input("x", [4]);
  const y = affine(silu(affine(x, 2)), 3);
  const { stored, expressions, kernels } = fused(y);
  assert.deepEqual(stored, new Set([x, y]));
  assert.deepEqual([...expressions], [[y, [x]]]);
  assert.equal(kernels.size, 0);
});

Deno.test("fuse() stores an operand that is broadcast", () => {
  const graph = new Graph();
  const b = affine(graph.input("b", [4]), 2);
  assert.ok(fused(add(graph.input("x", [3, 4]), b)).stored.has(b));
  assert.ok(!fused(add(graph.input("c", [4]), b)).stored.has(b));
});

Deno.test("fuse() resolves a view of a stored value to that value", () => {
  const x = new Graph().input("x", [4, 8]);
  const view = reshape(x, [2, 16]);
  const { resolve, stored, expressions } = fused(view);
  assert.equal(resolve(view), x);
  assert.ok(stored.has(view));
  assert.equal(expressions.size, 0);
});

Deno.test("fuse() makes an expression the epilogue of a kernel that it alone reads", () => {
  const graph = new Graph();
  const x = graph.input("x", [1, 8, 8, 8]);
  const h = conv2d(x, graph.parameter("f", [3, 3, 8, 8]), { padding: 1 });
  const y = silu(h);
  assert.deepEqual([...fused(y).epilogues], [[y, h]]);
  const both = fuse(decompose({ outputs: { y, h } }, target));
  assert.equal(both.epilogues.size, 0, "the result is an output too");
});

Deno.test("fuse() cuts expressions of too many tensors and of too many steps", () => {
  const graph = new Graph();
  const inputs = Array.from({ length: 3 * MAX_LEAVES }, (_, k) => graph.input(`x${k}`, [4]));
  const wide = fused(inputs.reduce((a, b) => add(a, b)));
  for (const leaves of wide.expressions.values()) assert.ok(leaves.length <= MAX_LEAVES);
  assert.equal(wide.expressions.size, 4);
  let y = graph.input("x", [4]);
  for (let k = 0; k < 2 * MAX_STEPS; k++) y = affine(y, k);
  assert.equal(fused(y).expressions.size, 3);
});
