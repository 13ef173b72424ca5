import assert from "node:assert/strict";
import { Random } from "../../engine/rng.ts";
import { acrossOf, errorCovariance } from "../../faces/error_covariance.ts";
import { mirrorLandmarks } from "../../faces/landmarks.ts";
import { refit } from "../../faces/refit.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { neutralFace } from "./neutral_face.ts";

const schema = SCHEMAS.ibug68, SIDE = 200, SIZE = 2 * schema.count;
const face = Float32Array.from(neutralFace(SIDE));
const turned = (flat: Float32Array, angle: number) => {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return flat.map((_, i) => i % 2 ? s * flat[i - 1]! + c * flat[i]! : c * flat[i]! - s * flat[i + 1]!);
};
const near = (a: ArrayLike<number>, b: ArrayLike<number>, within: number) => {
  assert.equal(a.length, b.length);
  for (let i = 0; i < a.length; i++) assert.ok(Math.abs(a[i]! - b[i]!) < within, `${i}: ${a[i]} is not ${b[i]}`);
};

/** Faces that are found with random errors: the landmarks of the right brow are off as one, the chin with them by half. */
function facesWithErrors(count: number): { found: Float32Array; truth: Float32Array } {
  const random = new Random(3, "errors"),
    found = new Float32Array(count * SIZE),
    truth = new Float32Array(count * SIZE);
  for (let n = 0; n < count; n++) {
    const x = random.normal(), y = random.normal(), own = face.slice();
    for (const p of [17, 18, 19, 20, 21]) own.set([own[2 * p]! + 4 * x, own[2 * p + 1]! + 4 * y], 2 * p);
    own.set([own[16]! + 2 * x, own[17]! + 2 * y], 16);
    truth.set(own, n * SIZE);
    found.set(face, n * SIZE);
  }
  return { found, truth };
}

Deno.test("errorCovariance() says which landmarks err together, of a mean variance of 1, alike on both sides", () => {
  const { found, truth } = facesWithErrors(400), covariance = errorCovariance(found, truth, schema);
  const at = (a: number, b: number) => covariance[a * SIZE + b]!;
  let trace = 0;
  for (let a = 0; a < SIZE; a++) trace += at(a, a) / SIZE;
  assert.ok(Math.abs(trace - 1) < 1e-5, `${trace}`);
  assert.ok(Math.abs(at(34, 36) / at(34, 34) - 1) < 1e-5, "17 and 18 are off as one");
  assert.ok(Math.abs(at(34, 16) / at(34, 34) - 0.5) < 1e-5, "the chin by half as much");
  assert.equal(at(34, 60), 0, "the nose is right");
  for (const p of [17, 8, 36]) {
    for (const q of [18, 8, 45]) {
      const [m, o] = [schema.mirror[p]!, schema.mirror[q]!];
      assert.ok(Math.abs(at(2 * p, 2 * q) - at(2 * m, 2 * o)) < 1e-6);
      assert.ok(Math.abs(at(2 * p, 2 * q + 1) + at(2 * m, 2 * o + 1)) < 1e-6, "x turns its sign in the mirror");
    }
  }
  near(errorCovariance(turned(found, 0.7), turned(truth, 0.7), schema), covariance, 1e-3);
  assert.ok(errorCovariance(found, found, schema).every((value) => value === 0), "without an error nothing is known");
});

Deno.test("refit() by a detector's errors moves what errs with the landmark, turned with the face and in its mirror", () => {
  const { found, truth } = facesWithErrors(400), errors = errorCovariance(found, truth, schema);
  const placed = (flat: Float32Array, p: number, dx: number, dy: number) =>
    new Map([[p, [flat[2 * p]! + dx, flat[2 * p + 1]! + dy] as const]]);
  const alone = refit(face, placed(face, 19, 6, -4), schema);
  const learnt = refit(face, placed(face, 19, 6, -4), schema, errors);
  const moved = (to: ArrayLike<number>, p: number) =>
    Math.hypot(to[2 * p]! - face[2 * p]!, to[2 * p + 1]! - face[2 * p + 1]!);
  near([learnt[38]!, learnt[39]!], [face[38]! + 6, face[39]! - 4], 1e-9);
  assert.ok(moved(learnt, 17) > moved(alone, 17) + 0.5, `${moved(learnt, 17)} ${moved(alone, 17)}`);
  assert.ok(moved(learnt, 8) > moved(alone, 8) + 1, "the chin follows");
  assert.ok(moved(learnt, 30) < moved(alone, 30), "the nose less than by the process alone");
  const [dx, dy] = turned(Float32Array.of(6, -4), 0.7), other = turned(face, 0.7);
  near(refit(other, placed(other, 19, dx!, dy!), schema, errors), turned(Float32Array.from(learnt), 0.7), 0.01);
  const mirrored = mirrorLandmarks(face, schema, SIDE);
  const opposite = refit(mirrored, placed(mirrored, 24, -6, -4), schema, errors);
  near(opposite, mirrorLandmarks(Float32Array.from(learnt), schema, SIDE), 0.01);
});

Deno.test("acrossOf() is the direction from the left to the right half", () => {
  near(acrossOf(face, schema.mirror), [1, 0], 1e-6);
  near(acrossOf(turned(face, 0.5), schema.mirror), [Math.cos(0.5), Math.sin(0.5)], 1e-5);
  assert.deepEqual(acrossOf(new Float32Array(SIZE), schema.mirror), [1, 0]);
});
