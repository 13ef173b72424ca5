/**
 * Smooth maps of all pixels of an image, evaluated at the points of a coarse grid and interpolated between them.
 *
 * @module
 */

/** Points of the grid along each axis. */
const POINTS = 41;
/** Points that a cubic goes through. */
const TAPS = 4;

/** The cubics (Lagrange 1795) through the grid's points about each pixel of a line. */
interface Cubics {
  /** First of the points, `[side]`. */
  readonly first: Int32Array;
  /** Weights of the points, `[side, TAPS]`. */
  readonly weights: Float64Array;
}

function cubicsOf(side: number): Cubics {
  const first = new Int32Array(side), weights = new Float64Array(TAPS * side);
  for (let k = 0; k < side; k++) {
    const place = k * (POINTS - 1) / Math.max(1, side - 1);
    first[k] = Math.max(0, Math.min(POINTS - TAPS, Math.floor(place) - 1));
    // The distances to the four points.
    const a = place - first[k]!, b = a - 1, c = a - 2, d = a - 3;
    weights.set([-b * c * d / 6, a * c * d / 2, -a * b * d / 2, a * b * c / 6], TAPS * k);
  }
  return { first, weights };
}

/** A smooth map of an image's pixels to places in the plane. */
export class CoarseMap {
  readonly #cubics: Cubics;
  /** Places of the grid's points, `[POINTS, POINTS, 2]`. */
  readonly #places = new Float64Array(2 * POINTS * POINTS);
  /** Places of the grid's columns at a row of pixels, `[POINTS, 2]`. */
  readonly #line = new Float64Array(2 * POINTS);

  /**
   * Evaluates a map at the grid, whose outer points lie on the border pixels.
   *
   * @param side Of the image, pixels.
   * @param map Changes a point, `[x, y]`, to its place. The strongest bends and warps of faces are interpolated to a
   * thousandth of the side.
   */
  constructor(side: number, map: (at: Float64Array) => void) {
    this.#cubics = cubicsOf(side);
    const at = new Float64Array(2), step = (side - 1) / (POINTS - 1);
    for (let k = 0; k < POINTS * POINTS; k++) {
      at[0] = k % POINTS * step;
      at[1] = Math.floor(k / POINTS) * step;
      map(at);
      this.#places.set(at, 2 * k);
    }
  }

  /**
   * Writes the places of a row of pixels.
   *
   * @param row Number of the row.
   * @param x Receives the x of each place, `[side]`.
   * @param y Receives the y, `[side]`.
   */
  row(row: number, x: Float64Array, y: Float64Array): void {
    const { first, weights } = this.#cubics, places = this.#places, line = this.#line;
    const width = line.length;
    const [a, b, c, d] = weights.subarray(TAPS * row, TAPS * (row + 1)) as unknown as [number, number, number, number];
    for (let i = 0, p = first[row]! * width; i < width; i++, p++) {
      line[i] = a * places[p]! + b * places[p + width]! + c * places[p + 2 * width]! + d * places[p + 3 * width]!;
    }
    for (let k = 0, w = 0; k < x.length; k++, w += TAPS) {
      const p = 2 * first[k]!;
      const a = weights[w]!, b = weights[w + 1]!, c = weights[w + 2]!, d = weights[w + 3]!;
      x[k] = a * line[p]! + b * line[p + 2]! + c * line[p + 4]! + d * line[p + 6]!;
      y[k] = a * line[p + 1]! + b * line[p + 3]! + c * line[p + 5]! + d * line[p + 7]!;
    }
  }
}
