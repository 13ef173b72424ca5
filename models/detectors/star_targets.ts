/**
 * Training targets of STAR's detector: a blob for each landmark and a line for each edge of the face, at a quarter of the
 * image's side.
 *
 * Easy to get wrong:
 * - a blob is cut from a patch of ten pixels that lies at whole pixels: its centre is `trunc(x - 4.5) + 5`, which for
 *   `x < 4.5` is one pixel further than the nearest one;
 * - an edge is a cubic spline through its landmarks, five samples from one to the next, and not their polygon;
 * - a quarter is taken by bilinear resampling without a filter: the mean of the middle four of sixteen pixels.
 *
 * Source: Zhou et al. 2023, arXiv 2306.02763; ZhenglinZhou/STAR at 9b12574, lib/dataset/encoder, alignmentDataset.py.
 *
 * @module
 */

import { InputError } from "../../formats/input_error.ts";

/** Standard deviation of a blob, pixels. */
const SIGMA = 1.5;
/** Half the side of the patch that a blob is cut from. */
const HALF = 3 * SIGMA;
/** Samples of a curve from one landmark to the next. */
const DENSITY = 5;
/** Edges are drawn this many times larger, on whole pixels, this wide. */
const FINE = 4;
/** The maps' share of the image's side. */
const QUARTER = 4;

/** An edge: true if its ends are joined, and its landmarks in order. */
export type Edge = readonly [closed: boolean, points: readonly number[]];

/** An element that is known to be there. */
function item<T>(values: ArrayLike<T>, k: number): T {
  const value = values[k];
  if (value === undefined) throw new RangeError(`Cannot read element ${k} of ${values.length}`);
  return value;
}

/**
 * The blob of a landmark, 1 at its centre.
 *
 * @param x Column, pixels; one outside the image counts as one at its border.
 * @param y Row, pixels.
 * @param size_px Side of the image.
 * @returns `[size_px, size_px]`.
 */
export function pointMap(x: number, y: number, size_px: number): Float32Array {
  const map = new Float32Array(size_px * size_px);
  const span = (at: number) => {
    const inside = Math.max(0, Math.min(size_px - 1, at));
    const first = Math.trunc(inside - HALF);
    const end = Math.min(Math.trunc(inside + HALF + 1), size_px);
    return { from: Math.max(0, first), end, centre: first + Math.ceil(HALF) };
  };
  const [column, row] = [span(x), span(y)];
  for (let j = row.from; j < row.end; j++) {
    for (let i = column.from; i < column.end; i++) {
      const squared = (i - column.centre) ** 2 + (j - row.centre) ** 2;
      map[j * size_px + i] = Math.exp(-squared / (2 * SIGMA * SIGMA));
    }
  }
  return map;
}

/**
 * The cubic spline through points, by the length of their chords; it is the one that FITPACK finds without smoothing:
 * periodic when closed, else with no knot at the second point from each end.
 *
 * @param points `[n, 2]`; a point that repeats the one before it is passed over. Fewer than four are joined by lines.
 * @param closed True if the last point is joined to the first.
 * @returns `[5 n, 2]` when closed, else `[5 (n - 1) + 1, 2]`.
 */
export function edgeCurve(points: ArrayLike<number>, closed: boolean): Float64Array {
  const xs: number[] = [], ys: number[] = [], us: number[] = [];
  const put = (x: number, y: number) => {
    const [before, above] = [xs.at(-1) ?? x, ys.at(-1) ?? y];
    const length = Math.hypot(x - before, y - above);
    if (xs.length && length === 0) return;
    us.push((us.at(-1) ?? 0) + length);
    xs.push(x);
    ys.push(y);
  };
  for (let k = 0; k < points.length; k += 2) put(item(points, k), item(points, k + 1));
  if (closed) put(item(points, 0), item(points, 1));
  const [x, y] = [xs, ys].map((values) => spline(us, values, closed)) as [Spline, Spline];
  const out: number[] = [];
  for (let k = 0; k + 1 < us.length; k++) {
    for (let j = 0; j < DENSITY; j++) {
      const u = item(us, k) + (item(us, k + 1) - item(us, k)) * j / DENSITY;
      out.push(x(k, u), y(k, u));
    }
  }
  if (!closed) out.push(item(xs, xs.length - 1), item(ys, ys.length - 1));
  return Float64Array.from(out);
}

/** Value at `u`, which lies in interval `k`. */
type Spline = (k: number, u: number) => number;

function spline(us: readonly number[], values: readonly number[], closed: boolean): Spline {
  const n = us.length;
  const h = (k: number) => item(us, k + 1) - item(us, k);
  const slope = (k: number) => (item(values, k + 1) - item(values, k)) / h(k);
  // Second derivatives M: h[k-1] M[k-1] + 2 (h[k-1] + h[k]) M[k] + h[k] M[k+1] = 6 (slope[k] - slope[k-1]).
  const matrix = Array.from({ length: n }, () => new Float64Array(n + 1));
  const smooth = (k: number, before: number, after: number) => {
    const row = item(matrix, k);
    const put = (column: number, value: number) => row[column] = item(row, column) + value;
    put(before, h((k || n - 1) - 1));
    put(k, 2 * (h((k || n - 1) - 1) + h(k)));
    put(after, h(k));
    row[n] = 6 * (slope(k) - slope((k || n - 1) - 1));
  };
  if (n < 4) matrix.forEach((row, k) => row[k] = 1);
  else {
    for (let k = 1; k < n - 1; k++) smooth(k, k - 1, k + 1);
    const [first, last] = [item(matrix, 0), item(matrix, n - 1)];
    if (closed) {
      smooth(0, n - 2, 1);
      [last[0], last[n - 1]] = [1, -1];
    } else {
      // The third derivative goes on through the second point and the one before the last.
      [first[0], first[1], first[2]] = [h(1), -h(0) - h(1), h(0)];
      [last[n - 3], last[n - 2], last[n - 1]] = [h(n - 2), -h(n - 3) - h(n - 2), h(n - 3)];
    }
  }
  const M = solve(matrix);
  return (k, u) => {
    const [a, b] = [item(us, k + 1) - u, u - item(us, k)];
    return (item(M, k) * a ** 3 + item(M, k + 1) * b ** 3) / (6 * h(k)) +
      (item(values, k) / h(k) - item(M, k) * h(k) / 6) * a +
      (item(values, k + 1) / h(k) - item(M, k + 1) * h(k) / 6) * b;
  };
}

