/**
 * Recipes that are near no named style.
 *
 * @module
 */
import type { RandomSource } from "../../../engine/rng.ts";
import type { StyleColours, StyleRender } from "../styles.ts";
import { blendHex } from "./hex_colours.ts";
import { type Draw, hued, ratio, type Scheme, weighted, within } from "./draws.ts";
import { MANNERS } from "./manners.ts";
import { PROPORTIONS } from "./proportions.ts";
import { FREE, type Narrower, SIZES } from "./ranges.ts";
import { drawScheme } from "./scheme.ts";

/** Weights of a table's entries, some times a factor. */
function weightsOf(
  table: Readonly<Record<string, { weight: number }>>,
  factors: Readonly<Record<string, number>> = {},
): Record<string, number> {
  return Object.fromEntries(Object.entries(table).map(([name, { weight }]) => [name, weight * (factors[name] ?? 1)]));
}

/** Colours of one stone, with the shadows of what lies deeper. */
function stoneColours(random: RandomSource, scheme: Scheme): Partial<StyleColours> {
  const stone = hued(within(0, 0.6), within(0.45, 0.85))(random, scheme);
  const darker = (by: number) => [blendHex(stone, "#000000", by)];
  return {
    skin: [stone],
    hair: darker(0.12),
    lips: darker(0.08),
    iris: darker(0.5),
    cloth: darker(0.06),
    blush: 0,
  };
}

/** Draws a recipe from the tables, its proportions and its manner first. */
export function freeStyle(random: RandomSource): StyleRender {
  const scheme = drawScheme(random);
  const proportions = PROPORTIONS[weighted(random, weightsOf(PROPORTIONS))]!;
  const manner = weighted(random, weightsOf(MANNERS, proportions.manners));
  const narrower = [proportions.ranges, MANNERS[manner]!.ranges];
  const style = Object.fromEntries(
    Object.entries(FREE).map(([group, draws]) => {
      const ranges = Object.assign({}, draws, ...narrower.map((ranges) => ranges[group as keyof Narrower]));
      return [
        group,
        Object.fromEntries(
          Object.entries(ranges as Record<string, Draw<unknown>>).map(([key, draw]) => [key, draw(random, scheme)]),
        ),
      ];
    }),
  ) as unknown as StyleRender;
  style.medium.size = ratio(...SIZES[style.medium.kind])(random, scheme);
  if (manner === "sculpture") Object.assign(style.colours, stoneColours(random, scheme));
  return style;
}
