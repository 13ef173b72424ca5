/**
 * Square crops that are turned: a face that tilts, or stands on its head, is upright in its crop.
 *
 * @module
 */
import { type Affine, boundingBox, CROP_SCALE, type Landmarks, transformLandmarks } from "../landmarks.ts";
import type { Image } from "./image.ts";

/** A square of an image that is turned about its centre. */
export interface TurnedSquare {
  /** Centre, pixels; 0 is the centre of the first one. */
  readonly x: number;
  /** Centre. */
  readonly y: number;
  /** Length of a side, pixels. */
  readonly side: number;
  /** Angle by which it is turned, radians, clockwise on the screen. */
  readonly angle: number;
}

/**
 * The affine map that takes points of an image to points of its turned crop.
 *
 * `x' = (R(-angle) (x - centre)) size_px / side + (size_px - 1) / 2`
 *
 * @param square The square that was cut out.
 * @param size_px Side of the crop.
 * @returns For `transformLandmarks`.
 */
export function turnedTransform({ x, y, side, angle }: TurnedSquare, size_px: number): Affine {
  const scale = size_px / side, cos = scale * Math.cos(angle), sin = scale * Math.sin(angle);
  const middle = (size_px - 1) / 2;
  return [cos, sin, middle - cos * x - sin * y, -sin, cos, middle + sin * x - cos * y];
}

/**
 * The turned square around a face that crops are made with: `scale` times the longer side of the tight box of its
 * landmarks when the face is upright.
 *
 * @param landmarks `[P, 2]`.
 * @param angle Angle of the face, radians, clockwise on the screen.
 * @param scale Its side as a multiple of the longer side of that box.
 * @returns For {@linkcode cropTurned}.
 */
export function turnedFaceBox(landmarks: Landmarks, angle: number, scale = CROP_SCALE): TurnedSquare {
  const cos = Math.cos(angle), sin = Math.sin(angle);
  const box = boundingBox(transformLandmarks(landmarks, [cos, sin, 0, -sin, cos, 0]));
  const u = box.x + box.width / 2, v = box.y + box.height / 2;
  return { x: cos * u - sin * v, y: sin * u + cos * v, side: scale * Math.max(box.width, box.height), angle };
}

/**
 * An image with smaller copies of it, each half as large as the one before, made when they are first needed: crops of large
 * faces are cut from a small copy.
 */
export class Pyramid {
  readonly #levels: Image[];

  /** Takes the image; it is not changed. */
  constructor(image: Image) {
    this.#levels = [image];
  }

  /** The image itself. */
  get image(): Image {
    return this.level(0);
  }

  /**
   * A copy of the image.
   *
   * @param level Number of times that its sides are halved, rounding up.
   * @returns The copy, which is kept.
   */
  level(level: number): Image {
    for (let k = this.#levels.length; k <= level; k++) this.#levels.push(halve(this.#levels[k - 1]!));
    return this.#levels[level]!;
  }
}

/** Means of 2 x 2 pixels; an odd last row or column counts twice. */
function halve({ width, height, data }: Image): Image {
  const columns = Math.ceil(width / 2), rows = Math.ceil(height / 2);
  const result = new Uint8Array(columns * rows * 3);
  for (let y = 0, to = 0; y < rows; y++) {
    const upper = 2 * y * width * 3, lower = Math.min(2 * y + 1, height - 1) * width * 3;
    for (let x = 0; x < columns; x++) {
      const left = 6 * x, right = Math.min(2 * x + 1, width - 1) * 3;
      for (let c = 0; c < 3; c++, to++) {
        result[to] =
          (data[upper + left + c]! + data[upper + right + c]! + data[lower + left + c]! + data[lower + right + c]! +
            2) >> 2;
      }
    }
  }
  return { width: columns, height: rows, data: result };
}

/**
 * Cuts a turned square out and resamples it, as `cropSquare` does: bilinear where it grows, with a triangle filter in the
 * axes of the square where it shrinks. What lies outside the image has the colour of the nearest border pixel.
 *
 * @param pyramid The image. A square of more than four times the side of the result is cut from a smaller copy.
 * @param square The square, which may leave the image.
 * @param size_px Side of the result.
 * @returns A new image of `size_px` x `size_px`; {@linkcode turnedTransform} takes landmarks along.
 */
export function cropTurned(pyramid: Pyramid, square: TurnedSquare, size_px: number): Image {
  const level = Math.max(0, Math.floor(Math.log2(square.side / size_px / 2)));
  const { width, height, data } = pyramid.level(level), factor = 2 ** level;
  const x0 = (square.x + 0.5) / factor - 0.5, y0 = (square.y + 0.5) / factor - 0.5;
  const scale = square.side / factor / size_px;
  const cos = Math.cos(square.angle), sin = Math.sin(square.angle), middle = (size_px - 1) / 2;
  // A triangle of one pixel in the image's own axes is bilinear sampling.
  const [along, across] = scale > 1 ? [cos / scale, sin / scale] : [1, 0];
  const reach = scale > 1 ? scale * (Math.abs(cos) + Math.abs(sin)) : 1;
  const result = new Uint8Array(size_px * size_px * 3);
  for (let j = 0, to = 0; j < size_px; j++) {
    for (let i = 0; i < size_px; i++, to += 3) {
      const u = (i - middle) * scale, v = (j - middle) * scale;
      const x = x0 + cos * u - sin * v, y = y0 + sin * u + cos * v;
      const left = Math.ceil(x - reach), right = Math.floor(x + reach);
      let sum = 0, red = 0, green = 0, blue = 0;
      for (let py = Math.ceil(y - reach), bottom = Math.floor(y + reach); py <= bottom; py++) {
        const row = (py < 0 ? 0 : py >= height ? height - 1 : py) * width, dy = py - y;
        for (let px = left; px <= right; px++) {
          const dx = px - x;
          const wide = 1 - Math.abs(along * dx + across * dy), high = 1 - Math.abs(along * dy - across * dx);
          if (wide <= 0 || high <= 0) continue;
          const weight = wide * high, from = (row + (px < 0 ? 0 : px >= width ? width - 1 : px)) * 3;
          sum += weight;
          red += weight * data[from]!;
          green += weight * data[from + 1]!;
          blue += weight * data[from + 2]!;
        }
      }
      result[to] = Math.round(red / sum);
      result[to + 1] = Math.round(green / sum);
      result[to + 2] = Math.round(blue / sum);
    }
  }
  return { width: size_px, height: size_px, data: result };
}