/** Gaussian elimination with pivots; the last column is the right-hand side. */
function solve(matrix: Float64Array[]): number[] {
  const n = matrix.length;
  for (let k = 0; k < n; k++) {
    let pivot = k;
    const size = (r: number) => Math.abs(item(item(matrix, r), k));
    for (let r = k + 1; r < n; r++) if (size(r) > size(pivot)) pivot = r;
    [matrix[k], matrix[pivot]] = [item(matrix, pivot), item(matrix, k)];
    for (let r = 0; r < n; r++) {
      if (r === k) continue;
      const [row, top] = [item(matrix, r), item(matrix, k)];
      const factor = item(row, k) / item(top, k);
      if (factor) { for (let c = k; c <= n; c++) row[c] = item(row, c) - factor * item(top, c); }
    }
  }
  return matrix.map((row, k) => item(row, n) / item(row, k));
}

/** Paints a line one pixel wide, smooth at its sides, on a canvas four times as large. */
function paint(canvas: Float32Array, side: number, [x0, y0, x1, y1]: readonly [number, number, number, number]): void {
  const reach = FINE / 2 + 0.5;
  const [dx, dy] = [x1 - x0, y1 - y0];
  const squared = dx * dx + dy * dy || 1;
  const range = (a: number, b: number) =>
    [
      Math.max(0, Math.ceil(Math.min(a, b) - reach)),
      Math.min(side - 1, Math.floor(Math.max(a, b) + reach)),
    ] as const;
  const [[left, right], [top, bottom]] = [range(x0, x1), range(y0, y1)];
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const t = Math.max(0, Math.min(1, ((x - x0) * dx + (y - y0) * dy) / squared));
      const cover = reach - Math.hypot(x - x0 - t * dx, y - y0 - t * dy);
      const at = y * side + x;
      if (cover > item(canvas, at)) canvas[at] = Math.min(1, cover);
    }
  }
}

/** Means of the middle squares of cells: `[count cell]^2` to `[count]^2`, written to every `stride`-th element. */
function middles(map: Float32Array, cell: number, out: Float32Array, first: number, stride: number): void {
  const count = Math.sqrt(map.length) / cell;
  const [from, to] = [cell * (QUARTER / 2 - 1) / QUARTER, cell * (QUARTER / 2 + 1) / QUARTER];
  for (let r = 0; r < count; r++) {
    for (let c = 0; c < count; c++) {
      let total = 0;
      for (let j = from; j < to; j++) {
        for (let i = from; i < to; i++) total += item(map, (r * cell + j) * count * cell + c * cell + i);
      }
      out[(r * count + c) * stride + first] = total / (to - from) ** 2;
    }
  }
}

/** Targets of one image. */
export interface StarMaps {
  /** `[size_px / 4, size_px / 4, points]`. */
  readonly pointmaps: Float32Array;
  /** `[size_px / 4, size_px / 4, edges]`. */
  readonly edgemaps: Float32Array;
}

/**
 * Draws the maps that STAR's detector learns in addition to the landmarks.
 *
 * @param landmarks `[P, 2]`, pixels.
 * @param size_px Side of the image, a multiple of 4.
 * @param edges Contours of the landmarks' schema.
 * @throws {InputError} If the side is no multiple of 4.
 */
export function starMaps(landmarks: ArrayLike<number>, size_px: number, edges: readonly Edge[]): StarMaps {
  if (size_px % QUARTER) {
    throw new InputError(`Cannot draw maps of a picture of ${size_px} px: a multiple of 4 is expected`);
  }
  const side = size_px / QUARTER, P = landmarks.length / 2;
  const pointmaps = new Float32Array(side * side * P);
  for (let p = 0; p < P; p++) {
    middles(pointMap(item(landmarks, p * 2), item(landmarks, p * 2 + 1), size_px), QUARTER, pointmaps, p, P);
  }
  const edgemaps = new Float32Array(side * side * edges.length);
  const canvas = new Float32Array((size_px * FINE) ** 2);
  edges.forEach(([closed, members], e) => {
    canvas.fill(0);
    const curve = edgeCurve(members.flatMap((p) => [item(landmarks, p * 2), item(landmarks, p * 2 + 1)]), closed);
    const fine = (at: number) => {
      const inside = Math.max(0, Math.min(size_px - 1, item(curve, at % curve.length)));
      return Math.trunc(inside * FINE + 0.5);
    };
    for (let k = 0; k + (closed ? 0 : 2) < curve.length; k += 2) {
      paint(canvas, size_px * FINE, [fine(k), fine(k + 1), fine(k + 2), fine(k + 3)]);
    }
    middles(canvas, QUARTER * FINE, edgemaps, e, edges.length);
  });
  return { pointmaps, edgemaps };
}
