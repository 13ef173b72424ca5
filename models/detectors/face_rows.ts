/**
 * Faces of a picture as JSON: what `detect` prints and the browser page saves.
 *
 * @module
 */
import type { Image } from "../../faces/data/image.ts";
import { roundTo } from "../../faces/statistics.ts";
import type { Face } from "./find_faces.ts";

/** A face in a row. */
export interface FaceRow {
  /** `x, y, width, height` of the tight box of the landmarks, pixels from the left top corner of the picture. */
  readonly box: readonly number[];
  /** Probability that it is a face; null where its box was given. */
  readonly score: number | null;
  /** Angle by which it is turned from upright, radians, clockwise. */
  readonly angle: number;
  /** `[P][2]`, pixels; 0 is the centre of the first one. */
  readonly landmarks: readonly (readonly number[])[];
  /** `[P]`, pixels. */
  readonly uncertainty_px: readonly number[];
  /** Number of the face in a video's frames. */
  readonly track?: number;
}

/** A picture that was looked at. */
export interface PictureRow {
  /** Path as it was given; `-` for standard input. */
  readonly file: string;
  /** Columns of the upright picture. */
  readonly width: number;
  /** Rows of the upright picture. */
  readonly height: number;
  /** From the highest score down, or in the order of the given boxes. */
  readonly faces: readonly FaceRow[];
}

/** The row of a picture. */
export function rowOf(
  file: string,
  { width, height }: Image,
  faces: readonly (Face & { track?: number })[],
): PictureRow {
  return {
    file,
    width,
    height,
    faces: faces.map(({ box, score, angle, landmarks, uncertainty_px, track }) => ({
      box: [box.x + 0.5, box.y + 0.5, box.width, box.height].map((px) => roundTo(px, 3)),
      score: score === null ? null : roundTo(score, 4),
      angle: roundTo(angle, 4),
      landmarks: Array.from(
        { length: landmarks.length / 2 },
        (_, p) => [...landmarks.subarray(2 * p, 2 * p + 2)].map((px) => roundTo(px, 3)),
      ),
      uncertainty_px: Array.from(uncertainty_px, (px) => roundTo(px, 3)),
      ...(track !== undefined && { track }),
    })),
  };
}
