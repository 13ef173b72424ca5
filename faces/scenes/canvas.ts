/**
 * A canvas that shapes are painted on through soft masks, with a record of what each pixel shows.
 *
 * @module
 */

import type { RandomSource } from "../../engine/rng.ts";

/** The part of a source of random numbers that scenes draw from. */
export type Draw = Pick<RandomSource, "uniform" | "normal">;

/** A square picture in the making. */
export interface Canvas {
  /** Pixels. */
  readonly side: number;
  /** `[side, side, 3]`, -1 to 1. */
  readonly pixels: Float32Array;
  /** Number of the thing that each pixel shows, `[side, side]`; 0 is the background. */
  readonly owners: Int16Array;
  /** Shares of a row's pixels that a shape covers, `[side]`, and its colours, `[side, 3]`: memory of {@linkcode fill}. */
  readonly row: { readonly shares: Float64Array; readonly colours: Float64Array };
}

/** A black canvas. */
export function createCanvas(side: number): Canvas {
  return {
    side,
    pixels: new Float32Array(side * side * 3).fill(-1),
    owners: new Int16Array(side * side),
    row: { shares: new Float64Array(side), colours: new Float64Array(3 * side) },
  };
}

/** Signed distance of a pixel to the outline of a shape, pixels: below 0 inside. */
export type Shape = (x: number, y: number) => number;

/**
 * Writes colours of pixels beside each other, those at `from` up to but not including `to` of row `y`.
 *
 * @param out Colours of the row, `[side, 3]`, -1 to 1.
 */
export type Paint = (y: number, from: number, to: number, out: Float64Array) => void;

/** Bounds of a shape, pixels. */
export interface Bounds {
  /** Centre. */
  readonly x: number;
  /** Centre. */
  readonly y: number;
  /** Half the side of a square around it. */
  readonly reach: number;
}

/** Options of {@linkcode fill}. */
export interface FillOptions {
  /** Number of the thing. */
  readonly owner: number;
  /** Width of the soft edge, pixels; by default 1. */
  readonly feather?: number;
  /** Greatest change of the shape's distance from a pixel to the next; by default 1. */
  readonly steepness?: number;
}

/** Paints a shape. */
export function fill(
  { side, pixels, owners, row: { shares, colours } }: Canvas,
  { x, y, reach }: Bounds,
  shape: Shape,
  paint: Paint,
  { owner, feather = 1, steepness = 1 }: FillOptions,
): void {
  const clip = (at: number) => Math.max(0, Math.min(side, at));
  const [left, right] = [clip(Math.floor(x - reach)), clip(Math.ceil(x + reach) + 1)];
  const [top, bottom] = [clip(Math.floor(y - reach)), clip(Math.ceil(y + reach) + 1)];
  for (let row = top; row < bottom; row++) {
    for (let column = left; column < right;) {
      const distance = shape(column, row);
      const share = Math.max(0, Math.min(1, 0.5 - distance / feather));
      shares[column++] = share;
      // Pixels to the right are as far inside or outside, until they may come to the soft edge.
      const alike = (Math.abs(distance) - feather / 2) / steepness;
      for (const end = Math.min(right, column + Math.floor(alike)); column < end; column++) shares[column] = share;
    }
    for (let column = left; column < right; column++) {
      if (shares[column] === 0) continue;
      const from = column;
      while (column < right && shares[column]! > 0) column++;
      paint(row, from, column, colours);
      for (let k = from, at = (row * side + from) * 3; k < column; k++, at += 3) {
        const share = shares[k]!;
        pixels[at]! += (colours[3 * k]! - pixels[at]!) * share;
        pixels[at + 1]! += (colours[3 * k + 1]! - pixels[at + 1]!) * share;
        pixels[at + 2]! += (colours[3 * k + 2]! - pixels[at + 2]!) * share;
        if (share > 0.5) owners[row * side + k] = owner;
      }
    }
  }
}

/** Number from `low` to `high`. */
export function between(draw: Draw, low: number, high: number): number {
  return low + (high - low) * draw.uniform();
}

/** Number from `low` to `high`, as likely to be in `[a, 2 a]` as in `[b, 2 b]`. */
export function logBetween(draw: Draw, low: number, high: number): number {
  return low * (high / low) ** draw.uniform();
}

/** Whole number from `low` to `high`, both included. */
export function wholeBetween(draw: Draw, low: number, high: number): number {
  return low + Math.floor((high - low + 1) * draw.uniform());
}

/** One of some things. */
export function oneOf<T>(draw: Draw, things: readonly [T, ...T[]]): T {
  return things[Math.floor(things.length * draw.uniform())] ?? things[0];
}
