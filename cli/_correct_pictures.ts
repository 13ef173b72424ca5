/**
 * Whole pictures on the page of `correct`: faces that are added by a box, and pictures without a face.
 *
 * A face that is added has no landmarks before any correction, and its number follows those of its picture. A picture without
 * a face has one that is not there, so that it can be opened.
 *
 * @module
 */
import { pointAt } from "../faces/geometry.ts";
import { boundingBox, type Landmarks } from "../faces/landmarks.ts";
import type { LandmarkSchema } from "../faces/schema.ts";
import { roundTo } from "../faces/statistics.ts";
import type { SourceFace } from "./_correct_source.ts";

/** A picture that may have any number of faces. */
export interface SourcePicture {
  /** As that of {@linkcode SourceFace}. */
  readonly file_name: string;
  /** The image's file. */
  readonly path: string;
  /** Style of its faces. */
  readonly style: string;
  /** Group of its faces. */
  readonly group: string;
}

/** Box of a face, pixels of the picture: left, top, width, height. */
export type Box = readonly [x: number, y: number, width: number, height: number];

/** Most faces that the mean shape is taken from. */
const MOST_SHAPES = 2000;

/** A face that is in a picture only by correction. */
export function addedFace(picture: SourcePicture, face: number, landmarks: Landmarks): SourceFace {
  return { ...picture, face, landmarks, added: true };
}

/**
 * Pictures without a face, as faces that are not there.
 *
 * @param pictures All pictures.
 * @param faces The faces of the folder.
 * @param count Number of landmarks.
 */
export function emptyPictures(
  pictures: readonly SourcePicture[],
  faces: readonly SourceFace[],
  count: number,
): SourceFace[] {
  const known = new Set(faces.map(({ file_name }) => file_name));
  return pictures.filter(({ file_name }) => !known.has(file_name))
    .map((picture) => addedFace(picture, 1, new Float32Array(2 * count)));
}

/** The tight box of landmarks. */
export function boxOf(landmarks: readonly (readonly [number, number])[]): Box {
  const { x, y, width, height } = boundingBox(landmarks.flat());
  return [roundTo(x, 3), roundTo(y, 3), roundTo(width, 3), roundTo(height, 3)];
}

/**
 * The mean shape of a folder's faces, from the upright faces and their mirror images, 0 to 1.
 *
 * @param shapes `[P, 2]` each; undefined for faces without a shape.
 * @returns `[P][2]`; all at one place if there is no shape.
 */
export function meanShape(
  shapes: readonly (Landmarks | undefined)[],
  { count, mirror }: LandmarkSchema,
): [number, number][] {
  const sum = new Float32Array(2 * count);
  for (const shape of shapes.slice(0, MOST_SHAPES)) {
    for (let p = 0; shape && p < count; p++) {
      const [x, y] = pointAt(shape, p), q = mirror[p]!;
      sum[2 * p]! += x;
      sum[2 * p + 1]! += y;
      sum[2 * q]! -= x;
      sum[2 * q + 1]! += y;
    }
  }
  const { x, y, width, height } = boundingBox(sum), side = Math.max(width, height) || 1;
  return Array.from({ length: count }, (_, p) => [
    roundTo((sum[2 * p]! - x - width / 2) / side + 0.5, 4),
    roundTo((sum[2 * p + 1]! - y - height / 2) / side + 0.5, 4),
  ]);
}

/** A shape stretched to a box; undefined for a shape whose landmarks are at one place. */
export function shapeIn(
  shape: readonly (readonly [number, number])[],
  [left, top, wide, high]: Box,
): [number, number][] | undefined {
  const { x, y, width, height } = boundingBox(shape.flat());
  if (!(width > 0 && height > 0)) return undefined;
  return shape.map(([px, py]) => [
    roundTo(left + wide * (px - x) / width, 3),
    roundTo(top + high * (py - y) / height, 3),
  ]);
}
