import assert from "node:assert/strict";
import { featuresOf } from "../../faces/features.ts";
import { type Placed, refit } from "../../faces/refit.ts";
import { mirrorLandmarks } from "../../faces/landmarks.ts";
import { schemaName, SCHEMAS } from "../../faces/schema.ts";
import { Random } from "../../engine/rng.ts";
import { neutralFace } from "./neutral_face.ts";

const schema = SCHEMAS.ibug68, SIDE = 200;
const face = Float32Array.from(neutralFace(SIDE));
const at = (flat: ArrayLike<number>, p: number) => [flat[2 * p]!, flat[2 * p + 1]!] as const;
const moved = (p: number, dx: number, dy: number): readonly [number, readonly [number, number]] => {
  const [x, y] = at(face, p);
  return [p, [x + dx, y + dy]];
};
const shift = (flat: ArrayLike<number>, p: number) => at(flat, p).map((px, k) => px - at(face, p)[k]!);
const near = (a: ArrayLike<number>, b: ArrayLike<number>, within: number) => {
  for (let i = 0; i < a.length; i++) assert.ok(Math.abs(a[i]! - b[i]!) < within, `${i}: ${a[i]} is not ${b[i]}`);
};

Deno.test("refit() puts landmarks where they are placed, and moves near ones more than far ones", () => {
  const result = refit(face, new Map([moved(30, 6, 0)]), schema);
  near(at(result, 30), [at(face, 30)[0] + 6, at(face, 30)[1]], 1e-9);
  const [x29] = shift(result, 29), [x16] = shift(result, 16);
  assert.ok(x29! > 1 && x29! < 6 && x29! > Math.abs(x16!), `${x29} ${x16}`);
  near(refit(face, new Map(), schema), face, 1e-9);
  near(refit(face, new Map([moved(30, 0, 0), moved(8, 0, 0)]), schema), face, 1e-9);
});

Deno.test("refit(): a long move takes the rest along, a short one says little about it", () => {
  const share = (dx: number) => shift(refit(face, new Map([moved(30, dx, 0)]), schema), 29)[0]! / dx;
  const shares = [0.5, 2, 5, 20].map(share);
  assert.ok(shares.every((one, k) => one > (shares[k - 1] ?? 0)), `${shares}`);
  assert.ok(shares[0]! < 0.1 && shares[3]! > 0.5, `${shares}`);
  const still = refit(face, new Map([moved(30, 0.5, 0), moved(8, 0, 20)]), schema);
  assert.ok(shift(still, 29)[0]! > 2 * 0.5 * shares[0]!, "of several moves the longest says how large the errors are");
});

Deno.test("refit(): the other side follows as in a mirror", () => {
  const result = refit(face, new Map([moved(37, -4, -5)]), schema);
  const [x, y] = shift(result, 44);
  assert.ok(x! > 0.2 && y! < -0.2, `${x} ${y}`);
  const mirrored = refit(
    mirrorLandmarks(face, schema, SIDE),
    new Map([[44, [SIDE - 1 - (at(face, 37)[0] - 4), at(face, 37)[1] - 5]]]),
    schema,
  );
  near(mirrored, mirrorLandmarks(Float32Array.from(result), schema, SIDE), 0.01);
});

Deno.test("refit() gives the same for landmarks placed one after the other, and for a larger or turned face", () => {
  const all: Placed = new Map([moved(8, 5, 9), moved(36, -4, 2), moved(54, 3, 3)]);
  const once = refit(face, all, schema);
  // The covariance and the scale of errors are those of the landmarks as they were: what is placed moves them a little.
  let steps: ArrayLike<number> = face;
  const placed = new Map<number, readonly [number, number]>();
  for (const [p, place] of all) steps = refit(steps, placed.set(p, place), schema);
  near(steps, once, 1);
  near(
    refit(face.map((px) => 3 * px), new Map([...all].map(([p, [x, y]]) => [p, [3 * x, 3 * y]])), schema),
    once.map((px) => 3 * px),
    0.01,
  );
  const turn = (flat: ArrayLike<number>) => Float64Array.from(flat, (_, i) => i % 2 ? flat[i - 1]! : -flat[i + 1]!);
  const turned = refit(turn(face), new Map([...all].map(([p, [x, y]]) => [p, [-y, x]])), schema);
  near(turned, turn(once), 0.01);
});

Deno.test("refit() takes every landmark of every schema, all at once", () => {
  for (const name of schemaName.options) {
    const own = SCHEMAS[name], random = new Random(1, name);
    const points = Float32Array.from({ length: 2 * own.count }, () => 200 * random.uniform());
    const all = new Map(Array.from({ length: own.count }, (_, p) => [p, [p, 2 * p]] as const));
    near(refit(points, all, own), [...all.values()].flat(), 1e-9);
    const one = refit(points, new Map([[0, [points[0]! + 5, points[1]!]]]), own);
    assert.ok(one.every(Number.isFinite) && one.every((px, i) => Math.abs(px - points[i]!) <= 5.001), name);
  }
});

Deno.test("featuresOf() has each landmark of every schema once, eyes apart and lips together", () => {
  for (const name of schemaName.options) {
    const all = featuresOf(SCHEMAS[name]).flatMap(({ points }) => points).sort((a, b) => a - b);
    assert.deepEqual(all, Array.from({ length: SCHEMAS[name].count }, (_, p) => p), name);
  }
  const names = featuresOf(schema).map(({ name, points }) => `${name} ${points.length}`);
  assert.deepEqual(names, [
    "contour 17",
    "left_brow 5",
    "right_brow 5",
    "nose 9",
    "left_eye 6",
    "right_eye 6",
    "mouth 20",
  ]);
});
