/**
 * Faces of four dots, a detector that sees these at once, and a finder that knows where they are: what finds faces can be
 * tested to a fraction of a pixel, without training.
 *
 * @module
 */
import { type Affine, type Landmarks, similarity, transformLandmarks } from "../../../faces/landmarks.ts";
import { facePlace } from "../../../faces/place.ts";
import type { Image } from "../../../faces/data/image.ts";
import { pointAt } from "../../../faces/geometry.ts";
import { SCHEMAS } from "../../../faces/schema.ts";
import type { LandmarkDetector } from "../../../models/detectors/face_passes.ts";
import type { PlaceFinder } from "../../../models/detectors/find_faces.ts";
import { hourglassConfig } from "../../../models/detectors/hourglass.ts";
import type { FoundFace } from "../../../models/finder/finder.ts";
import { neutralFace } from "../../faces/neutral_face.ts";

const SIDE = 64, schema = SCHEMAS.ibug68;
/** The landmarks under the dots, two of them for each colour: eyes, and corners of the mouth. */
const DOTS = [[36, 0], [45, 1], [48, 2]] as const;

/** A face of 100 pixels, placed. */
export interface DotFace {
  /** Where the middle of the face goes, pixels. */
  readonly at: readonly [x: number, y: number];
  /** Its size, where 1 is 62 pixels from ear to ear. */
  readonly scale: number;
  /** Radians, clockwise. */
  readonly angle: number;
}

/** Landmarks of a face. */
export function landmarksOf({ at: [x, y], scale, angle }: DotFace): Landmarks {
  return transformLandmarks(neutralFace(100), similarity([49.5, 57], scale, angle, [x - 49.5, y - 57]));
}

/** Draws soft dots of red, green and blue over an image, at three landmarks. */
export function drawDots(image: Image, face: DotFace): void {
  const landmarks = landmarksOf(face), radius = 7 * face.scale;
  for (const [point, channel] of DOTS) {
    const [x, y] = pointAt(landmarks, point);
    for (let row = Math.max(0, Math.floor(y - radius)); row <= Math.min(image.height - 1, y + radius); row++) {
      for (
        let column = Math.max(0, Math.floor(x - radius));
        column <= Math.min(image.width - 1, x + radius);
        column++
      ) {
        const level = 255 * Math.max(0, 1 - Math.hypot(column - x, row - y) / radius);
        const at = (row * image.width + column) * 3 + channel;
        image.data[at] = Math.max(image.data[at]!, Math.round(level));
      }
    }
  }
}

/** The place of a face, as a finder without error gives it. */
export function placeOf(face: DotFace, score = 0.9): FoundFace {
  return { ...facePlace(landmarksOf(face)), angle_sure: 0.8, score };
}

/** A finder that gives the same places for every picture. */
export const finderOf = (...faces: FoundFace[]): PlaceFinder => ({
  find: (_image, { max_faces = Infinity } = {}) => Promise.resolve(faces.slice(0, max_faces)),
});

/** A detector of such faces, and the number of images in each of its calls. */
export function dotDetector(batch = 4): LandmarkDetector & { readonly calls: number[] } {
  const calls: number[] = [];
  return {
    config: hourglassConfig.parse({ size_px: SIDE, heatmap_px: 16, depth: 2 }),
    schema,
    batch,
    calls,
    predict(images) {
      const count = images.length / (SIDE * SIDE * 3);
      calls.push(count);
      const landmarks = new Float32Array(count * 136);
      // A variance of 1/2 pixel along each axis: an uncertainty of 1.
      const covariance = new Float32Array(count * 204).fill(0.5);
      for (let k = 0; k < count; k++) {
        const pixels = images.subarray(k * SIDE * SIDE * 3, (k + 1) * SIDE * SIDE * 3);
        const { face, sure } = seenIn(pixels);
        landmarks.set(face, k * 136);
        if (!sure) covariance.fill(8, k * 204, (k + 1) * 204);
      }
      return Promise.resolve({ landmarks, covariance });
    },
  };
}

/** The neutral face by its dots; one that is turned by more than 60 degrees is taken for an upright one, with doubt. */
function seenIn(pixels: Uint8Array): { readonly face: Landmarks; readonly sure: boolean } {
  const seen = DOTS.map(([, channel]) => {
    let [sum, x, y] = [0, 0, 0];
    for (let i = 0; i < SIDE * SIDE; i++) {
      const value = pixels[3 * i + channel]!;
      sum += value;
      x += value * (i % SIDE);
      y += value * Math.floor(i / SIDE);
    }
    return [x / sum, y / sum] as const;
  });
  const neutral = neutralFace(100);
  const fit = similarityOf(DOTS.map(([point]) => pointAt(neutral, point)), seen);
  const [cos, , , sin] = fit;
  if (Math.abs(Math.atan2(sin, cos)) < Math.PI / 3) return { face: transformLandmarks(neutral, fit), sure: true };
  return { face: transformLandmarks(neutral, similarity([0, 0], SIDE / 154, 0)), sure: false };
}

/** The similarity with the least squares between two lists of points. */
function similarityOf(
  from: readonly (readonly [number, number])[],
  to: readonly (readonly [number, number])[],
): Affine {
  const middle = (list: typeof from) => [0, 1].map((axis) => list.reduce((sum, p) => sum + p[axis]!, 0) / list.length);
  const [[fx, fy], [tx, ty]] = [middle(from), middle(to)] as [[number, number], [number, number]];
  let [dot, cross, norm] = [0, 0, 0];
  from.forEach(([x, y], i) => {
    const [u, v] = [to[i]![0] - tx, to[i]![1] - ty];
    dot += (x - fx) * u + (y - fy) * v;
    cross += (x - fx) * v - (y - fy) * u;
    norm += (x - fx) ** 2 + (y - fy) ** 2;
  });
  const [a, b] = [dot / norm, cross / norm];
  return [a, -b, tx - a * fx + b * fy, b, a, ty - b * fx - a * fy];
}
