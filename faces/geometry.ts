/**
 * Plane geometry of landmarks: areas and crossings.
 *
 * @module
 */

/** A segment from one landmark to another, by their indices. */
export interface Segment {
  /** Start. */
  readonly from: number;
  /** End. */
  readonly to: number;
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
    const q = points[(i + 1) % points.length]!;
    sum += landmarks[2 * p]! * landmarks[2 * q + 1]! - landmarks[2 * q]! * landmarks[2 * p + 1]!;
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
    const x = landmarks[2 * from]!, y = landmarks[2 * from + 1]!;
    return (landmarks[2 * to]! - x) * (landmarks[2 * point + 1]! - y) -
      (landmarks[2 * to + 1]! - y) * (landmarks[2 * point]! - x);
  };
  return side(a, b.from) * side(a, b.to) < 0 && side(b, a.from) * side(b, a.to) < 0;
}
