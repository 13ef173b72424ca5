/**
 * The 68 facial landmarks of iBUG (300-W): their names, contours, mirror image and measures.
 *
 * Landmarks are pixels, 0-based pixel centres, in the order of the schema; "left" is the left of the *picture*.
 *
 * @module
 */
import { InputError } from "../formats/input_error.ts";
import type { Box } from "./data/image.ts";

/** How many landmarks a face has. */
export const LANDMARK_COUNT = 68;

/** `[P, 2]` flattened: x0, y0, x1, y1 ... of 68 points, pixels. */
export type Landmarks = Float32Array;

/** An affine map as `[a, b, c, d, e, f]`: `x' = a x + b y + c`, `y' = d x + e y + f`. */
export type Affine = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

/** A part of the face that is measured by itself. */
export type Region = "contour" | "brows" | "nose" | "eyes" | "mouth";

/** A line that goes through landmarks. */
export interface Contour {
  /** As in `left_eye`. */
  readonly name: string;
  /** Which part of the face it belongs to. */
  readonly region: Region;
  /** Indices of landmarks, in order. */
  readonly points: readonly number[];
  /** Whether the last point is joined to the first. */
  readonly closed: boolean;
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** Landmarks of each region. */
export const REGIONS: Readonly<Record<Region, readonly number[]>> = {
  contour: range(0, 16),
  brows: range(17, 26),
  nose: range(27, 35),
  eyes: range(36, 47),
  mouth: range(48, 67),
};

/** The lines of the face; every landmark is on exactly one. */
export const CONTOURS: readonly Contour[] = [
  { name: "jaw", region: "contour", points: range(0, 16), closed: false },
  { name: "left_brow", region: "brows", points: range(17, 21), closed: false },
  { name: "right_brow", region: "brows", points: range(22, 26), closed: false },
  { name: "nose_bridge", region: "nose", points: range(27, 30), closed: false },
  { name: "nostrils", region: "nose", points: range(31, 35), closed: false },
  { name: "left_eye", region: "eyes", points: range(36, 41), closed: true },
  { name: "right_eye", region: "eyes", points: range(42, 47), closed: true },
  { name: "outer_lips", region: "mouth", points: range(48, 59), closed: true },
  { name: "inner_lips", region: "mouth", points: range(60, 67), closed: true },
];

/** Landmarks of the eye on the left of the picture. */
export const LEFT_EYE: readonly number[] = range(36, 41);
/** Landmarks of the eye on the right of the picture. */
export const RIGHT_EYE: readonly number[] = range(42, 47);
/** The outer corner of each eye. */
export const OUTER_EYE_CORNERS = [36, 45] as const;

/** `MIRROR[i]` is the landmark that takes the place of landmark i when the face is mirrored. */
export const MIRROR: readonly number[] = (() => {
  const permutation = range(0, LANDMARK_COUNT - 1);
  // Within each span, first and last change places, then the next two inwards.
  const spans = [[0, 16], [17, 26], [31, 35], [48, 54], [55, 59], [60, 64], [65, 67]] as const;
  for (const [first, last] of spans) for (const i of range(first, last)) permutation[i] = first + last - i;
  const eyes = [[36, 45], [37, 44], [38, 43], [39, 42], [40, 47], [41, 46]] as const;
  for (const [left, right] of eyes) [permutation[left], permutation[right]] = [right, left];
  return permutation;
})();

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
  for (let i = 0; i < landmarks.length; i += 2) {
    const x = landmarks[i]!, y = landmarks[i + 1]!;
    result[i] = a * x + b * y + c;
    result[i + 1] = d * x + e * y + f;
  }
  return result;
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
 * `x' = width - 1 - x`, and left and right change names ({@linkcode MIRROR}).
 *
 * @param landmarks `[P, 2]`.
 * @param width Of the image, pixels.
 * @returns New landmarks.
 */
export function mirrorLandmarks(landmarks: Landmarks, width: number): Landmarks {
  const result = new Float32Array(landmarks.length);
  for (let i = 0; i < LANDMARK_COUNT; i++) {
    const from = MIRROR[i]!;
    result[2 * i] = width - 1 - landmarks[2 * from]!;
    result[2 * i + 1] = landmarks[2 * from + 1]!;
  }
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
  let x = 0, y = 0;
  for (const index of indices) {
    x += landmarks[2 * index]!;
    y += landmarks[2 * index + 1]!;
  }
  return [x / indices.length, y / indices.length];
}

/**
 * Distance of the outer eye corners (36 and 45), one "iod".
 *
 * @param landmarks `[P, 2]`.
 * @returns Pixels.
 */
export function interocular(landmarks: ArrayLike<number>): number {
  const [left, right] = OUTER_EYE_CORNERS;
  return Math.hypot(
    landmarks[2 * left]! - landmarks[2 * right]!,
    landmarks[2 * left + 1]! - landmarks[2 * right + 1]!,
  );
}

/**
 * Distance of the pupils, each being the mean of its eye's six points.
 *
 * @param landmarks `[P, 2]`.
 * @returns Pixels.
 */
export function interpupil(landmarks: ArrayLike<number>): number {
  const [x0, y0] = meanPoint(landmarks, LEFT_EYE), [x1, y1] = meanPoint(landmarks, RIGHT_EYE);
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
  for (let i = 0; i < landmarks.length; i += 2) {
    x0 = Math.min(x0, landmarks[i]!);
    x1 = Math.max(x1, landmarks[i]!);
    y0 = Math.min(y0, landmarks[i + 1]!);
    y1 = Math.max(y1, landmarks[i + 1]!);
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
 * The square around a face that crops are made with.
 *
 * @param landmarks `[P, 2]`.
 * @param scale Its side as a multiple of the longer side of the landmarks' box; 1.54 leaves 27 % on each side.
 * @returns For `cropSquare` and `cropTransform`.
 */
export function faceBox(landmarks: Landmarks, scale = 1.54): Box {
  const { x, y, width, height } = boundingBox(landmarks);
  const side = scale * Math.max(width, height);
  return { x: x + width / 2 - side / 2, y: y + height / 2 - side / 2, side };
}
