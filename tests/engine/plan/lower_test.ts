import assert from "node:assert/strict";
import type { Fetches } from "../../../engine/plan/records.ts";
import { Graph, type Target } from "../../../engine/graph.ts";
import { decompose } from "../../../engine/plan/decompose.ts";
import { fuse } from "../../../engine/plan/fuse.ts";
import { broadcast, lower } from "../../../engine/plan/lower.ts";
import { add } from "../../../ops/add.ts";
import { conv2d } from "../../../ops/conv2d.ts";
import { mul } from "../../../ops/mul.ts";
import { affine } from "../../../ops/affine.ts";
import { silu } from "../../../ops/silu.ts";

const target: Target = { storage: "buffer", bindings: 16, tiled: false };

function lowered(outputs: Fetches["outputs"], bindings = 16) {
  const graph = decompose({ outputs }, { ...target, bindings });
  return lower(graph, fuse(graph));
}

Deno.test("lower() writes an expression as steps, an equal part of it once", () => {
  const x = new Graph().input("x", [4]);
  const [dispatch, ...more] = lowered({ y: mul(silu(x), add(silu(x), x)) });
  assert.equal(more.length, 0);
  assert.equal(dispatch?.name, "silu+add+mul");
  assert.deepEqual(dispatch?.reads, [x]);
  const [store] = dispatch?.program.stores ?? [];
  assert.deepEqual(store?.steps.map((step) => step.kind === "call" ? step.args : step.kind), ["load", [0], [1, 0], [
    1,
    2,
  ]]);
});

Deno.test("lower() gives a kernel its loads, and an epilogue with the tensors that it adds", () => {
  const graph = new Graph();
  const [x, f] = [graph.input("x", [1, 8, 8, 8]), graph.parameter("f", [3, 3, 8, 8])];
  const h = conv2d(x, f, { padding: 1 });
  const y = add(h, x);
  const [dispatch, ...more] = lowered({ y });
  assert.equal(more.length, 0);
  assert.deepEqual([dispatch?.name, dispatch?.bound], ["conv2d", "compute"]);
  assert.deepEqual([dispatch?.reads, dispatch?.writes], [[x, f], [y]]);
  assert.deepEqual(dispatch?.program.stores[0]?.steps.map(({ kind }) => kind), ["value", "load", "call"]);
  assert.equal(dispatch?.flops, 2 * 64 * 9 * 8 * 8 + 64 * 8);
});

Deno.test("lower() orders dispatches by what they read", () => {
  const graph = new Graph();
  const h = affine(graph.input("x", [1, 8, 8, 8]), 2);
  const y = conv2d(h, graph.parameter("f", [3, 3, 8, 8]), { padding: 1 });
  assert.deepEqual(lowered({ y, h }).map(({ writes: [value] }) => value), [h, y]);
});

Deno.test("lower() refuses a kernel that binds more than the adapter allows", () => {
  const graph = new Graph();
  const y = conv2d(graph.input("x", [1, 8, 8, 8]), graph.parameter("f", [3, 3, 8, 8]), { padding: 1 });
  assert.throws(() => lowered({ y }, 2), /^InputError: Cannot bind 3 tensors for conv2d \[1, 8, 8, 8\] .* allows 2/);
});

Deno.test("broadcast() merges neighbouring dimensions", () => {
  assert.deepEqual(broadcast([2, 4, 4, 8], [2, 4, 4, 8]), { indexing: null, splat: false });
  assert.deepEqual(broadcast([8], [2, 4, 4, 8]).indexing, [{ inner: 1, size: 2, stride: 1, outermost: false }]);
  assert.deepEqual(broadcast([2, 1, 1, 8], [2, 4, 4, 8]).indexing, [
    { inner: 1, size: 2, stride: 1, outermost: false },
    { inner: 32, size: 2, stride: 2, outermost: true },
  ]);
  assert.deepEqual(broadcast([1], [3, 8]), { indexing: [], splat: true });
});
