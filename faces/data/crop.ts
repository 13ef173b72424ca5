/**
 * The part of an image that shows a face.
 *
 * @module
 */

import { InputError } from "../../formats/input_error.ts";
import { type Box, cropSquare, cropTransform, type Image } from "./image.ts";
import { pointAt } from "../geometry.ts";
import { boundingBox, faceBox, interocular, type Landmarks, transformLandmarks } from "../landmarks.ts";
import type { LandmarkSchema } from "../schema.ts";

/** Options of a crop. */
export interface Crop {
  /** `landmarks`: a square around them; `none`: the whole image, which must be square. */
  readonly crop: "landmarks" | "none";
  /** Side of that square as a multiple of the longer side of the landmarks' box. */
  readonly scale: number;
  /** Side of the result. */
  readonly size_px: number;
}

/** A square image and its landmarks. */
export interface CroppedFace extends Image {
  /** `[P, 2]`, pixels of the result. */
  readonly landmarks: Landmarks;
}

/**
 * Cuts a face out of an image and resamples it.
 *
 * @param schema Schema of the landmarks.
 * @throws {InputError} If the face cannot be cut out; the message gives the reason.
 */
export function cropFace(
  image: Image,
  landmarks: Landmarks,
  schema: LandmarkSchema,
  { crop, scale, size_px }: Crop,
): CroppedFace {
  const box = boxOf(image, landmarks, schema, crop, scale);
  return {
    ...cropSquare(image, box, size_px),
    landmarks: transformLandmarks(landmarks, cropTransform(box, size_px)),
  };
}

/** The square to cut out; throws if the face does not have one. */
function boxOf(
  { width, height }: Image,
  landmarks: Landmarks,
  schema: LandmarkSchema,
  crop: Crop["crop"],
  scale: number,
): Box {
  if (interocular(landmarks, schema) === 0) {
    const { left, right } = schema.normalisers.interocular;
    throw new InputError(`the outer eye corners, landmarks ${left} and ${right}, are at one place`);
  }
  const inside = countInside(landmarks, width, height);
  if (inside < schema.count / 2) {
    const { x, y, width: w, height: h } = boundingBox(landmarks);
    const span = `${x.toFixed(1)} to ${(x + w).toFixed(1)} and ${y.toFixed(1)} to ${(y + h).toFixed(1)}`;
    throw new InputError(`only ${inside} landmarks are inside the ${width} x ${height} image: they span ${span}`);
  }
  if (crop === "landmarks") return faceBox(landmarks, scale);
  if (width === height) return { x: -0.5, y: -0.5, side: width };
  throw new InputError(`its size is ${width} x ${height} but crop is "none"`, { hint: "crop by landmarks" });
}

function countInside(landmarks: Landmarks, width: number, height: number): number {
  let count = 0;
  for (let p = 0; p < landmarks.length / 2; p++) {
    const [x, y] = pointAt(landmarks, p);
    if (x >= -0.5 && y >= -0.5 && x <= width - 0.5 && y <= height - 0.5) count++;
  }
  return count;
}
