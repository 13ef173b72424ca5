/**
 * Draws of single values, of which the tables of ranges are made.
 *
 * @module
 */
import type { RandomSource } from "../../../engine/rng.ts";
import { clamp, mix } from "../numbers.ts";
import { hsl } from "./hex_colours.ts";

/** Properties of a whole image: its colours, which are in harmony, and the boldness of its proportions. */
export interface Scheme {
  /** Degrees; others are a step of the harmony from it. */
  hues: readonly number[];
  /** Of lines and marks. */
  ink: string;
  paper: string;
  ground: [string, string];
  /** From dark to light, or from light to dark: a negative. */
  palette: string[];
  /** Factor on how far proportions stray. */
  bold: number;
}

/** Draws a value for an image with such a scheme. */
export type Draw<T> = (random: RandomSource, scheme: Scheme) => T;

/** The value, without a draw. */
export const always = <T>(value: T): Draw<T> => () => value;

/** Even between two limits. */
export const within = (low: number, high: number): Draw<number> => (random) => mix(low, high, random.uniform());

/** Even in the logarithm. */
export const ratio = (low: number, high: number): Draw<number> => (random) => low * (high / low) ** random.uniform();

/** A whole number between two limits, both included. */
export const whole = (low: number, high: number): Draw<number> => (random) => low + random.int(high - low + 1);

/** Draws in a share of the images. */
export const some = <T>(share: number, draw: Draw<T>, otherwise: T): Draw<T> => (random, scheme) =>
  random.uniform() < share ? draw(random, scheme) : otherwise;

/** A factor whose logarithm has a standard deviation, times the scheme's boldness. */
export const stray = (deviation: number, low: number, high: number): Draw<number> => (random, { bold }) =>
  clamp(Math.exp(random.normal() * deviation * bold), low, high);

/** A summand of a standard deviation, times the scheme's boldness. */
export const shift = (deviation: number, limit: number): Draw<number> => (random, { bold }) =>
  clamp(random.normal() * deviation * bold, -limit, limit);

/** One of the names, by weight. */
export const oneOf = <Name extends string>(weights: Readonly<Partial<Record<Name, number>>>): Draw<Name> => (random) =>
  weighted(random, weights);

/** Draws one of the names, by weight. */
export function weighted<Name extends string>(
  random: RandomSource,
  weights: Readonly<Partial<Record<Name, number>>>,
): Name {
  const entries = Object.entries(weights) as [Name, number][];
  let left = random.uniform() * entries.reduce((sum, [, weight]) => sum + weight, 0);
  return (entries.find(([, weight]) => (left -= weight) < 0) ?? entries.at(-1)!)[0];
}

/** A colour of one of the scheme's hues. */
export const hued = (saturation: Draw<number>, light: Draw<number>): Draw<string> => (random, scheme) =>
  hsl(scheme.hues[random.int(scheme.hues.length)]!, saturation(random, scheme), light(random, scheme));

/** A list of colours, of a length between two limits. */
export const list = (least: number, most: number, draw: Draw<string>): Draw<string[]> => (random, scheme) =>
  Array.from({ length: whole(least, most)(random, scheme) }, () => draw(random, scheme));
