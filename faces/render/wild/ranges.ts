/**
 * The whole space of a style file's keys: a range for each.
 *
 * @module
 */
import { mix } from "../numbers.ts";
import type { KINDS, NOSES, StyleRender } from "../styles.ts";
import { hsl } from "./hex_colours.ts";
import { always, type Draw, hued, list, oneOf, ratio, shift, some, stray, whole, within } from "./draws.ts";

/** A kind of a group, such as a medium. */
export type Kind<Group extends keyof typeof KINDS> = (typeof KINDS)[Group][number];

type Draws<T> = { readonly [Key in keyof T]: Draw<T[Key]> };

/** Ranges of all keys but the size of a medium's parts, which {@linkcode SIZES} has. */
export type Table = {
  readonly [Group in keyof StyleRender]: Draws<Omit<StyleRender[Group], Group extends "medium" ? "size" : never>>;
};

/** Ranges of some keys, in place of those of {@linkcode FREE}. */
export type Narrower = { readonly [Group in keyof Table]?: Partial<Table[Group]> };

/** Sizes of the parts of each medium, shares of the image's side: what is larger hides eyes and mouths. */
export const SIZES: Readonly<Record<Kind<"medium">, readonly [least: number, most: number]>> = {
  none: [0.03, 0.03],
  oil: [0.014, 0.042],
  strokes: [0.018, 0.042],
  mosaic: [0.022, 0.036],
  pixels: [0.02, 0.034],
  glass: [0.09, 0.2],
  watercolour: [0.02, 0.045],
  points: [0.02, 0.036],
  stitches: [0.022, 0.034],
  facets: [0.08, 0.17],
  chalk: [0.018, 0.04],
};

/** Colours of skin: mostly natural, some pale, some of the scheme. */
export const skinColour: Draw<string> = (random, scheme) => {
  const way = random.uniform();
  if (way < 0.6) {
    return hsl(mix(14, 38, random.uniform()), mix(0.25, 0.85, random.uniform()), mix(0.5, 0.93, random.uniform()));
  }
  if (way < 0.8) {
    return hsl(mix(20, 60, random.uniform()), mix(0, 0.5, random.uniform()), mix(0.86, 0.98, random.uniform()));
  }
  return hued(within(0.1, 0.8), within(0.45, 0.9))(random, scheme);
};

const inkColour: Draw<string> = (_random, { ink }) => ink;

