/**
 * Limits that depend on several keys: eyes, nose and mouth stay visible, whatever was drawn or mixed.
 *
 * @module
 */
import { clamp } from "../numbers.ts";
import type { StyleRender } from "../styles.ts";
import { blendHex, lightness } from "./hex_colours.ts";
import { type Kind, SIZES } from "./ranges.ts";

/** Widest borders of parts, as shares of their size: what is wider hides eyes and mouths. */
const WIDEST_BORDERS: Readonly<Partial<Record<Kind<"medium">, number>>> = { glass: 0.12, mosaic: 0.25 };

/** Media whose parts are so large that lines must be strong, and marks would be lost. */
const COARSE: ReadonlySet<Kind<"medium">> = new Set(["strokes", "mosaic", "pixels", "points", "stitches", "glass"]);

/** Changes a recipe so that eyes, nose and mouth are visible, and returns it. */
export function readable(style: StyleRender): StyleRender {
  const { shape, shade, line, fill, paper, marks, medium, palette } = style;
  const apart = (colour: string, least: number): string => {
    const behind = lightness(paper.colour);
    if (Math.abs(lightness(colour) - behind) >= least) return colour;
    return blendHex(colour, behind > 0.5 ? "#000000" : "#ffffff", 0.75);
  };
  const [least, most] = SIZES[medium.kind];
  medium.size = clamp(medium.size, least, most);
  medium.edge = Math.min(medium.edge, WIDEST_BORDERS[medium.kind] ?? 1);
  const coarse = COARSE.has(medium.kind);
  if (coarse) marks.kind = "none";
  const marked = marks.kind !== "none" && marks.strength > 0.5;
  const few = palette.kind !== "none" && palette.colours.length < 4;
  // Where colour hardly covers the paper, lines and marks must; where nothing is modelled, lines must.
  const bare = fill.amount < 0.55;
  if (bare && marked) marks.colour = apart(marks.colour, 0.45);
  if (fill.amount < 0.75 || shade.kind === "flat" || coarse || few) {
    line.feature = Math.max(line.feature, coarse ? 0.0065 : 0.0042);
    line.opacity = Math.max(line.opacity, 0.75);
    line.mixes = bare ? 0 : line.mixes;
    // Dark lines are not seen on dark skin, and few tones have none for it.
    if (lightness(line.colour) < 0.5) shape.light_skin = Math.max(shape.light_skin, 0.75);
  } else if (marked || palette.kind !== "none") shape.light_skin = Math.max(shape.light_skin, 0.5);
  if (bare) line.colour = apart(line.colour, 0.45);
  if (shade.kind === "smooth") {
    const light = shade.key + 0.8 * shade.ambient;
    const factor = clamp(light, 1.35, 2.5) / light;
    shade.key *= factor;
    shade.ambient *= factor;
  }
  if (palette.kind === "none") palette.colours = [];
  return style;
}
