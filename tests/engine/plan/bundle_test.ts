import assert from "node:assert/strict";
import { Executable } from "../../../engine/executable.ts";
import { apply, Graph, type Target, type Value } from "../../../engine/graph.ts";
import { plan } from "../../../engine/plan/plan.ts";
import { add } from "../../../ops/add.ts";
import { mul } from "../../../ops/mul.ts";
import { sum, sumOp } from "../../../ops/sum.ts";
import { spreadNumbers } from "../../check_op.ts";
import { gpuTest, TILED } from "../../gpu.ts";

const target: Target = { storage: "buffer", bindings: 64, tiled: true };
/** Shapes of tensors that are summed over their rows. */
const SHAPES = [[2, 30, 50], [1, 300, 8], [3, 17, 7], [1, 16, 33], [1, 900, 20], [1, 40, 12], [2, 25, 9]];

/** Sums of tensors, and of their products with others. */
function sums(graph: Graph): Record<string, Value> {
  const all = SHAPES.map((shape, k) => {
    const x = graph.input(`x${k}`, shape);
    return apply(sumOp, [k % 2 ? mul(x, graph.input(`f${k}`, shape)) : x], { parts: 1 });
  });
  return Object.fromEntries(all.map((y, k) => [`y${k}`, add(y, y)]));
}

const inputs = Object.fromEntries(SHAPES.flatMap((shape, k) =>
  ["x", "f"].map((name, j) => [
    `${name}${k}`,
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => spreadNumbers(2 * k + j, i)),
  ])
));

/** Writes of the dispatches that sum. */
function bundles(outputs: Record<string, Value>, on: Target): number[] {
  return plan({ outputs }, on).dispatches.filter(({ name }) => name === "sum").map(({ writes }) => writes.length);
}

Deno.test("bundle() merges sums that are not read soon, as many as a dispatch binds", () => {
  const outputs = sums(new Graph());
  assert.deepEqual(bundles(outputs, { ...target, tiled: false }), [1, 1, 1, 1, 1, 1, 1]);
  assert.deepEqual(bundles(outputs, target), [7]);
  assert.deepEqual(bundles(outputs, { ...target, fused: false }), [1, 1, 1, 1, 1, 1, 1]);
  assert.deepEqual(bundles(outputs, { ...target, keepComposite: true }), [1, 1, 1, 1, 1, 1, 1]);
  // Each reads one or two tensors and writes one.
  assert.deepEqual(bundles(outputs, { ...target, bindings: 8 }), [3, 3, 1]);
});

Deno.test("bundle() does not delay a sum that is read next, and writes every value before it is read", () => {
  const graph = new Graph();
  let y = graph.input("y", [1, 1, 8]);
  for (let k = 0; k < 4; k++) y = apply(sumOp, [mul(graph.input(`chain${k}`, [1, 30, 8]), y)], { parts: 1 });
  assert.deepEqual(bundles({ y }, target), [1, 1, 1, 1]);
  const outputs = sums(graph);
  const total = Object.values(outputs).map((some) => sum(some)).reduce((a, b) => mul(a, b), sum(y));
  const { dispatches } = plan({ outputs: { ...outputs, total } }, target);
  const written = new Set<Value>();
  for (const { reads, writes } of dispatches) {
    for (const value of reads) assert.ok(!value.node.op || written.has(value));
    writes.forEach((value) => written.add(value));
  }
});

gpuTest("sums in a bundle are those of dispatches of their own", async (device) => {
  const results: number[][][] = [];
  for (const fused of [true, false]) {
    const graph = new Graph();
    const { live } = device.memory;
    using exe = new Executable(device, { outputs: sums(graph) }, new Map(), undefined, fused);
    assert.equal(device.memory.live - live, exe.plan.bytes.given + exe.plan.bytes.pool);
    exe.run(inputs);
    results.push(await Promise.all(SHAPES.map(async (_, k) => [...await exe.read(`y${k}`)])));
  }
  // The compiler of a GPU's driver may fuse multiplications and additions of one kernel and not of the other.
  const [bundled, apart] = results.map((list) => list.flat());
  const largest = Math.max(...apart!.map(Math.abs));
  bundled!.forEach((sum, k) => assert.ok(Math.abs(sum - apart![k]!) <= 1e-5 * largest, `${k}: ${sum}, ${apart![k]}`));
}, TILED);

gpuTest("plans know the memory of bundles, whose uniforms are many", (device) => {
  const graph = new Graph();
  const outputs = Object.fromEntries(
    Array.from({ length: 40 }, (_, k) => [`y${k}`, apply(sumOp, [graph.input(`x${k}`, [1, 20 + k, 8])], { parts: 1 })]),
  );
  const { live } = device.memory;
  using exe = new Executable(device, { outputs });
  const { dispatches, bytes } = exe.plan;
  const large = dispatches.some(({ program: { kernel: { ints = {} } } }) => Object.keys(ints).length * 4 > 256 - 8);
  assert.equal(large, device.bindings >= 32); // 16 sums, of which each reads one tensor and writes one
  assert.equal(device.memory.live - live, bytes.given + bytes.pool);
}, TILED);
