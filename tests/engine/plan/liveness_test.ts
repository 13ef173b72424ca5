import assert from "node:assert/strict";
import { Graph, type Target } from "../../../engine/graph.ts";
import { lifeSpans, liveness } from "../../../engine/plan/liveness.ts";
import { affine } from "../../../ops/affine.ts";
import { dispatch } from "./chain.ts";

const target: Target = { storage: "texture", bindings: 16, tiled: false };
const same = <T>(value: T) => value;

function chain(shape: readonly number[]) {
  const graph = new Graph();
  const p = graph.parameter("p", shape);
  const [a, b, c] = [affine(p, 2), affine(p, 3), affine(p, 4)];
  return { p, a, b, c, dispatches: [dispatch([p], [a]), dispatch([a], [b]), dispatch([b], [c])] };
}

Deno.test("lifeSpans() finds the first write and the last read of a value", () => {
  const { p, a, b, c, dispatches } = chain([4]);
  const { made, last } = lifeSpans(dispatches);
  assert.deepEqual([...made], [[a, 0], [b, 1], [c, 2]]);
  assert.deepEqual([p, a, b, c].map((value) => last.get(value)), [0, 1, 2, 2]);
});

Deno.test("liveness() keeps outputs to the end, and cached results over it", () => {
  const { a, b, c, dispatches } = chain([4]);
  const [first, second, third] = dispatches;
  assert.ok(first && second && third);
  const lives = liveness([first, second, { ...third, cached: true }], { outputs: [a], updates: [], target }, same);
  assert.equal(lives.last.get(a), 3);
  assert.equal(lives.last.get(b), 2);
  assert.deepEqual([lives.made.get(c), lives.last.get(c)], [0, 3]);
});

Deno.test("liveness() copies small updates together at the end, and a large one when its old value is read no more", () => {
  for (const [shape, after] of [[[4], 3], [[1024, 1024], 2]] as const) {
    const { p, b, dispatches } = chain(shape);
    const { copies, last } = liveness(dispatches, { outputs: [], updates: [[p, b]], target }, same);
    assert.deepEqual(copies, [{ parameter: p, value: b, after }]);
    assert.equal(last.get(b), 2);
  }
});

Deno.test("liveness() updates in place on devices that stage, unless an f16 parameter or a later read forbids it", () => {
  const { p, b, c, dispatches } = chain([128, 256]);
  const staged = { ...target, staged: true };
  const found = (value: typeof c, on: Target) =>
    liveness(dispatches, { outputs: [], updates: [[p, value]], target: on }, same);
  assert.deepEqual([...found(c, staged).inPlaceUpdates], [[c, p]]);
  assert.deepEqual(found(c, staged).copies, []);
  assert.equal(found(c, staged).made.has(c), false);
  assert.equal(found(b, staged).inPlaceUpdates.size, 0, "b is read after it is written");
  assert.equal(found(c, { ...staged, isF16: () => true }).inPlaceUpdates.size, 0);
  assert.equal(found(c, target).inPlaceUpdates.size, 0);
});
