import assert from "node:assert/strict";
import { philox4x32, Random, streamKey } from "../../engine/rng.ts";
import fc from "../fast_check.ts";

const hex = (words: Uint32Array) => Array.from(words, (w) => w.toString(16).padStart(8, "0")).join(" ");

Deno.test("philox4x32() gives the known answers of Random123", () => {
  const ones = 0xffffffff;
  assert.equal(hex(philox4x32([0, 0, 0, 0], [0, 0])), "6627e8d5 e169c58d bc57ac4c 9b00dbd8");
  assert.equal(hex(philox4x32([ones, ones, ones, ones], [ones, ones])), "408f276d 41c83b0e a20bc7c6 6d5451fd");
  assert.equal(
    hex(philox4x32([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])),
    "d16cfe09 94fdcceb 5001e420 24126ea1",
  );
});

Deno.test("streamKey() stays what it was, as saved runs depend on it", () => {
  assert.deepEqual(streamKey(7, "noise"), [1684131197, 4166620039]);
  assert.deepEqual(streamKey(7n, "noise"), [1684131197, 4166620039]);
});

Deno.test("streamKey() differs by seed and by name, in all 64 bits of the seed", () => {
  const keys = [[0, "a"], [1, "a"], [2 ** 32, "a"], [2n ** 63n, "a"], [0, "b"], [0, "ab"], [0, "ba"]] as const;
  assert.equal(new Set(keys.map(([seed, stream]) => streamKey(seed, stream).join())).size, keys.length);
});

Deno.test("Random refuses what is no seed, stream or step", () => {
  for (const seed of [-1, 0.5, NaN, 2 ** 53, 2n ** 64n, -1n]) {
    assert.throws(() => new Random(seed, "a"), /Cannot use seed .*: current value is/);
  }
  assert.throws(() => new Random(0, ""), /name is empty/);
  for (const step of [-1, 0.5, NaN]) {
    assert.throws(() => new Random(0, "a").at(step), /Cannot place stream "a" at step/);
  }
});

Deno.test("Random lays out the counter as documented", () => {
  const step = 5 * 2 ** 32 + 3;
  const random = new Random(9, "layout").at(step);
  const key = streamKey(9, "layout");
  const expected = [0, 1].flatMap((index) => [...philox4x32([index, 3, 5, 0], key)]);
  assert.deepEqual(Array.from({ length: 8 }, () => random.word()), expected);
});

Deno.test("fillUniform() and fillNormal() take word i for element i", () => {
  fc.assert(fc.property(fc.nat(70), fc.nat(9), (length, before) => {
    const random = new Random(1, "fill");
    for (let i = 0; i < before; i++) random.word();
    const scalar = new Random(1, "fill");
    for (let i = 0; i < 4 * Math.ceil(before / 4); i++) scalar.word();
    const uniforms = random.fillUniform(new Float32Array(length));
    assert.deepEqual([...uniforms], Array.from({ length }, () => scalar.uniform()));
    for (let i = length; i % 4 !== 0; i++) scalar.word();
    const normals = random.fillNormal(new Float32Array(length));
    for (let i = 0; i < length; i += 2) assert.equal(normals[i], Math.fround(scalar.normal()));
  }));
});

Deno.test("a step's draws do not depend on what was drawn before", () => {
  const random = new Random(3, "steps");
  const first = random.at(8).fillNormal(new Float32Array(10));
  random.normal();
  random.at(7).fillUniform(new Float32Array(1000));
  assert.deepEqual(random.at(8).fillNormal(new Float32Array(10)), first);
  assert.notDeepEqual(random.at(9).fillNormal(new Float32Array(10)), first);
});

Deno.test("Random.restore() goes on where state() was taken", () => {
  fc.assert(fc.property(fc.bigInt(0n, 2n ** 64n - 1n), fc.nat(20), (seed, drawn) => {
    const random = new Random(seed, "resume", 4);
    for (let i = 0; i < drawn; i++) random.word();
    const restored = Random.restore(JSON.parse(JSON.stringify(random.state())));
    for (let i = 0; i < 9; i++) assert.equal(restored.word(), random.word());
  }));
});

Deno.test("uniforms and normals have the moments of their distributions", () => {
  const n = 100_000;
  const mean = (x: Float32Array, power: number) => x.reduce((sum, v) => sum + v ** power, 0) / n;
  const uniforms = new Random(0, "moments.uniform").fillUniform(new Float32Array(n));
  // Five standard errors: 5 sqrt(variance / n).
  assert.ok(Math.abs(mean(uniforms, 1) - 1 / 2) < 0.005);
  assert.ok(Math.abs(mean(uniforms, 2) - 1 / 3) < 0.005);
  assert.ok(uniforms.every((v) => v >= 0 && v < 1));
  const normals = new Random(0, "moments.normal").fillNormal(new Float32Array(n));
  assert.ok(Math.abs(mean(normals, 1)) < 0.016);
  assert.ok(Math.abs(mean(normals, 2) - 1) < 0.023);
  assert.ok(Math.abs(mean(normals, 3)) < 0.062);
  assert.ok(Math.abs(mean(normals, 4) - 3) < 0.155);
  const neighbours = normals.reduce((sum, v, i) => i % 2 ? sum : sum + v * normals[i + 1]!, 0) / (n / 2);
  assert.ok(Math.abs(neighbours) < 0.023);
});

Deno.test("int() stays in range and is fair", () => {
  const random = new Random(0, "int");
  const counts = new Array(6).fill(0);
  for (let i = 0; i < 60_000; i++) counts[random.int(6)]++;
  // Chi-squared with five degrees of freedom exceeds 25.7 once in ten thousand seeds.
  assert.ok(counts.reduce((sum, c) => sum + (c - 10_000) ** 2 / 10_000, 0) < 25.7);
  fc.assert(fc.property(fc.integer({ min: 1, max: 0xffffffff }), (n) => {
    const value = random.int(n);
    assert.ok(Number.isInteger(value) && value >= 0 && value < n);
  }));
  for (const n of [0, -1, 1.5, 2 ** 32]) assert.throws(() => random.int(n), /Cannot draw an integer below/);
});

Deno.test("shuffle() keeps the elements and orders them as often one way as another", () => {
  const random = new Random(0, "shuffle");
  const counts = new Map<string, number>();
  for (let i = 0; i < 24_000; i++) {
    const order = random.shuffle([0, 1, 2, 3]).join("");
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  assert.equal(counts.size, 24);
  // Chi-squared with 23 degrees of freedom exceeds 56 once in ten thousand seeds.
  assert.ok([...counts.values()].reduce((sum, c) => sum + (c - 1000) ** 2 / 1000, 0) < 56);
  assert.deepEqual(random.shuffle(new Int32Array([5, 6, 7])).toSorted(), new Int32Array([5, 6, 7]));
});
