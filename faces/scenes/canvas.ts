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
}

/** A black canvas. */
export function createCanvas(side: number): Canvas {
  return { side, pixels: new Float32Array(side * side * 3).fill(-1), owners: new Int16Array(side * side) };
}

/** Signed distance of a pixel to the outline of a shape, pixels: below 0 inside. */
export type Shape = (x: number, y: number) => number;

/** Colour of a pixel, written to `out`: -1 to 1. */
export type Paint = (x: number, y: number, out: Float64Array) => void;

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
  /** 0 to 1; by default 1. */
  readonly opacity?: number;
}

/** Paints a shape. */
export function fill(
  { side, pixels, owners }: Canvas,
  { x, y, reach }: Bounds,
  shape: Shape,
  paint: Paint,
  { owner, feather = 1, opacity = 1 }: FillOptions,
): void {
  const clip = (at: number) => Math.max(0, Math.min(side, at));
  const [left, right] = [clip(Math.floor(x - reach)), clip(Math.ceil(x + reach) + 1)];
  const [top, bottom] = [clip(Math.floor(y - reach)), clip(Math.ceil(y + reach) + 1)];
  const colour = new Float64Array(3);
  for (let row = top; row < bottom; row++) {
    for (let column = left; column < right; column++) {
      const alpha = Math.min(1, 0.5 - shape(column, row) / feather) * opacity;
      if (alpha <= 0) continue;
      paint(column, row, colour);
      const at = (row * side + column) * 3;
      for (let c = 0; c < 3; c++) pixels[at + c]! += (colour[c]! - pixels[at + c]!) * alpha;
      if (alpha > 0.5) owners[row * side + column] = owner;
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
