import assert from "node:assert/strict";
import fc from "../../fast_check.ts";
import { Graph } from "../../../engine/graph.ts";
import { assignSlots } from "../../../engine/plan/assign_slots.ts";

Deno.test("assignSlots() lets values share a slot that is large enough, but never at one time", () => {
  const span = fc.record({ from: fc.nat(20), length: fc.nat(6), size: fc.integer({ min: 1, max: 40 }) });
  fc.assert(fc.property(fc.array(span, { maxLength: 24 }), (spans) => {
    const graph = new Graph();
    const lives = spans.map(({ from, length, size }, k) => ({
      value: graph.input(`x${k}`, [4 * size]),
      from,
      to: from + length,
      size,
    }));
    const { slots, pool } = assignSlots({
      made: new Map(lives.map(({ value, from }) => [value, from])),
      last: new Map(lives.map(({ value, to }) => [value, to])),
    });
    for (const [k, a] of lives.entries()) {
      const slot = slots.get(a.value);
      assert.ok(slot !== undefined && (pool[slot]?.texels ?? 0) >= a.size);
      for (const b of lives.slice(k + 1)) {
        if (slots.get(b.value) === slot) assert.ok(a.to < b.from || b.to < a.from);
      }
    }
    assert.ok(pool.reduce((x, { texels }) => x + texels, 0) <= lives.reduce((sum, { size }) => sum + size, 0));
  }));
});

Deno.test("assignSlots() gives a chain two slots", () => {
  const graph = new Graph();
  const values = [0, 1, 2, 3, 4].map((k) => graph.input(`x${k}`, [8]));
  const made = new Map(values.map((value, k) => [value, k]));
  const last = new Map(values.map((value, k) => [value, k + 1]));
  const slot = { texels: 2, dtype: "f32" };
  assert.deepEqual(assignSlots({ made, last }).pool, [slot, slot]);
});

Deno.test("assignSlots() gives values of f16 slots of their own", () => {
  const graph = new Graph();
  const values = [0, 1, 2, 3].map((k) => graph.input(`x${k}`, [8]));
  const made = new Map(values.map((value, k) => [value, 2 * k]));
  const last = new Map(values.map((value, k) => [value, 2 * k]));
  const { slots, pool } = assignSlots({ made, last }, new Set(values.slice(2)));
  assert.deepEqual(pool, [{ texels: 2, dtype: "f32" }, { texels: 2, dtype: "f16" }]);
  assert.deepEqual(values.map((value) => slots.get(value)), [0, 0, 1, 1]);
});
