import assert from "node:assert";
import { add } from "../../../ops/add.ts";
import { conv2d } from "../../../ops/conv2d.ts";
import { mul } from "../../../ops/mul.ts";
import { adamUpdates } from "../../../ops/optimizer.ts";
import { reshape } from "../../../ops/reshape.ts";
import { affine } from "../../../ops/affine.ts";
import { silu } from "../../../ops/silu.ts";
import { sum } from "../../../ops/sum.ts";
import { Graph, type Target, type Value } from "../../../engine/graph.ts";
import { plan } from "../../../engine/plan/plan.ts";
import { Executable } from "../../../engine/executable.ts";
import { readAll, Tensor } from "../../../engine/tensor.ts";
import { expand, grid } from "../../../engine/wgsl.ts";
import { gpuTest } from "../../gpu.ts";

const target: Target = { storage: "buffer", bindings: 16, tiled: false };

Deno.test("plan() fuses bias, activation and residual into the convolution before them", () => {
  const g = new Graph();
  const x = g.input("x", [1, 8, 8, 8]);
  const h = conv2d(x, g.parameter("f", [3, 3, 8, 8]), { padding: 1, bias: g.parameter("b", [8]) });
  const { dispatches } = plan({ outputs: { y: add(silu(h), x) } }, target);
  assert.equal(dispatches.length, 1);
  assert.equal(dispatches[0]!.name, "conv2d");
});

Deno.test("plan() stores a result that two kernels need, once", () => {
  const g = new Graph();
  const h = silu(g.input("x", [1, 8, 8, 8]));
  const a = conv2d(h, g.parameter("a", [3, 3, 8, 8]), { padding: 1 });
  const b = conv2d(h, g.parameter("b", [3, 3, 8, 8]), { padding: 1 });
  const { dispatches } = plan({ outputs: { y: add(a, b) } }, target);
  assert.deepEqual(dispatches.map((d) => d.name), ["silu", "conv2d", "conv2d"]);
});

Deno.test("plan() fuses an element-wise product into the loads of a sum", () => {
  const g = new Graph();
  const [a, b] = [g.input("a", [2, 3, 4]), g.input("b", [2, 3, 4])];
  const { dispatches } = plan({ outputs: { y: sum(mul(a, b)) } }, target);
  assert.ok(dispatches.every((d) => d.name.startsWith("sum")), dispatches.map((d) => d.name).join(" "));
});

Deno.test("plan() drops what nothing fetches and takes a view for free", () => {
  const g = new Graph();
  const x = g.input("x", [4, 8]);
  silu(x);
  const { dispatches, resolve } = plan({ outputs: { y: reshape(x, [2, 16]) } }, target);
  assert.equal(dispatches.length, 0);
  assert.equal(resolve(reshape(x, [2, 16])), x);
});

Deno.test("plan() gives a chain of convolutions two buffers", () => {
  const g = new Graph();
  let h = g.input("x", [1, 8, 8, 8]);
  for (let k = 0; k < 6; k++) h = conv2d(h, g.parameter(`f${k}`, [3, 3, 8, 8]), { padding: 1 });
  assert.equal(plan({ outputs: { y: h } }, target).pool.length, 2);
});

Deno.test("plan() copies new values of parameters as soon as they may be, and has their memory for the next", () => {
  const g = new Graph();
  const parameters = [0, 1, 2].map((k) => g.parameter(`p${k}`, [1024, 1024]));
  const updates = parameters.map((p) => [p, affine(p, 2)] as const);
  const { copies, pool } = plan({ outputs: {}, updates }, target);
  assert.deepEqual(copies.map(({ after }) => after), [1, 2, 3]);
  assert.equal(pool.length, 1);
  // Not before the last reader of the old value.
  const [p, q] = parameters as [Value, Value];
  const late = plan({ outputs: {}, updates: [[p, affine(p, 2)], [q, add(affine(sum(q), 2), p)]] }, target);
  assert.ok(late.copies.every(({ after }) => after === late.dispatches.length));
});

Deno.test("plan() has new values of parameters go straight to them from the staging buffer, unless something else needs them", () => {
  const g = new Graph();
  const [p, q, r] = ["p", "q", "r"].map((name) => g.parameter(name, [128, 256])) as [Value, Value, Value];
  const updates = [[p, affine(p, 2)], [q, add(affine(sum(q), 2), p)], [r, affine(r, 2)]] as const;
  const { inPlaceUpdates, copies, staging, bytes } = plan({ outputs: { r: updates[2][1] }, updates }, {
    ...target,
    staged: true,
  });
  assert.deepEqual([...inPlaceUpdates.values()], [q]); // p is read for q, and what is new of r is an output
  assert.deepEqual(new Set(copies.map(({ parameter }) => parameter)), new Set([p, r]));
  // All that is large waits, one after the other; the sum does not.
  const size = 16 * 128 * 64;
  const slices = staging.flatMap(({ slices }) => slices).filter((slice) => slice !== null);
  assert.deepEqual(slices, [0, 1, 2].map((k) => ({ offset: k * size, size })));
  assert.ok(staging.every(({ flushBefore }) => !flushBefore));
  assert.equal(bytes.stagingBuffer, 3 * size);
});

