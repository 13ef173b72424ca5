/**
 * Shared parts of a 3x3 convolution by Winograd's F(4x4, 3x3): its matrices and the layout of tiles in memory.
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

import type { F64 } from "../engine/graph.ts";
import { accumulator, reader } from "./_reference.ts";

/** Rows of numbers. */
export type Matrix = readonly (readonly number[])[];

const [a, b] = [Math.SQRT1_2, Math.SQRT2];

/** B^T, `[6, 6]`. */
export const BT: Matrix = [
  [1, 0, -2.5, 0, 1, 0],
  [0, -2 * a, -2, a, 1, 0],
  [0, 2 * a, -2, -a, 1, 0],
  [0, -b / 2, -0.5, b, 1, 0],
  [0, b / 2, -0.5, -b, 1, 0],
  [0, 1, 0, -2.5, 0, 1],
];

/** G, `[6, 3]`. */
export const G: Matrix = [
  [1, 0, 0],
  [1 / -1.5, a / -1.5, 0.5 / -1.5],
  [1 / -1.5, -a / -1.5, 0.5 / -1.5],
  [1 / 6, b / 6, 2 / 6],
  [1 / 6, -b / 6, 2 / 6],
  [0, 0, 1],
];

/** A^T, `[4, 6]`. */
export const AT: Matrix = [
  [1, 1, 1, 1, 1, 0],
  [0, a, -a, b, -b, 0],
  [0, 0.5, 0.5, 2, 2, 0],
  [0, a / 2, -a / 2, 2 * b, -2 * b, 1],
];

/** Tiles whose 36 places lie together, a place after the other; an invocation multiplies them at once. */
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

/** A matrix of so many rows and columns, for references. */
export function matrix(rows: number, columns: number, f: (r: number, c: number) => number): number[][] {
  return Array.from({ length: rows }, (_, r) => Array.from({ length: columns }, (_, c) => f(r, c)));
}

/** A matrix with rows for columns. */
export function transpose(x: Matrix): number[][] {
  const [first = []] = x;
  return first.map((_, c) => x.flatMap((row) => row.slice(c, c + 1)));
}

/** `left x left^T` of a square `x`. */
export function leftRight(left: Matrix, x: Matrix): number[][] {
  return times(times(left, x), transpose(left));
}

function times(a: Matrix, b: Matrix): number[][] {
  const columns = transpose(b);
  return a.map((row) => columns.map((column) => column.reduce((sum, v, k) => sum + v * (row[k] ?? 0), 0)));
}

/** Sample, row and column of a tile. */
export function tilePosition(
  tile: number,
  height: number,
  width: number,
): readonly [n: number, th: number, tw: number] {
  const [TH, TW] = tilesOf(height, width);
  return [Math.floor(tile / (TH * TW)), Math.floor(tile / TW) % TH, tile % TW];
}

/** Reads blocks of tiles by tile, place and channel. */
export function tileReader(x: F64, channels: number): (tile: number, place: number, channel: number) => number {
  const X = reader(x);
  const row = 4 * Math.ceil(channels / 4);
  return (tile, place, c) => X(Math.floor(tile / BLOCK), place, tile % BLOCK * row + c);
}

/** Blocks of tiles from the 6 x 6 places of each tile's channels. */
export function tabulateTiles(tiles: number, channels: number, f: (tile: number, channel: number) => Matrix): F64 {
  const row = 4 * Math.ceil(channels / 4);
  const { sum, add } = accumulator([Math.ceil(tiles / BLOCK), 36, 4 * tileStride(channels)]);
  for (let tile = 0; tile < tiles; tile++) {
    for (let c = 0; c < channels; c++) {
      f(tile, c).flat().forEach((v, place) => add(v, Math.floor(tile / BLOCK), place, tile % BLOCK * row + c));
    }
  }
  return sum;
}

/** Reads transformed filters by place, input and output channel. */
export function filterReader(u: F64, outputs: number): (place: number, i: number, o: number) => number {
  const U = reader(u);
  return (place, i, o) => U(place, i * 4 * Math.ceil(outputs / 4) + o);
}

/** Transformed filters from the 6 x 6 places of each pair of channels. */
export function tabulateFilters(inputs: number, outputs: number, f: (i: number, o: number) => Matrix): F64 {
  const { sum, add } = accumulator([36, 4 * filterStride(inputs, outputs)]);
  for (let i = 0; i < inputs; i++) {
    for (let o = 0; o < outputs; o++) {
      f(i, o).flat().forEach((v, place) => add(v, place, i * 4 * Math.ceil(outputs / 4) + o));
    }
  }
  return sum;
}
