/**
 * Plane geometry of landmarks: points, areas and crossings.
 *
 * @module
 */

import { itemAt } from "../engine/lookup.ts";

/** A segment from one landmark to another, by their indices. */
export interface Segment {
  /** Start. */
  readonly from: number;
  /** End. */
  readonly to: number;
}

/**
 * Position of a landmark.
 *
 * @param landmarks `[P, 2]`.
 * @param point Index of the landmark.
 * @returns x and y.
 * @throws {RangeError} If there is no such landmark.
 */
export function pointAt(landmarks: ArrayLike<number>, point: number): [x: number, y: number] {
  const x = landmarks[2 * point], y = landmarks[2 * point + 1];
  if (x === undefined || y === undefined) {
    throw new RangeError(`Cannot take landmark ${point} of ${landmarks.length / 2} landmarks`);
  }
  return [x, y];
}

/**
 * Area of a closed contour: above 0 if it runs clockwise on the screen, where y points down.
 *
 * @param landmarks `[P, 2]`.
 * @param points Indices of the contour's landmarks, in order.
 * @returns Squared pixels.
 */
export function signedArea(landmarks: ArrayLike<number>, points: readonly number[]): number {
  let sum = 0;
  points.forEach((p, i) => {
    const [x0, y0] = pointAt(landmarks, p),
      [x1, y1] = pointAt(landmarks, itemAt(points, (i + 1) % points.length, "the contour"));
    sum += x0 * y1 - x1 * y0;
  });
  return sum / 2;
}

/**
 * True if two segments cross, each passing from one side of the other to the other side; touching is not crossing.
 *
 * @param landmarks `[P, 2]`.
 * @param a A segment.
 * @param b Another one.
 */
export function segmentsCross(landmarks: ArrayLike<number>, a: Segment, b: Segment): boolean {
  const side = ({ from, to }: Segment, point: number) => {
    const [x0, y0] = pointAt(landmarks, from), [x1, y1] = pointAt(landmarks, to), [x, y] = pointAt(landmarks, point);
    return (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0);
  };
  return side(a, b.from) * side(a, b.to) < 0 && side(b, a.from) * side(b, a.to) < 0;
}
