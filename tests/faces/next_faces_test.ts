import assert from "node:assert/strict";
import { similarity, transformLandmarks } from "../../faces/landmarks.ts";
import { nextFaces, uprightShape } from "../../faces/next_faces.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { neutralFace } from "./neutral_face.ts";

const schema = SCHEMAS.ibug68;
const face = Float32Array.from(neutralFace(100));
const long = face.map((px, i) => i % 2 ? 1.5 * px : px);
const wide = face.map((px, i) => i % 2 ? px : 1.5 * px);
const shapeOf = (landmarks: Float32Array) => uprightShape(landmarks, schema);

Deno.test("uprightShape() does not depend on where a face is, how large it is and how it is turned", () => {
  const moved = transformLandmarks(face, similarity([20, 90], 2.5, 0.7, [300, -40]));
  const [a, b] = [shapeOf(face)!, shapeOf(moved)!];
  for (let i = 0; i < a.length; i++) assert.ok(Math.abs(a[i]! - b[i]!) < 1e-4, `${i}: ${a[i]} ${b[i]}`);
  assert.equal(shapeOf(new Float32Array(136)), undefined);
});

Deno.test("nextFaces() takes doubtful faces that differ from those that are done, and from each other", () => {
  const candidate = (landmarks: Float32Array, doubt?: number, done = false) => ({
    shape: shapeOf(landmarks),
    doubt,
    done,
  });
  const nearly = face.map((px) => px);
  nearly[60]! += 1;
  assert.deepEqual(nextFaces([candidate(face, 1), candidate(long, 3), candidate(wide, 2)]), [1, 2, 0]);
  assert.deepEqual(
    nextFaces([candidate(face, 5, true), candidate(nearly, 9), candidate(long, 2), candidate(wide, 2.1)]).slice(0, 2)
      .sort(),
    [2, 3],
    "one that is like a done one waits",
  );
  const twins = [candidate(long, 9), candidate(long, 8), candidate(face, 1)];
  assert.deepEqual(nextFaces(twins), [0, 2, 1], "one of two that are the same waits");
  assert.deepEqual(nextFaces([{ shape: undefined, doubt: 9, done: false }, candidate(face)]), [1, 0]);
  assert.deepEqual(nextFaces([candidate(long, 1), candidate(wide, 2)], 0), [1, 0]);
});
