import assert from "node:assert/strict";
import { fingerprint } from "../../../models/io/fingerprint.ts";
import type { HostTensors } from "../../../models/io/params.ts";

const tensors = (...entries: [string, number[]][]): HostTensors =>
  new Map(entries.map(([name, data]) => [name, { shape: [data.length], data: new Float32Array(data) }]));

Deno.test("fingerprint() is of the values, in whatever order and memory they are", () => {
  const one = tensors(["a", [1, 2]], ["b", [-0.5]]);
  assert.match(fingerprint(one), /^[0-9a-f]{8}$/);
  assert.equal(fingerprint(tensors(["b", [-0.5]], ["a", [1, 2]])), fingerprint(one));
  const within = new Float32Array([9, 1, 2]).subarray(1);
  assert.equal(fingerprint(new Map([...one, ["a", { shape: [2], data: within }]])), fingerprint(one));
});

Deno.test("fingerprint() tells values apart that differ in one element, and f16 values use all its digits", () => {
  const seen = new Set<string>(), digits = Array.from({ length: 8 }, () => new Set<string>());
  const values = Array.from({ length: 64 }, (_, k) => k / 64);
  for (let k = 0; k < 2000; k++) {
    const changed = values.with(k % 64, 1 + k / 2048);
    const print = fingerprint(tensors(["weight", changed]));
    seen.add(print);
    [...print].forEach((digit, i) => digits[i]!.add(digit));
  }
  assert.equal(seen.size, 2000);
  assert.ok(digits.every(({ size }) => size === 16));
});
