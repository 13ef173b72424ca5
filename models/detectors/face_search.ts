/**
 * Search for the face in a whole image with nothing but a landmark detector.
 *
 * A detector that sees a face finds the same landmarks in the mirror image; on anything else it guesses, and guesses
 * differently. Windows of all places and sizes are compared by that. From the best ones the search moves to
 * the face: each next window is the crop around the landmarks found in the last.
 *
 * It is approximate: one face an image, upright, and no smaller than a sixth of the shorter side. A face detector, or
 * a box by hand, is better wherever there is one.
 *
 * @module
 */

import { type Box, cropSquare, cropTransform, type Image, mirrorImages, resizeArea } from "../../faces/data/image.ts";
import { InputError } from "../../formats/input_error.ts";
import { pointAt } from "../../faces/geometry.ts";
import {
  boxDiagonal,
  faceBox,
  invertAffine,
  type Landmarks,
  mirrorLandmarks,
  rescale,
  transformLandmarks,
} from "../../faces/landmarks.ts";
import type { Detector } from "./detector.ts";

/** Windows shrink by this factor from one size to the next, down to this part of the shorter side of the image. */
const SIZE_STEP = Math.SQRT2, SMALLEST = 0.24;
/** Neighbouring windows lie this part of their side apart. */
const STRIDE = 0.3;
/** Windows of each size that are followed, and how often each is moved to where its landmarks lie, at most. */
const FOLLOWED = 3, MOVES = 6;
/** A window that overlaps so much with the one that its landmarks ask for stays where it is. */
const SETTLED = 0.8;
/** Disagreement, see {@linkcode FaceFound}, below which no smaller window is looked at, and above which there is no face. */
const SURE = 2, DOUBT = 8;

/** Place of the face. */
export interface FaceFound {
  /** The crop around the landmarks found. */
  readonly box: Box;
  /**
   * Mean distance between the landmarks of the crop and those of its mirror image, percent of the diagonal of their box:
   * 1 to 4 on a clear face.
   */
  readonly disagreement: number;
}

/** The part of a detector that the search needs. */
export type Finder = Pick<Detector, "config" | "schema" | "batch" | "predict">;

/** Most windows: those of an image three times as long as wide. Longer ones are searched for larger faces only. */
const MOST_WINDOWS = 800;

/**
 * The windows to search, as squares of the image, those of one size together.
 *
 * @throws {InputError} If the image is so long and thin that even the largest are too many.
 */
export function searchWindows(width: number, height: number): Box[][] {
  const sizes: Box[][] = [];
  let count = 0;
  const shorter = Math.min(width, height);
  const places = (length: number, side: number) => {
    const count = Math.ceil(Math.max(0, length - side) / (STRIDE * side)) + 1;
    return Array.from({ length: count }, (_, k) => (count > 1 ? k / (count - 1) : 0.5) * (length - side) - 0.5);
  };
  for (let side = shorter; side >= SMALLEST * shorter; side /= SIZE_STEP) {
    const boxes = places(height, side).flatMap((y) => places(width, side).map((x) => ({ x, y, side })));
    count += boxes.length;
    if (count > MOST_WINDOWS) break;
    sizes.push(boxes);
  }
  if (!sizes.length) {
    throw new InputError(`Cannot search an image of ${width} x ${height} pixels for a face: it is too long and thin`, {
      hint: "give the place of the face with --box x,y,width,height",
    });
  }
  return sizes;
}

/**
 * Finds the one face of an image, approximately; if there are several, one of the larger.
 *
 * @param signal Stops the search between windows.
 * @returns Null when the detector is sure of nothing.
 */
export async function searchFace(detector: Finder, image: Image, signal?: AbortSignal): Promise<FaceFound | null> {
  // The smallest windows need no more pixels than the network takes; a large photograph is searched on a small copy.
  const factor = Math.max(1, Math.min(image.width, image.height) * SMALLEST / detector.config.size_px);
  const size = (length: number) => Math.max(1, Math.round(length / factor));
  const small = factor > 1 ? resizeArea(image, size(image.width), size(image.height)) : image;
  let best: Window | undefined;
  for (const boxes of searchWindows(small.width, small.height)) {
    const seen = await lookAt(detector, small, boxes, signal);
    let found = apart(seen.sort((a, b) => a.disagreement - b.disagreement)).slice(0, FOLLOWED);
    for (let move = 0; move < MOVES && !found.every(settled); move++) {
      found = await lookAt(detector, small, found.map(({ next }) => next), signal);
    }
    // A window that does not settle follows something that is no face, or a part of one.
    for (const window of found.filter(settled)) {
      if (!best || window.disagreement < best.disagreement) best = window;
    }
    if (best && best.disagreement <= SURE) break;
  }
  if (!best || best.disagreement > DOUBT) return null;
  const { next: { x, y, side }, disagreement } = best;
  const [across, down] = [image.width / small.width, image.height / small.height];
  const box = { x: rescale(x, across), y: rescale(y, down), side: side * (across + down) / 2 };
  return { box, disagreement };
}

/** Results of the detector for a window. */
interface Window {
  readonly box: Box;
  readonly disagreement: number;
  /** The crop that the landmarks ask for. */
  readonly next: Box;
}

async function lookAt(
  detector: Finder,
  image: Image,
  boxes: readonly Box[],
  signal: AbortSignal | undefined,
): Promise<Window[]> {
  const { schema, config: { size_px: side } } = detector;
  const bytes = side * side * 3;
  const windows: Window[] = [];
  // A batch takes its time however few of its places are used: windows and their mirror images share one.
  const most = Math.max(1, detector.batch >> 1);
  for (let first = 0; first < boxes.length; first += most) {
    signal?.throwIfAborted();
    const some = boxes.slice(first, first + most);
    const crops = new Uint8Array(2 * some.length * bytes);
    some.forEach((box, k) => crops.set(cropSquare(image, box, side).data, k * bytes));
    crops.set(mirrorImages(crops.subarray(0, some.length * bytes), side), some.length * bytes);
    const { landmarks } = await detector.predict(crops, side);
    some.forEach((box, k) => {
      const of = (k: number) => landmarks.subarray(k * 2 * schema.count, (k + 1) * 2 * schema.count);
      const face = of(k);
      const mirrored = mirrorLandmarks(of(some.length + k), schema, side);
      const disagreement = meanDistance(face, mirrored) / boxDiagonal(face) * 100;
      const next = faceBox(transformLandmarks(face, invertAffine(cropTransform(box, side))));
      windows.push({ box, disagreement, next });
    });
  }
  return windows;
}

const settled = ({ box, next }: Window) => overlap(box, next) > SETTLED;

function meanDistance(a: Landmarks, b: Landmarks): number {
  let sum = 0;
  for (let point = 0; point < a.length / 2; point++) {
    const [ax, ay] = pointAt(a, point), [bx, by] = pointAt(b, point);
    sum += Math.hypot(ax - bx, ay - by);
  }
  return 2 * sum / a.length;
}

/** Leaves out windows that ask for nearly the crop of one before. */
function apart(windows: readonly Window[]): Window[] {
  const kept: Window[] = [];
  for (const window of windows) {
    if (!kept.some(({ next }) => overlap(next, window.next) > 0.6)) kept.push(window);
  }
  return kept;
}

/** Intersection over union. */
function overlap(a: Box, b: Box): number {
  const along = (p: number, q: number) => Math.max(0, Math.min(p + a.side, q + b.side) - Math.max(p, q));
  const both = along(a.x, b.x) * along(a.y, b.y);
  return both / (a.side ** 2 + b.side ** 2 - both);
}
