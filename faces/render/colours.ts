/**
 * Colours in linear light, and those of people and of what is around them.
 *
 * @module
 */
import type { RandomSource } from "../../engine/rng.ts";
import { mix } from "./numbers.ts";

/** Linear-light red, green and blue. */
export type Rgb = readonly [red: number, green: number, blue: number];

/** A colour 0xrrggbb in linear light. */
export const linear = (hex: number): Rgb => {
  const channel = (shift: number): number => (((hex >> shift) & 255) / 255) ** 2.2;
  return [channel(16), channel(8), channel(0)];
};
/** Goes from one colour to another. */
export const blend = (a: Rgb, b: Rgb, t: number): Rgb => [mix(a[0], b[0], t), mix(a[1], b[1], t), mix(a[2], b[2], t)];
/** Makes a colour lighter or darker. */
export const scale = (a: Rgb, by: number): Rgb => [a[0] * by, a[1] * by, a[2] * by];

/** Skins, from light to dark. */
export const SKINS = [0xf1dace, 0xe7c4b2, 0xd6ac96, 0xc0937c, 0xa37a64, 0x815e4c, 0x634739, 0x48342b].map(linear);
/** Hair: dark to fair, then red, then two greys. */
// deno-fmt-ignore
export const HAIRS = [0x1a1412, 0x2a1c14, 0x3f2a1c, 0x5d3d24, 0x7a5230, 0xa67c48, 0xcfae74, 0x8a3f1e, 0x8d8985, 0xcfcbc5].map(linear);
/** Irises: the two darkest first. */
export const IRISES = [0x3a2414, 0x4e3018, 0x6a4a24, 0x5c6b3a, 0x4f7391, 0x7592a8].map(linear);
/** Cloth. */
// deno-fmt-ignore
export const CLOTHES = [0x22262e, 0x1d2b4a, 0x5b1f24, 0xe6e2da, 0x39513c, 0x8a8f98, 0x2f6f8f, 0xb5532d, 0xd8c08a, 0x6d4a7a].map(linear);
/** Backgrounds. */
// deno-fmt-ignore
export const WALLS = [
  0x6d7680, 0xb9b2a4, 0x32404e, 0x5d7a58, 0x9fb6c4, 0x8a6a4c, 0x2a2522, 0xd9d4cb, 0x7c3f32, 0x44597a, 0xb79a5a, 0x567d8a,
].map(linear);

/** A skin that styles with few tones can draw. */
export const LIGHT_SKIN: Rgb = SKINS[1]!;

/** Draws one of a list. */
export function pick<T>(random: RandomSource, list: readonly T[]): T {
  return list[random.int(list.length)]!;
}
