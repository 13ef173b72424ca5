/**
 * From the points that a head is measured by (shaders/face_render_landmarks.wgsl) to the 68 landmarks of iBUG.
 *
 * Annotators spread the 17 points of the outline evenly over its length on each side of the chin, and the five of a brow
 * over its upper edge: on 333 near-frontal photographs of 300-W each eighth of the outline is 12 to 13 % of its side.
 *
 * @module
 */
import type { Landmarks } from "../landmarks.ts";
import { SCHEMAS } from "../schema.ts";

const { count: LANDMARK_COUNT } = SCHEMAS.ibug68; // the shaders compute these landmarks, and no others
const JAW_STEPS = 32;
const BROW_STEPS = 16;
const BROW_POINTS = BROW_STEPS + 1;
const BROWS_AT = 2 * JAW_STEPS + 1;
const FEATURES_AT = BROWS_AT + 2 * BROW_POINTS;
const FIRST_FEATURE = 27;
/**
 * Distance of the annotated outline inside of the silhouette, parts of the eye distance: detectors trained on the silhouette
 * find an outline that is wider by this than the annotations of near-frontal photographs and paintings.
 */
const INSET = 0.012;

/** Points a head is measured by: the outline of the face, the brows, and landmarks 27 to 67. */
export const CURVE_POINTS = FEATURES_AT + LANDMARK_COUNT - FIRST_FEATURE;

/** Spreads points evenly over the length of a polyline, both ends among them: x, y pairs. */
function spread(line: Float32Array, points: number): Float32Array {
  const segments = line.length / 2 - 1;
  const lengths = Array.from(
    { length: segments },
    (_, i) => Math.hypot(line[2 * i + 2]! - line[2 * i]!, line[2 * i + 3]! - line[2 * i + 1]!),
  );
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const out = new Float32Array(points * 2);
  let segment = 0;
  let passed = 0;
  for (let k = 0; k < points; k++) {
    const goal = total * k / (points - 1);
    while (segment < segments - 1 && passed + lengths[segment]! < goal) passed += lengths[segment++]!;
    const t = Math.min(Math.max((goal - passed) / (lengths[segment]! || 1), 0), 1);
    for (const axis of [0, 1]) {
      const [from, to] = [line[2 * segment + axis]!, line[2 * segment + 2 + axis]!];
      out[2 * k + axis] = from + (to - from) * t;
    }
  }
  return out;
}

/** Smooths the outline, as the search for it jitters: each point goes half way to the middle of its neighbours, twice. */
function even(line: Float32Array): Float32Array {
  let out = line;
  for (let pass = 0; pass < 2; pass++) {
    const from = out;
    out = from.map((v, i) => i < 2 || i >= from.length - 2 ? v : v / 2 + (from[i - 2]! + from[i + 2]!) / 4);
  }
  return out;
}

/** Distance of the outer eye corners. */
function eyeDistance(curves: Float32Array): number {
  const at = (landmark: number, axis: number) => curves[2 * (FEATURES_AT + landmark - FIRST_FEATURE) + axis]!;
  return Math.hypot(at(45, 0) - at(36, 0), at(45, 1) - at(36, 1));
}

/** Moves a line that runs round the face, y down, from the image's left over the chin to its right, inwards. */
function inset(line: Float32Array, by: number): Float32Array {
  const last = line.length / 2 - 1;
  return line.map((v, i) => {
    const [point, axis] = [i >> 1, i & 1];
    const [from, to] = [Math.max(0, point - 1), Math.min(last, point + 1)];
    const along = [line[2 * to]! - line[2 * from]!, line[2 * to + 1]! - line[2 * from + 1]!];
    const length = Math.hypot(along[0]!, along[1]!) || 1;
    return v + by / length * (axis === 0 ? along[1]! : -along[0]!);
  });
}

/**
 * Places of the landmarks: where the annotators of 300-W put them, or at fixed heights of the jaw, the middle of brows and
 * the ends of lids.
 */
export type Convention = "annotators" | "anatomy";

/**
 * Finds the landmarks of a head.
 *
 * @param curves `[CURVE_POINTS, 2]`, in any plane unit; those of brows, eyes and nose follow the convention already.
 * @param convention Places of the landmarks of the outline.
 * @returns The 68 landmarks in that unit.
 */
export function landmarksOf(curves: Float32Array, convention: Convention = "annotators"): Landmarks {
  const part = (from: number, to: number): Float32Array => curves.subarray(from * 2, to * 2);
  const landmarks = new Float32Array(LANDMARK_COUNT * 2);
  const outline = even(part(0, BROWS_AT));
  if (convention === "anatomy") {
    const EVERY = JAW_STEPS / 8; // points of the outline are at even steps of the jaw's height
    for (let i = 0; i < 17; i++) landmarks.set(outline.subarray(i * EVERY * 2, i * EVERY * 2 + 2), i * 2);
  } else {
    const seen = inset(outline, INSET * eyeDistance(curves));
    landmarks.set(spread(seen.subarray(0, (JAW_STEPS + 1) * 2), 9), 0);
    landmarks.set(spread(seen.subarray(JAW_STEPS * 2), 9), 8 * 2);
  }
  landmarks.set(spread(part(BROWS_AT, BROWS_AT + BROW_POINTS), 5), 17 * 2);
  landmarks.set(spread(part(BROWS_AT + BROW_POINTS, FEATURES_AT), 5), 22 * 2);
  landmarks.set(part(FEATURES_AT, CURVE_POINTS), FIRST_FEATURE * 2);
  return landmarks;
}
