/**
 * Landmarks of faces: affine maps, the mirror image and measures.
 *
 * Landmarks are pixels, 0-based pixel centres, in the order of their schema.
 *
 * @module
 */
import { InputError } from "../formats/input_error.ts";
import { pointAt } from "./geometry.ts";
import type { Box } from "./data/image.ts";
import type { LandmarkSchema, Span } from "./schema.ts";

/** `[P, 2]` flattened: x0, y0, x1, y1 ... of P landmarks, pixels. */
export type Landmarks = Float32Array;

/** An affine map as `[a, b, c, d, e, f]`: `x' = a x + b y + c`, `y' = d x + e y + f`. */
export type Affine = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

/**
 * Maps landmarks to another place.
 *
 * @param landmarks `[P, 2]`.
 * @param affine The map.
 * @returns New landmarks.
 */
export function transformLandmarks(landmarks: Landmarks, affine: Affine): Landmarks {
  const [a, b, c, d, e, f] = affine;
  const result = new Float32Array(landmarks.length);
  for (let p = 0; p < landmarks.length / 2; p++) {
    const [x, y] = pointAt(landmarks, p);
    result[2 * p] = a * x + b * y + c;
    result[2 * p + 1] = d * x + e * y + f;
  }
  return result;
}

/**
 * A coordinate in an image that is resized: the centre of the first pixel is 0 before and after.
 *
 * `x' = (x + 1/2) ratio - 1/2`
 *
 * @param px Coordinate in the image.
 * @param ratio New side over old side.
 * @returns Coordinate in the resized image.
 */
export function rescale(px: number, ratio: number): number {
  return (px + 0.5) * ratio - 0.5;
}

/**
 * The map that does `first` and then `second`.
 *
 * @param second Applied last.
 * @param first Applied first.
 * @returns One map.
 */
export function composeAffine(second: Affine, first: Affine): Affine {
  const [a, b, c, d, e, f] = second;
  const [g, h, i, j, k, l] = first;
  return [a * g + b * j, a * h + b * k, a * i + b * l + c, d * g + e * j, d * h + e * k, d * i + e * l + f];
}

/**
 * The map that undoes `affine`.
 *
 * @param affine A map.
 * @returns Its inverse.
 * @throws {InputError} If it has none.
 */
export function invertAffine(affine: Affine): Affine {
  const [a, b, c, d, e, f] = affine;
  const determinant = a * e - b * d;
  if (determinant === 0) throw new InputError(`Cannot invert an affine map as its determinant is 0: [${affine}]`);
  const p = e / determinant, q = -b / determinant, r = -d / determinant, s = a / determinant;
  return [p, q, -(p * c + q * f), r, s, -(r * c + s * f)];
}

/**
 * A similarity: turns by `angle_rad` (clockwise on the screen) and scales about `centre`, then shifts.
 *
 * @param centre The point that stays where it is but for the shift, pixels.
 * @param scale 1 keeps the size.
 * @param angle_rad 0 keeps upright.
 * @param shift Pixels.
 * @returns The map.
 */
export function similarity(
  centre: readonly [number, number],
  scale: number,
  angle_rad: number,
  shift: readonly [number, number] = [0, 0],
): Affine {
  const cos = scale * Math.cos(angle_rad), sin = scale * Math.sin(angle_rad);
  const [x, y] = centre;
  return [cos, -sin, x - cos * x + sin * y + shift[0], sin, cos, y - sin * x - cos * y + shift[1]];
}

/**
 * The landmarks of the mirrored face.
 *
 * `x' = width - 1 - x`, and left and right change names.
 *
 * @param landmarks `[P, 2]`.
 * @param schema Their schema.
 * @param width Of the image, pixels.
 * @returns New landmarks.
 */
export function mirrorLandmarks(landmarks: Landmarks, { mirror }: LandmarkSchema, width: number): Landmarks {
  const result = new Float32Array(landmarks.length);
  mirror.forEach((from, i) => {
    const [x, y] = pointAt(landmarks, from);
    result.set([width - 1 - x, y], 2 * i);
  });
  return result;
}

/**
 * The mean of some landmarks.
 *
 * @param landmarks `[P, 2]`.
 * @param indices Which.
 * @returns x and y, pixels.
 */
export function meanPoint(landmarks: ArrayLike<number>, indices: readonly number[]): [number, number] {
  let sumX = 0, sumY = 0;
  for (const index of indices) {
    const [x, y] = pointAt(landmarks, index);
    sumX += x;
    sumY += y;
  }
  return [sumX / indices.length, sumY / indices.length];
}

/**
 * Distance of the outer eye corners, one "iod".
 *
 * @param landmarks `[P, 2]`.
 * @param schema Their schema.
 * @returns Pixels.
 */
export function interocular(
  landmarks: ArrayLike<number>,
  { normalisers }: Pick<LandmarkSchema, "normalisers">,
): number {
  return spanLength(landmarks, normalisers.interocular);
}

/**
 * Distance of the pupils. Where a schema has none, the mean of an eye's contour stands for its pupil.
 *
 * @param landmarks `[P, 2]`.
 * @param schema Their schema.
 * @returns Pixels.
 */
export function interpupil(landmarks: ArrayLike<number>, { normalisers }: Pick<LandmarkSchema, "normalisers">): number {
  return spanLength(landmarks, normalisers.interpupil);
}

function spanLength(landmarks: ArrayLike<number>, { left, right }: Span): number {
  const [x0, y0] = meanPoint(landmarks, left), [x1, y1] = meanPoint(landmarks, right);
  return Math.hypot(x0 - x1, y0 - y1);
}

/**
 * The tight upright box of the landmarks.
 *
 * @param landmarks `[P, 2]`.
 * @returns Pixels.
 */
export function boundingBox(landmarks: ArrayLike<number>): { x: number; y: number; width: number; height: number } {
  let x0 = Infinity, y0 = Infinity, x1 = -Infinity, y1 = -Infinity;
  for (let p = 0; p < landmarks.length / 2; p++) {
    const [x, y] = pointAt(landmarks, p);
    x0 = Math.min(x0, x);
    x1 = Math.max(x1, x);
    y0 = Math.min(y0, y);
    y1 = Math.max(y1, y);
  }
  return { x: x0, y: y0, width: x1 - x0, height: y1 - y0 };
}

/**
 * Diagonal of the tight box of the landmarks.
 *
 * @param landmarks `[P, 2]`.
 * @returns Pixels.
 */
export function boxDiagonal(landmarks: ArrayLike<number>): number {
  const { width, height } = boundingBox(landmarks);
  return Math.hypot(width, height);
}

/**
 * Side of the square around a face as a multiple of the longer side of its landmarks' box: 27 % on each side. Detectors
 * are trained on such crops.
 */
export const CROP_SCALE = 1.54;

/**
 * The square around a face that crops are made with.
 *
 * @param landmarks `[P, 2]`.
 * @param scale Its side as a multiple of the longer side of the landmarks' box.
 * @returns For `cropSquare` and `cropTransform`.
 */
export function faceBox(landmarks: Landmarks, scale = CROP_SCALE): Box {
  const { x, y, width, height } = boundingBox(landmarks);
  const side = scale * Math.max(width, height);
  return { x: x + width / 2 - side / 2, y: y + height / 2 - side / 2, side };
}
