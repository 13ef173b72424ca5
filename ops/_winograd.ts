/**
 * What the steps of a 3x3 convolution by Winograd's F(4x4, 3x3) share: its matrices and where tiles lie in memory.
 *
 * `y = A^T ((G f G^T) * (B^T d B)) A` for a tile `y` of 4 x 4 results, the 6 x 6 pixels `d` under it and filters `f`;
 * `*` is element by element. With all channels at once it is a matrix product for each of the 36 places of a 6 x 6 tile.
 * The gradient of filters is the sum of `G^T ((B^T d B) * (A dy A^T)) G` over the tiles.
 * The polynomials go through 0, 1/sqrt(2), -1/sqrt(2), sqrt(2), -sqrt(2) and infinity; with 1, -1, 2, -2 in place of the
 * roots the error is four times as large.
 *
 * Source: Lavin & Gray 2015, arXiv 1509.09308.
 *
 * @module
 */

const [a, b] = [Math.SQRT1_2, Math.SQRT2];

/** B^T, `[6, 6]`. */
export const BT: readonly (readonly number[])[] = [
  [1, 0, -2.5, 0, 1, 0],
  [0, -2 * a, -2, a, 1, 0],
  [0, 2 * a, -2, -a, 1, 0],
  [0, -b / 2, -0.5, b, 1, 0],
  [0, b / 2, -0.5, -b, 1, 0],
  [0, 1, 0, -2.5, 0, 1],
];

/** G, `[6, 3]`. */
export const G: readonly (readonly number[])[] = [
  [1, 0, 0],
  [1 / -1.5, a / -1.5, 0.5 / -1.5],
  [1 / -1.5, -a / -1.5, 0.5 / -1.5],
  [1 / 6, b / 6, 2 / 6],
  [1 / 6, -b / 6, 2 / 6],
  [0, 0, 1],
];

/** A^T, `[4, 6]`. */
export const AT: readonly (readonly number[])[] = [
  [1, 1, 1, 1, 1, 0],
  [0, a, -a, b, -b, 0],
  [0, 0.5, 0.5, 2, 2, 0],
  [0, a / 2, -a / 2, 2 * b, -2 * b, 1],
];

/** Tiles of which the 36 places lie together, a place after the other: what an invocation multiplies at once. */
export const BLOCK = 8;

/**
 * Texels that stay empty after each place, so that places are no powers of two apart and do not share lines of the cache.
 */
const GAP = 8;

/** Tiles of 4 x 4 results in a map. */
export function tilesOf(height: number, width: number): [number, number] {
  return [Math.ceil(height / 4), Math.ceil(width / 4)];
}

/** Texels from a place of a block of tiles to the next. */
export function tileStride(channels: number): number {
  return BLOCK * Math.ceil(channels / 4) + GAP;
}

/** Texels from a place of the filters to the next. */
export function filterStride(inputs: number, outputs: number): number {
  return inputs * Math.ceil(outputs / 4) + GAP;
}

/** `left x right^T` of a square `x`, for references. */
export function both(left: readonly (readonly number[])[], x: readonly (readonly number[])[]): number[][] {
  const rows = left.map((l) => x[0]!.map((_, c) => l.reduce((sum, v, k) => sum + v * x[k]![c]!, 0)));
  return rows.map((row) => left.map((l) => l.reduce((sum, v, k) => sum + v * row[k]!, 0)));
}

/** A matrix with rows for columns. */
export function turned(x: readonly (readonly number[])[]): number[][] {
  return x[0]!.map((_, c) => x.map((row) => row[c]!));
}