/** Ranges of all keys, in the order in which they are drawn. */
export const FREE: Table = {
  shape: {
    exaggerate: ratio(0.5, 2.6),
    vary: some(0.6, within(0, 0.25), 0),
    face_length: stray(0.08, 0.8, 1.3),
    head_width: stray(0.06, 0.8, 1.25),
    cranium: stray(0.06, 0.8, 1.25),
    jaw_width: stray(0.07, 0.75, 1.25),
    chin_width: stray(0.16, 0.5, 1.5),
    chin_length: shift(0.06, 0.3),
    cheek_forward: shift(0.06, 0.2),
    eye_scale: stray(0.16, 0.7, 1.9),
    eye_open: stray(0.18, 0.55, 1.8),
    eye_round: shift(0.06, 0.25),
    eye_spacing: stray(0.05, 0.85, 1.2),
    eye_tilt: shift(0.018, 0.07),
    eye_y: shift(0.03, 0.12),
    iris_scale: stray(0.12, 0.6, 1.4),
    pupil: within(0.25, 0.7),
    brow_thickness: stray(0.35, 0.3, 2.4),
    brow_length: stray(0.1, 0.6, 1.25),
    brow_arch: stray(0.25, 0.3, 2),
    brow_raise: shift(0.03, 0.12),
    brow_tilt: shift(0.025, 0.1),
    nose_length: stray(0.1, 0.7, 1.3),
    nose_width: stray(0.16, 0.55, 1.7),
    nose_depth: stray(0.18, 0.5, 1.7),
    nose_tip: shift(0.02, 0.08),
    nostril: some(0.75, within(0.4, 1.5), 0),
    mouth_width: stray(0.13, 0.55, 1.4),
    mouth_y: shift(0.03, 0.12),
    mouth_curve: shift(0.015, 0.08),
    mouth_open: stray(0.15, 0.7, 1.6),
    teeth: stray(0.3, 0.5, 2.4),
    lip_scale: stray(0.25, 0.4, 1.9),
    ear: stray(0.14, 0.6, 1.7),
    hair: stray(0.2, 0.5, 2),
    least_hair: some(0.3, within(0.04, 0.16), 0),
    light_skin: some(0.5, within(0, 1), 0),
    neck: stray(0.15, 0.5, 1.3),
    shoulders: stray(0.15, 0.5, 1.3),
    relief: within(0.3, 1.7),
  },
  colours: {
    skin: some(0.3, list(1, 3, skinColour), []),
    hair: some(0.35, list(1, 4, hued(within(0, 0.9), within(0.03, 0.6))), []),
    lips: some(0.3, list(1, 2, hued(within(0.2, 0.8), within(0.3, 0.6))), []),
    iris: some(0.3, list(1, 3, hued(within(0, 0.9), within(0.05, 0.5))), []),
    cloth: some(0.5, list(1, 4, hued(within(0, 0.9), within(0.05, 0.95))), []),
    blush: some(0.25, within(0, 2.5), 0),
    eye_white: some(0.25, within(0, 1), 1),
  },
  shade: {
    kind: oneOf<Kind<"shade">>({ smooth: 5, cel: 3, flat: 2 }),
    levels: whole(2, 5),
    softness: within(0, 0.25),
    plain: some(0.7, within(0, 1), 0),
    key: within(0.8, 1.5),
    ambient: within(0.6, 1.4),
    shine: some(0.7, within(0, 2), 0),
    hardness: ratio(0.7, 1.6),
    side: some(0.5, within(0, 1), 0),
    rim: some(0.2, within(0.2, 1.2), 0),
    rim_colour: hued(within(0, 1), within(0.4, 0.95)),
    shadow: hued(within(0, 0.45), within(0.22, 0.66)),
    edge_red: within(0, 0.6),
  },
  line: {
    outline: some(0.75, ratio(0.003, 0.016), 0),
    feature: some(0.8, ratio(0.0035, 0.01), 0),
    wobble: some(0.5, within(0, 0.011), 0),
    opacity: within(0.5, 1),
    colour: inkColour,
    mixes: some(0.3, within(0, 1), 0),
    folds: some(0.5, within(0, 1), 0),
    nose: oneOf<(typeof NOSES)[number]>({ whole: 5, ridge: 2, hook: 1, base: 1 }),
    jaw: (random) => random.uniform() < 0.94,
  },
  fill: {
    amount: some(0.4, within(0.5, 1), 1),
    saturation: (random) => random.uniform() < 0.2 ? 0.2 * random.uniform() : mix(0.4, 1.9, random.uniform()),
    contrast: within(0.8, 1.5),
    stray: some(0.15, within(0.01, 0.05), 0),
    brightness: within(-0.08, 0.12),
    hue_deg: some(0.2, within(-180, 180), 0),
    posterise: some(0.15, whole(3, 8), 0),
  },
  background: {
    kind: oneOf<Kind<"background">>({ scene: 8, paper: 3, gradient: 4, rays: 1, disc: 3, blotches: 3 }),
    colours: (_random, { ground }) => ground,
    vary: within(0, 0.25),
    cloudy: within(0, 1),
  },
  paper: {
    colour: (_random, { paper }) => paper,
    grain: some(0.4, within(0, 0.12), 0),
    bare: some(0.3, within(0.3, 1), 0),
    ragged: within(0, 0.35),
    weave: some(0.15, within(0.005, 0.03), 0),
    cracks: some(0.04, within(0.1, 0.5), 0),
  },
  marks: {
    kind: oneOf<Kind<"marks">>({ none: 12, hatch: 1, cross: 1, stipple: 1, halftone: 1.5, engrave: 1, cut: 1 }),
    spacing: ratio(0.012, 0.032),
    angle_deg: within(-90, 90),
    strength: within(0.4, 1),
    from: within(0.5, 1.1),
    colour: inkColour,
  },
  medium: {
    kind: oneOf<Kind<"medium">>({
      none: 10,
      oil: 3,
      strokes: 2,
      mosaic: 1,
      pixels: 1,
      glass: 1,
      watercolour: 2,
      points: 1,
      stitches: 0.7,
      facets: 1,
      chalk: 2,
    }),
    strength: within(0.6, 1),
    edge: within(0.05, 1),
    detail: within(0.3, 1),
    edge_colour: hued(within(0, 0.5), within(0.03, 0.5)),
  },
  palette: {
    kind: oneOf<Kind<"palette">>({ none: 6, lightness: 3, nearest: 1 }),
    colours: (_random, { palette }) => palette,
    mix: within(0.5, 1),
    dither: some(0.4, within(0, 0.15), 0),
    ground: (random) => random.uniform() < 0.6,
  },
  lens: {
    photo: some(0.25, within(0.1, 1), 0),
    vignette: some(0.25, within(0, 0.25), 0),
    fade: some(0.2, within(0, 0.12), 0),
  },
  landmarks: { eye_ends: always(0), near_edge: always(0), brow_ends: always(0), nose_side: always(0) },
};
