/**
 * The faces of a set that are most worth a person's correction next.
 *
 * @module
 */
import { type Landmarks, similarity, transformLandmarks } from "./landmarks.ts";
import { facePlace } from "./place.ts";
import type { LandmarkSchema } from "./schema.ts";

/**
 * The shape of a face: its landmarks turned upright, from the centre of their box, in units of its longer side.
 *
 * @param landmarks `[P, 2]`, pixels.
 * @param schema Their schema.
 * @returns `[P, 2]`; undefined for landmarks that are all at one place.
 */
export function uprightShape(landmarks: Landmarks, schema: LandmarkSchema): Landmarks | undefined {
  const { x, y, side, angle } = facePlace(landmarks, schema);
  if (!(side > 0)) return undefined;
  return transformLandmarks(landmarks, similarity([x, y], 1 / side, -angle, [-x, -y]));
}

/** A face that may be corrected. */
export interface Candidate {
  /** Its shape, see {@linkcode uprightShape}; without one it comes last. */
  readonly shape: Landmarks | undefined;
  /** Its doubt, percent; a face without doubt counts as one of the mean doubt. */
  readonly doubt: number | undefined;
  /** True if it was corrected, or judged. */
  readonly done: boolean;
}

/**
 * Orders faces by what their correction would add: doubt times the distance of the shape from the nearest one that is done. A
 * face that is chosen counts as done for those behind it, so that the first ones differ from each other.
 *
 * @param faces The faces.
 * @param most Faces that are chosen one by one; those behind are in the order of the values that are left.
 * @returns Indices of all faces: first those that are not done, then the others as they come.
 */
export function nextFaces(faces: readonly Candidate[], most = 50): number[] {
  const doubts = faces.flatMap(({ doubt }) => doubt ?? []);
  const meanDoubt = doubts.length ? doubts.reduce((sum, doubt) => sum + doubt, 0) / doubts.length : 1;
  const nearest = faces.map(() => Infinity);
  const count = (shape: Landmarks | undefined) => {
    if (!shape) return;
    faces.forEach((face, k) => {
      if (!face.done && face.shape) nearest[k] = Math.min(nearest[k]!, distance(face.shape, shape));
    });
  };
  for (const { shape, done } of faces) if (done) count(shape);
  const value = (k: number) => {
    if (!faces[k]!.shape) return -1;
    // Where nothing is done yet, doubt alone decides.
    return (faces[k]!.doubt ?? meanDoubt) * (nearest[k] === Infinity ? 1 : nearest[k]!);
  };
  const left = new Set(faces.keys().filter((k) => !faces[k]!.done)), order: number[] = [];
  for (let n = 0; n < most && left.size > 0; n++) {
    let [best, highest] = [-1, -Infinity];
    for (const k of left) if (value(k) > highest) [best, highest] = [k, value(k)];
    left.delete(best);
    order.push(best);
    count(faces[best]!.shape);
  }
  const rest = [...left].sort((a, b) => value(b) - value(a) || a - b);
  return [...order, ...rest, ...faces.keys().filter((k) => faces[k]!.done)];
}

/** Root mean squared distance of the landmarks of two shapes. */
function distance(a: Landmarks, b: Landmarks): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return Math.sqrt(2 * sum / a.length);
}
