/**
 * Place of a face in a picture: where it is, how large and how it is turned.
 *
 * @module
 */

import { turnedFaceBox } from "./data/turned_crop.ts";
import { meanPoint } from "./landmarks.ts";
import { type LandmarkSchema, SCHEMAS } from "./schema.ts";

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

/**
 * Landmarks of the mouth, whose mean is its place.
 *
 * @returns Indices, from 0.
 */
export function mouthOf({ name, contours, regions }: LandmarkSchema): readonly number[] {
  const mouth = contours.find(({ name }) => name === "outer_lips")?.points ?? regions["mouth"];
  if (!mouth) throw new RangeError(`Cannot take the angle of a face in ${name}, which has no mouth`);
  return mouth;
}

/**
 * Angle of a face in the picture, from its eyes and its mouth; eyes beside each other count as much as they are apart,
 * so that heads turned to the side have an angle too.
 *
 * @param landmarks `[P, 2]`.
 * @param schema Their schema; by default ibug68.
 * @returns Radians from -pi to pi, above 0 clockwise.
 */
export function faceAngle(landmarks: ArrayLike<number>, schema: LandmarkSchema = SCHEMAS.ibug68): number {
  const { interpupil } = schema.normalisers;
  const [lx, ly] = meanPoint(landmarks, interpupil.left), [rx, ry] = meanPoint(landmarks, interpupil.right);
  const [mx, my] = meanPoint(landmarks, mouthOf(schema));
  // Down the face: from the eyes to the mouth, and across the line through the eyes.
  const x = mx - (lx + rx) / 2 - (ry - ly), y = my - (ly + ry) / 2 + (rx - lx);
  return Math.atan2(-x, y);
}

/**
 * Place of a face.
 *
 * @param landmarks `[P, 2]`.
 * @param schema Their schema; by default ibug68.
 * @returns In the unit of the landmarks.
 */
export function facePlace(landmarks: Float32Array, schema: LandmarkSchema = SCHEMAS.ibug68): FacePlace {
  return turnedFaceBox(landmarks, faceAngle(landmarks, schema), 1);
}
