/**
 * Schemes: colours in harmony, and the boldness of proportions.
 *
 * @module
 */
import type { RandomSource } from "../../../engine/rng.ts";
import { mix } from "../numbers.ts";
import { hsl } from "./hex_colours.ts";
import { type Scheme, weighted } from "./draws.ts";

/** Steps from the first hue, degrees. */
const HARMONIES = {
  one: [0],
  neighbours: [0, 25, -25],
  opposites: [0, 180],
  split: [0, 150, 210],
  three: [0, 120, 240],
  any: [0, 70, 160, 250, 310],
};

/** Draws a scheme. */
export function drawScheme(random: RandomSource): Scheme {
  const first = random.uniform() * 360;
  const harmony = weighted(random, { one: 2, neighbours: 3, opposites: 3, split: 2, three: 2, any: 2 });
  const hues = HARMONIES[harmony].map((step) => first + step + random.normal() * 6);
  const hue = () => hues[random.int(hues.length)]!;
  const u = (low: number, high: number) => mix(low, high, random.uniform());
  const dark = hsl(hue(), u(0, 0.7), random.uniform() < 0.7 ? u(0.02, 0.14) : u(0.14, 0.32));
  const light = hsl(random.uniform() < 0.5 ? u(30, 60) : hue(), u(0, 0.6), u(0.82, 1));
  const reversed = random.uniform() < 0.12; // light lines on dark ground
  const grounds = (): string => hsl(hue(), u(0, 0.9) * u(0.3, 1), u(0.08, 0.92));
  const count = 2 + random.int(7);
  const from = u(0.03, 0.2), to = u(0.8, 1);
  const tinted = random.uniform();
  // grey, one tint as in sepia, or hues that turn from the shadows to the lights
  const saturation = tinted < 0.25 ? 0 : u(0.1, tinted < 0.55 ? 0.5 : 0.95);
  const start = hue(), turn = tinted < 0.55 ? u(-15, 15) : u(-200, 200);
  const palette = Array.from({ length: count }, (_, i) => {
    const t = i / (count - 1);
    return hsl(start + turn * t, saturation * u(0.7, 1), mix(from, to, t));
  });
  return {
    hues,
    ink: reversed ? light : dark,
    paper: reversed ? dark : light,
    ground: [grounds(), grounds()],
    palette: random.uniform() < 0.1 ? palette.reverse() : palette,
    bold: u(0.3, 1.5),
  };
}
