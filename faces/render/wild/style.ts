/**
 * The style `wild`: recipes drawn at random from the whole space of a style file's keys.
 *
 * Named styles are points of that space. A recipe is drawn in one of four ways: freely, near a named style, between
 * two, or between one and a free one. What is free follows `ranges.ts`, which has a range for each key. A manner (a print,
 * a drawing, a painting, a sculpture ...) narrows some of them and a kind of proportions (large eyes, long faces ...)
 * others, so that keys fit together.
 *
 * @module
 */
import type { RandomSource } from "../../../engine/rng.ts";
import { clamp } from "../numbers.ts";
import type { StyleRender } from "../styles.ts";
import { blendHex, lightness } from "./hex_colours.ts";
import { freeStyle } from "./free_style.ts";
import { mixStyles } from "./mixture.ts";
import { readable } from "./readable.ts";
import { drawScheme } from "./scheme.ts";

/** Share of the images from named styles that have other inks, papers and grounds than the style. */
const RECOLOURED = 0.4;

/** A named style, or the same in other inks, of the lightness of its own. */
function recoloured(style: StyleRender, random: RandomSource): StyleRender {
  if (random.uniform() >= RECOLOURED) return style;
  const { ink, paper, ground, palette } = drawScheme(random);
  const ramp = palette.sort((a, b) => lightness(a) - lightness(b));
  const alike = (colour: string): string => {
    const at = clamp(lightness(colour), 0, 1) * (ramp.length - 1), i = Math.min(Math.floor(at), ramp.length - 2);
    return blendHex(ramp[i]!, ramp[i + 1]!, at - i);
  };
  return {
    ...style,
    line: { ...style.line, colour: ink },
    marks: { ...style.marks, colour: ink },
    paper: { ...style.paper, colour: paper },
    background: {
      ...style.background,
      colours: ground,
      ...random.uniform() < 0.4 && { kind: "scene" as const },
    },
    palette: { ...style.palette, colours: style.palette.colours.map(alike) },
  };
}

/** Share of the images from named styles that have the proportions of a free recipe, and the nose that goes with them. */
const REPROPORTIONED = 0.4;

/** A recipe from named styles, or the same with other proportions. */
function reproportioned(style: StyleRender, random: RandomSource): StyleRender {
  if (random.uniform() >= REPROPORTIONED) return style;
  const { shape, line, landmarks } = freeStyle(random);
  return {
    ...style,
    shape: { ...shape, light_skin: style.shape.light_skin },
    line: { ...style.line, nose: line.nose },
    // Of shapes, not of media.
    landmarks: {
      ...style.landmarks,
      near_edge: Math.max(style.landmarks.near_edge, landmarks.near_edge),
      brow_ends: Math.max(style.landmarks.brow_ends, landmarks.brow_ends),
      nose_side: Math.max(style.landmarks.nose_side, landmarks.nose_side),
    },
  };
}

/**
 * Draws a recipe.
 *
 * @param random A generator at the image's own place: the same place gives the same recipe.
 * @param named Recipes of named styles, which it may be near or between; none: all are free.
 * @returns The recipe, each value within the limits of a style file.
 */
export function drawWildStyle(random: RandomSource, named: readonly StyleRender[]): StyleRender {
  const way = random.uniform();
  if (named.length === 0 || way < 0.45) return readable(freeStyle(random));
  const pick = (): StyleRender => recoloured(named[random.int(named.length)]!, random);
  const mixed = way < 0.7
    ? mixStyles(pick(), freeStyle(random), 0.35 * random.uniform(), random)
    : mixStyles(pick(), way < 0.9 ? pick() : freeStyle(random), random.uniform(), random);
  return readable(reproportioned(mixed, random));
}