Deno.test("plan() has a kernel write new values where it reads the old ones, unless something else reads either", () => {
  const g = new Graph();
  const [p, q] = ["p", "q"].map((name) => g.parameter(name, [8])) as [Value, Value];
  const parameters = new Map([["p", p], ["q", q]]);
  const grads = [g.input("grad", [8]), mul(g.input("grad", [8]), p)];
  const { updates } = adamUpdates(g, parameters, grads);
  const replaced = (outputs: Record<string, Value>, on: Partial<Target> = {}) => {
    const { inPlaceUpdates, copies } = plan({ outputs, updates }, { ...target, ...on });
    const names = [...inPlaceUpdates.values()].map(({ node: { leaf } }) => leaf?.kind === "parameter" ? leaf.name : "");
    assert.equal(names.length + copies.length, 6);
    return names;
  };
  const moments = ["adam.m/p", "adam.v/p", "adam.m/q", "adam.v/q"];
  // The gradient of q reads p after p has its new value; together with p where a dispatch takes both.
  assert.deepEqual(replaced({}), [...moments.slice(0, 2), "q", ...moments.slice(2)]);
  assert.deepEqual(replaced({}, { tiled: true, bindings: 32 }), [...moments.slice(0, 2), "q", ...moments.slice(2)]);
  assert.deepEqual(replaced({ q: updates.find(([of]) => of === q)![1] }), moments);
  assert.deepEqual(replaced({}, { storage: "texture" }), []);
});

gpuTest("updates see the values that parameters had before a run", async (device) => {
  const g = new Graph();
  const tensors = new Map(["p", "q", "r"].map((name, k) => [name, new Tensor(device, [3], [k, k, k])]));
  const [p, q, r] = [...tensors.keys()].map((name) => g.parameter(name, [3])) as [Value, Value, Value];
  const fetches = {
    outputs: { y: affine(add(p, q), 10) },
    updates: [[p, affine(p, 1, 5)], [q, p], [r, add(q, r)]] as const,
  };
  const exe = new Executable(device, fetches, tensors);
  exe.run();
  assert.deepEqual([...await exe.read("y")], [10, 10, 10]);
  const values = await readAll([...tensors.values()]);
  assert.deepEqual([...tensors.values()].map((t) => values.get(t)![0]), [5, 0, 3]);
  exe.destroy();
  for (const tensor of tensors.values()) tensor.destroy();
});

Deno.test("plan() keeps the bindings of a dispatch under the limit", () => {
  const g = new Graph();
  let y = affine(g.input("x0", [8]), 2);
  for (let k = 1; k < 40; k++) y = add(y, affine(g.input(`x${k}`, [8]), k));
  for (const d of plan({ outputs: { y } }, { ...target, bindings: 8 }).dispatches) {
    assert.ok(d.reads.length + d.writes.length <= 8);
  }
});

Deno.test("plan() stores what a kernel would fuse where that would bind too many tensors", () => {
  const g = new Graph();
  const p = g.parameter("p", [8]);
  const clipped = mul(g.input("grad", [8]), g.input("factor", [1]));
  const { updates } = adamUpdates(g, new Map([["p", p]]), [clipped], { ema: true });
  const names = (bindings: number) =>
    plan({ outputs: {}, updates }, { ...target, bindings }).dispatches.map((d) => d.name);
  assert.deepEqual(names(11), ["adam"]);
  assert.deepEqual(names(10), ["mul", "adam"]);
});

Deno.test("expand() repeats blocks and evaluates expressions", () => {
  const source = "//@ for p in P\nlet x$p = $(p * S + 1);\n//@ end";
  assert.equal(expand(source, { P: 2, S: 3 }, "t"), "let x0 = 1;\nlet x1 = 4;");
  assert.throws(() => expand("//@ for p in Q\n//@ end", {}, "shaders/t.wgsl"), /shaders\/t.wgsl: unknown name "Q"/);
  assert.throws(() => expand("//@ for p in 2", {}, "t"), /not closed/);
});

Deno.test("grid() folds large grids into y", () => {
  assert.deepEqual(grid(65535), [65535, 1]);
  const [x, y] = grid(65536);
  assert.ok(x <= 65535 && x * y >= 65536);
});
