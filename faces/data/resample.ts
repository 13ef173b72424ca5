/**
 * Resampling of square images as networks take them: to another side, turned, bent, warped and mirrored.
 *
 * @module
 */
import { type Bend, bendBack } from "../bends.ts";
import { CoarseMap } from "../coarse_map.ts";
import { type GridWarp, warpBack } from "../grid_warp.ts";
import { type Affine, invertAffine } from "../landmarks.ts";

/** The map from one side to another. Pixel centres: the result's pixel p lies at (p + 0.5) * from / to - 0.5. */
export function resizing(from_px: number, to_px: number): Affine {
  const ratio = to_px / from_px;
  return [ratio, 0, ratio / 2 - 0.5, 0, ratio, ratio / 2 - 0.5];
}

/**
 * Writes one image as a network takes it, with another size and no other change.
 *
 * @param image `[from_px, from_px, 3]`, 0 to 255.
 * @param to_px Side of the result.
 * @param out `[to_px, to_px, 3]`, filled with values from -1 to 1.
 */
export function resample(image: Uint8Array, from_px: number, to_px: number, out: Float32Array): void {
  const back = invertAffine(resizing(from_px, to_px));
  remap(image, from_px, { back, bends: [], warp: null, mirrored: false }, to_px, out);
}

/** Places of an image's points before the changes: first the mirror is undone, then the warp, the affine map and the bends. */
export interface InverseMap {
  /** From the result to the image. */
  readonly back: Affine;
  /** Bends of the image's face. */
  readonly bends: readonly Bend[];
  /** Warp of the result. */
  readonly warp: GridWarp | null;
  /** True if the result is mirrored. */
  readonly mirrored: boolean;
}

/** Bilinear resampling from where a point was; the border is repeated outside. */
export function remap(
  image: Uint8Array,
  from_px: number,
  { back, bends, warp, mirrored }: InverseMap,
  to_px: number,
  out: Float32Array,
): void {
  const [a, b, c, d, e, f] = back;
  const curved = warp || bends.length > 0
    ? new CoarseMap(to_px, (at) => {
      if (warp) warpBack(at, warp);
      const x = at[0]!, y = at[1]!;
      at[0] = a * x + b * y + c;
      at[1] = d * x + e * y + f;
      bendBack(at, bends);
    })
    : null;
  const xs = new Float64Array(to_px), ys = new Float64Array(to_px);
  const last = from_px - 1, line = 3 * from_px;
  for (let row = 0, o = 0; row < to_px; row++) {
    if (curved) curved.row(row, xs, ys);
    else {
      for (let x = 0; x < to_px; x++) {
        xs[x] = a * x + b * row + c;
        ys[x] = d * x + e * row + f;
      }
    }
    for (let column = 0; column < to_px; column++, o += 3) {
      const at = mirrored ? to_px - 1 - column : column;
      const sx = Math.max(0, Math.min(last, xs[at]!)), sy = Math.max(0, Math.min(last, ys[at]!));
      const x0 = Math.floor(sx), y0 = Math.floor(sy);
      const u = sx - x0, v = sy - y0;
      const p = y0 * line + 3 * x0, r = y0 < last ? p + line : p;
      const q = x0 < last ? p + 3 : p, s = x0 < last ? r + 3 : r;
      out[o] = bilinear(image[p]!, image[q]!, image[r]!, image[s]!, u, v) / 127.5 - 1;
      out[o + 1] = bilinear(image[p + 1]!, image[q + 1]!, image[r + 1]!, image[s + 1]!, u, v) / 127.5 - 1;
      out[o + 2] = bilinear(image[p + 2]!, image[q + 2]!, image[r + 2]!, image[s + 2]!, u, v) / 127.5 - 1;
    }
  }
}

/** The value at shares of u and v of the way from the upper left one of four to those right and below. */
function bilinear(a: number, b: number, c: number, d: number, u: number, v: number): number {
  return (a * (1 - u) + b * u) * (1 - v) + (c * (1 - u) + d * u) * v;
}
