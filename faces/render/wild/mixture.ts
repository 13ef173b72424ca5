/**
 * Recipes between two.
 *
 * @module
 */
import type { RandomSource } from "../../../engine/rng.ts";
import { clamp, mix } from "../numbers.ts";
import type { StyleRender } from "../styles.ts";
import { blendHex } from "./hex_colours.ts";

/** A value between two: numbers and colours are mixed, anything else is one of them. */
function mixValue(a: unknown, b: unknown, t: number, random: RandomSource): unknown {
  if (typeof a === "number" && typeof b === "number") return mix(a, b, t);
  const colours = typeof a === "string" && typeof b === "string" && a.startsWith("#");
  if (colours) return blendHex(a, b as string, t);
  return random.uniform() < t ? b : a;
}

/** Keys whose values between mean something else. */
const PICKED = new Set(["posterise", "hue_deg", "angle_deg"]);

/**
 * A recipe between two. Groups that have a kind are mixed where the kinds are one and taken from one of both where they
 * are not, since their other keys belong to the kind.
 */
export function mixStyles(a: StyleRender, b: StyleRender, t: number, random: RandomSource): StyleRender {
  const mixed = structuredClone(a);
  for (const group of Object.keys(a) as (keyof StyleRender)[]) {
    // Groups mostly go together, and some go their own way.
    const share = random.uniform() < 0.7 ? t : clamp(t + 0.5 * (random.uniform() - 0.5), 0, 1);
    const [from, to] = [a[group], b[group]] as [Record<string, unknown>, Record<string, unknown>];
    if (from.kind !== to.kind) {
      if (random.uniform() < share) Object.assign(mixed[group], to);
      continue;
    }
    for (const key of Object.keys(from)) {
      const value = PICKED.has(key)
        ? (random.uniform() < share ? to[key] : from[key])
        : mixValue(from[key], to[key], share, random);
      Object.assign(mixed[group], { [key]: key === "levels" ? Math.round(value as number) : value });
    }
  }
  return mixed;
}
