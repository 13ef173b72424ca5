import assert from "node:assert/strict";
import { Graph, type Value } from "../../../engine/graph.ts";
import { assignStaging } from "../../../engine/plan/staging.ts";
import { dispatch } from "./chain.ts";

const graph = new Graph();
const SIZE = 16 * 128 * 64;
const [x, a, b, c, small] = [[128, 256], [128, 256], [128, 256], [128, 256], [4]].map((shape, k) =>
  graph.input(`x${k}`, shape)
) as [Value, Value, Value, Value, Value];
const slots = new Map([[a, 0], [b, 1], [c, 2], [small, 3]]);
const nothing = { copies: [], inPlaceUpdates: new Map<Value, Value>(), slots };

Deno.test("assignStaging() puts large results one after the other, and small ones into their textures", () => {
  const { stagingBuffer, staging } = assignStaging([dispatch([x], [a]), dispatch([x], [small, b])], nothing, true);
  assert.equal(stagingBuffer, 2 * SIZE);
  assert.deepEqual(staging, [
    { flushBefore: false, slices: [{ offset: 0, size: SIZE }] },
    { flushBefore: false, slices: [null, { offset: SIZE, size: SIZE }] },
  ]);
});

Deno.test("assignStaging() flushes before a dispatch that reads a staged result or shares its slot, and before copies", () => {
  const flushes = (
    second: ReturnType<typeof dispatch>,
    more: Partial<typeof nothing> = {},
    copies = [] as number[],
  ) => {
    const updates = copies.map((after) => ({ parameter: x, value: a, after }));
    const given = { ...nothing, ...more, copies: updates };
    return assignStaging([dispatch([x], [a]), second], given, true).staging[1]?.flushBefore;
  };
  assert.equal(flushes(dispatch([x], [b])), false);
  assert.equal(flushes(dispatch([a], [b])), true);
  assert.equal(flushes(dispatch([x], [b]), { slots: new Map([[a, 0], [b, 0]]) }), true);
  assert.equal(flushes(dispatch([x], [b]), {}, [1]), true);
  assert.equal(flushes(dispatch([x], [b]), { inPlaceUpdates: new Map([[a, x]]) }), true, "a is written to x");
});

Deno.test("assignStaging() flushes a full buffer, and uses none on devices that do not stage", () => {
  const many = Array.from({ length: 40 }, (_, k) => dispatch([x], [graph.input(`y${k}`, [128, 256])]));
  const { stagingBuffer, staging } = assignStaging(many, { ...nothing, slots: new Map() }, true);
  assert.equal(stagingBuffer, 2 ** 22);
  assert.deepEqual(staging.flatMap(({ flushBefore }, k) => flushBefore ? [k] : []), [32]);
  assert.equal(assignStaging(many, nothing, false).stagingBuffer, 0);
});
