import assert from "node:assert/strict";
import { apply, Graph, type NoAttrs, type Op, type Target } from "../../../engine/graph.ts";
import { decompose } from "../../../engine/plan/decompose.ts";
import { affine } from "../../../ops/affine.ts";
import { silu, siluOp } from "../../../ops/silu.ts";

const target: Target = { storage: "buffer", bindings: 16, tiled: false };

/** SiLU by another name, which decomposes into SiLU unless composite ops are kept. */
const composite: Op<NoAttrs, 1> = {
  ...siluOp,
  name: "composite",
  decompose: ({ inputs: [x] }, _candidate, { keepComposite }) => keepComposite ? null : [silu(x)],
};

Deno.test("decompose() replaces an op and what it is read by, and drops what nothing reads any more", () => {
  const graph = new Graph();
  const x = graph.input("x", [4]);
  const y = apply(composite, [affine(x, 2)], {});
  const z = affine(y, 3);
  const found = decompose({ outputs: { z } }, target);
  assert.deepEqual(found.nodes.map(({ op }) => op?.name ?? "leaf"), ["leaf", "affine", "silu", "affine"]);
  assert.equal(found.now(y), silu(affine(x, 2)));
  assert.deepEqual(found.outputs, [found.now(z)]);
  assert.notEqual(found.now(z), z);
  assert.equal(found.now(x), x);
});

Deno.test("decompose() leaves a graph as it is where no op decomposes", () => {
  const graph = new Graph();
  const x = graph.input("x", [4]);
  const y = apply(composite, [x], {});
  const found = decompose({ outputs: { y } }, { ...target, keepComposite: true });
  assert.deepEqual(found.nodes, [x.node, y.node]);
  assert.equal(found.now(y), y);
});

Deno.test("decompose() finds the parameters that no update changes frozen", () => {
  const graph = new Graph();
  const [x, p, q] = [graph.input("x", [4]), graph.parameter("p", [4]), graph.parameter("q", [4])];
  const { target: { isFrozen }, updates } = decompose({ outputs: {}, updates: [[p, affine(q, 2)]] }, target);
  assert.deepEqual([x, p, q].map((value) => isFrozen?.(value)), [false, false, true]);
  assert.deepEqual(updates, [[p, affine(q, 2)]]);
});
