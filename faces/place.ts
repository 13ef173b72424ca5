/**
 * Place of a face in a picture: where it is, how large and how it is turned.
 *
 * @module
 */

import { pointAt } from "./geometry.ts";
import { boundingBox, meanPoint, similarity, transformLandmarks } from "./landmarks.ts";
import { SCHEMAS } from "./schema.ts";

/** Place of a face in a picture, pixels of the picture: 0 is the centre of the first one. */
export interface FacePlace {
  /** Centre of the tight box of the 68 landmarks, as that box is when the face is turned upright. */
  readonly x: number;
  /** See `x`. */
  readonly y: number;
  /** Longer side of that box. */
  readonly side: number;
  /** Angle of the face in the picture, radians: 0 is upright, above 0 is turned clockwise. */
  readonly angle: number;
}

const { interpupil } = SCHEMAS.ibug68.normalisers;
const MOUTH = SCHEMAS.ibug68.contours.flatMap(({ name, points }) => name === "outer_lips" ? points : []);

/**
 * Angle of a face in the picture, from its eyes and its mouth; eyes beside each other count as much as they are apart,
 * so that heads turned to the side have an angle too.
 *
 * @param landmarks `[68, 2]`.
 * @returns Radians from -pi to pi, above 0 clockwise.
 */
export function faceAngle(landmarks: ArrayLike<number>): number {
  const [lx, ly] = meanPoint(landmarks, interpupil.left), [rx, ry] = meanPoint(landmarks, interpupil.right);
  const [mx, my] = meanPoint(landmarks, MOUTH);
  // Down the face: from the eyes to the mouth, and across the line through the eyes.
  const x = mx - (lx + rx) / 2 - (ry - ly), y = my - (ly + ry) / 2 + (rx - lx);
  return Math.atan2(-x, y);
}

/** Place of a face with 68 landmarks, `[68, 2]`. */
export function facePlace(landmarks: Float32Array): FacePlace {
  const angle = faceAngle(landmarks);
  const { x, y, width, height } = boundingBox(transformLandmarks(landmarks, similarity([0, 0], 1, -angle)));
  const centre = Float32Array.of(x + width / 2, y + height / 2);
  const [cx, cy] = pointAt(transformLandmarks(centre, similarity([0, 0], 1, angle)), 0);
  return { x: cx, y: cy, side: Math.max(width, height), angle };
}
