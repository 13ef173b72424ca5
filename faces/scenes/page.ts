/**
 * Pages with faces of any size and angle, to measure finders on whole pictures.
 *
 * @module
 */

import { createImage, type Image } from "../data/image.ts";
import { cropTurned, Pyramid, turnedTransform } from "../data/turned_crop.ts";
import { type Landmarks, transformLandmarks } from "../landmarks.ts";
import { between, type Draw, logBetween } from "./canvas.ts";

/** A page with faces. */
export interface Page {
  /** The page. */
  readonly image: Image;
  /** Landmarks of each face, `[P, 2]`, pixels of the page. */
  readonly faces: readonly Landmarks[];
}

/** A square image of a face, with its landmarks. */
export interface PageFace {
  /** Square. */
  readonly image: Image;
  /** `[P, 2]`, pixels of the image. */
  readonly landmarks: Landmarks;
}

/** Sides of the images on a page, parts of the page's. */
const LEAST = 0.09, MOST = 0.42;
/** Places that are tried for an image before it is made smaller. */
const ATTEMPTS = 60;

/**
 * Puts images of faces on a page of one colour, each of any size and turned by any angle, without overlap.
 *
 * @param faces A few.
 * @param side Of the page, pixels.
 * @param draw The page is a function of its numbers.
 */
export function composePage(faces: readonly PageFace[], side: number, draw: Draw): Page {
  const page = createImage(side, side, [between(draw, 0, 255), between(draw, 0, 255), between(draw, 0, 255)]);
  const circles: { x: number; y: number; radius: number }[] = [];
  const placed = faces.map(({ image, landmarks }) => {
    const angle = between(draw, -Math.PI, Math.PI);
    let size = logBetween(draw, LEAST, MOST) * side;
    for (let attempt = 0;; attempt++) {
      if (attempt === ATTEMPTS) [attempt, size] = [0, 0.9 * size];
      // The image in the square that holds it when it is turned.
      const wide = Math.ceil(Math.SQRT2 * size), radius = wide / 2;
      const x = Math.round(between(draw, 0, side - wide)), y = Math.round(between(draw, 0, side - wide));
      const free = circles.every((other) =>
        Math.hypot(other.x - x - radius, other.y - y - radius) > other.radius + radius
      );
      if (!free) continue;
      circles.push({ x: x + radius, y: y + radius, radius });
      const middle = (image.width - 1) / 2;
      const square = { x: middle, y: middle, side: wide * image.width / size, angle: -angle };
      paste(page, cropTurned(new Pyramid(image), square, wide), x, y, size, angle);
      const [a, b, c, d, e, f] = turnedTransform(square, wide);
      return transformLandmarks(landmarks, [a, b, c + x, d, e, f + y]);
    }
  });
  return { image: page, faces: placed };
}

/** Copies the pixels of a square that lie in a smaller square, turned about the same centre. */
function paste(page: Image, from: Image, left: number, top: number, size: number, angle: number): void {
  const middle = (from.width - 1) / 2, cos = Math.cos(angle), sin = Math.sin(angle);
  for (let y = 0; y < from.height; y++) {
    for (let x = 0; x < from.width; x++) {
      const u = (x - middle) * cos + (y - middle) * sin, v = (y - middle) * cos - (x - middle) * sin;
      if (Math.max(Math.abs(u), Math.abs(v)) > size / 2) continue;
      const k = (y * from.width + x) * 3;
      page.data.set(from.data.subarray(k, k + 3), ((top + y) * page.width + left + x) * 3);
    }
  }
}
