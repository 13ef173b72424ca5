import assert from "node:assert/strict";
import { Random } from "../../../engine/rng.ts";
import { boundingBox, interocular, type Landmarks } from "../../../faces/landmarks.ts";
import { SCHEMAS } from "../../../faces/schema.ts";
import type { Face } from "../../../models/detectors/find_faces.ts";
import { FaceTracker } from "../../../models/detectors/track_faces.ts";
import { landmarksOf } from "./dot_faces.ts";

const schema = SCHEMAS.ibug68, FPS = 25;

const faceAt = (landmarks: Landmarks): Face => ({
  box: boundingBox(landmarks),
  score: 0.9,
  doubt: 0.02,
  angle: 0,
  landmarks,
  uncertainty_px: new Float32Array(68),
});

/** A head that rests for two seconds, and then moves to and fro by a face's width a second and nods. */
function motion(frame: number, x: number): Landmarks {
  const t = Math.max(0, frame / FPS - 2);
  return landmarksOf({ at: [x + 60 * Math.sin(2 * t), 100], scale: 1, angle: 0.3 * Math.sin(3 * t) });
}

const rms = (a: Landmarks, b: Landmarks) => Math.sqrt(a.reduce((sum, v, i) => sum + (v - b[i]!) ** 2, 0) / a.length);

Deno.test("FaceTracker takes most of the jitter from a head at rest, and follows one that moves", () => {
  const random = new Random(6, "track_faces"), tracker = new FaceTracker(schema, { fps: FPS });
  const errors: [raw: number, smooth: number][] = [], steps: [raw: number, smooth: number][] = [];
  let before: [Landmarks, Landmarks] | undefined;
  for (let frame = 0; frame < 150; frame++) {
    const truth = motion(frame, 200), raw = truth.map((px) => px + 0.7 * random.normal());
    const [face] = tracker.next([faceAt(raw)]);
    assert.equal(face!.track, 1);
    assert.deepEqual(face!.box, boundingBox(face!.landmarks));
    errors.push([rms(raw, truth), rms(face!.landmarks, truth)]);
    if (before) steps.push([rms(raw, before[0]), rms(face!.landmarks, before[1])]);
    before = [raw, face!.landmarks];
  }
  const mean = (list: typeof errors, from: number, to: number) =>
    [0, 1].map((k) => list.slice(from, to).reduce((sum, pair) => sum + pair[k]!, 0) / (to - from)) as [number, number];
  const [raw, smooth] = mean(errors, 25, 50), [rawStep, smoothStep] = mean(steps, 25, 49);
  assert.ok(smooth < 0.6 * raw, `error at rest ${smooth}, ${raw} before`);
  assert.ok(smoothStep < 0.4 * rawStep, `jitter at rest ${smoothStep}, ${rawStep} before`);
  // Twice the noise at most, which is a hundredth of the face's length.
  const [, moving] = mean(errors, 50, 150), iod = interocular(motion(0, 200), schema);
  assert.ok(moving < 0.05 * iod, `lag of ${moving} px in motion, where the eyes are ${iod} px apart`);
});

Deno.test("FaceTracker keeps the numbers of faces, whatever their order is and if one is away for a while", () => {
  const tracker = new FaceTracker(schema, { fps: FPS });
  const numbers = (...faces: Landmarks[]) => tracker.next(faces.map(faceAt)).map(({ track }) => track);
  assert.deepEqual(numbers(motion(0, 100), motion(0, 300)), [1, 2]);
  assert.deepEqual(numbers(motion(1, 302), motion(1, 101), motion(1, 500)), [2, 1, 3]);
  for (let frame = 2; frame < 12; frame++) assert.deepEqual(numbers(motion(0, 300)), [2]);
  assert.deepEqual(numbers(motion(0, 104), motion(0, 300)), [1, 2], "ten frames are within half a second");
  for (let frame = 0; frame < 20; frame++) assert.deepEqual(numbers(), []);
  assert.deepEqual(numbers(motion(0, 300)), [4], "another face, as far as one can tell");
});
