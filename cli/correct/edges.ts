/**
 * Contours on edges of the picture.
 *
 * @module
 */
import type { Point } from "./api.ts";

/** Brightness of a picture, 0 to 1, row by row. */
export interface Grey {
  /** Columns. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** `[height, width]`. */
  readonly data: Float32Array;
}

/** Brightness of pixels with four channels, by Rec. 601, blurred by a binomial of five to settle grain. */
export function greyOf(rgba: Uint8ClampedArray, width: number, height: number): Grey {
  const data = new Float32Array(width * height);
  for (let i = 0; i < data.length; i++) {
    data[i] = (0.299 * rgba[4 * i]! + 0.587 * rgba[4 * i + 1]! + 0.114 * rgba[4 * i + 2]!) / 255;
  }
  const blurred = (from: Float32Array, step: number, length: number) =>
    from.map((_, i) => {
      const place = step === 1 ? i % width : Math.floor(i / width);
      const at = (k: number) => from[i + (Math.min(length - 1, Math.max(0, place + k)) - place) * step]!;
      return (at(-2) + 4 * at(-1) + 6 * at(0) + 4 * at(1) + at(2)) / 16;
    });
  return { width, height, data: blurred(blurred(data, 1, width), width, height) };
}

function sample({ width, height, data }: Grey, x: number, y: number): number {
  const cx = Math.min(width - 1, Math.max(0, x)), cy = Math.min(height - 1, Math.max(0, y));
  const x0 = Math.min(width - 2, Math.floor(cx)), y0 = Math.min(height - 2, Math.floor(cy));
  if (x0 < 0 || y0 < 0) return data[Math.floor(cy) * width + Math.floor(cx)]!;
  const fx = cx - x0, fy = cy - y0, i = y0 * width + x0;
  return (data[i]! * (1 - fx) + data[i + 1]! * fx) * (1 - fy) +
    (data[i + width]! * (1 - fx) + data[i + width + 1]! * fx) * fy;
}

/** Places that each landmark may take, on each side of where it is. */
const STEPS = 12;
/** Cost of a step beside the neighbour's, and of a step away from the place, in units of the strongest edge. */
const BEND = 0.12, STAY = 0.004;

/**
 * Moves the landmarks of a contour across it onto the nearest strong edge, such that neighbours move alike: the shortest path
 * through the possible places by dynamic programming.
 *
 * @param grey The picture.
 * @param points `[P][2]`.
 * @param contour Landmarks of the contour in order.
 * @param closed True if the last one is joined to the first.
 * @param fixed Landmarks that stay.
 * @param reach_px Largest move, pixels.
 * @returns New landmarks.
 *
 * Source: Amini, Weymouth & Jain 1990, Using dynamic programming for solving variational problems in vision.
 */
export function snapContour(
  grey: Grey,
  points: readonly Point[],
  contour: readonly number[],
  closed: boolean,
  fixed: ReadonlySet<number>,
  reach_px: number,
): Point[] {
  const n = contour.length, step = reach_px / STEPS, places = 2 * STEPS + 1;
  const normals = contour.map((_, k): Point => {
    const before = points[contour[closed ? (k + n - 1) % n : Math.max(0, k - 1)]!]!;
    const after = points[contour[closed ? (k + 1) % n : Math.min(n - 1, k + 1)]!]!;
    const [tx, ty] = [after[0] - before[0], after[1] - before[1]], length = Math.hypot(tx, ty) || 1;
    return [-ty / length, tx / length];
  });
  const edges = contour.map((p, k) => {
    const [x, y] = points[p]!, [nx, ny] = normals[k]!;
    return Array.from({ length: places }, (_, i) => {
      const at = (i - STEPS) * step;
      return Math.abs(
        sample(grey, x + (at + 1) * nx, y + (at + 1) * ny) - sample(grey, x + (at - 1) * nx, y + (at - 1) * ny),
      );
    });
  });
  const strongest = Math.max(1e-6, ...edges.flat());
  const cost = contour.map((p, k) =>
    edges[k]!.map((edge, i) => fixed.has(p) && i !== STEPS ? Infinity : STAY * (i - STEPS) ** 2 - edge / strongest)
  );
  const best = shortest(cost, closed);
  const result = [...points];
  for (const [k, p] of contour.entries()) {
    const at = (best[k]! - STEPS) * step;
    result[p] = [points[p]![0] + at * normals[k]![0], points[p]![1] + at * normals[k]![1]];
  }
  return result;
}

/** Place of each landmark on the cheapest path; of a closed one the first place is tried in turn. */
function shortest(cost: readonly (readonly number[])[], closed: boolean): number[] {
  const places = cost[0]!.length;
  let best: { total: number; path: number[] } = { total: Infinity, path: cost.map(() => STEPS) };
  const starts = closed ? Array.from({ length: places }, (_, i) => i) : [undefined];
  for (const start of starts) {
    let sums = cost[0]!.map((value, i) => start === undefined || i === start ? value : Infinity);
    const from: number[][] = [];
    for (let k = 1; k < cost.length; k++) {
      const origin: number[] = [];
      sums = cost[k]!.map((value, i) => {
        let [low, at] = [Infinity, i];
        for (let j = 0; j < places; j++) {
          const sum = sums[j]! + BEND * (i - j) ** 2;
          if (sum < low) [low, at] = [sum, j];
        }
        origin.push(at);
        return low + value;
      });
      from.push(origin);
    }
    if (start !== undefined) sums = sums.map((sum, i) => sum + BEND * (i - start) ** 2);
    const total = Math.min(...sums);
    if (!(total < best.total)) continue;
    const path = [sums.indexOf(total)];
    for (let k = from.length - 1; k >= 0; k--) path.unshift(from[k]![path[0]!]!);
    best = { total, path };
  }
  return best.path;
}
