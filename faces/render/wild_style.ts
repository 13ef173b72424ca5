/**
 * The style `wild`: recipes drawn at random from the whole space of a style file's keys.
 *
 * Named styles are points of that space. A recipe is drawn in one of four ways: freely, near a named style, between
 * two, or between one and a free one. What is free follows the tables of this file, which have a range for each key. A
 * manner (a print, a drawing, a painting, a sculpture ...) narrows some of them and a kind of proportions (large eyes,
 * long faces ...) others, so that keys fit together.
 *
 * @module
 */
import type { RandomSource } from "../../engine/rng.ts";
import { clamp, mix, type PoseRange, type Shot } from "./person.ts";
import type { KINDS, NOSES, StyleRender } from "./styles.ts";

/** Properties of a whole image: its colours, which are in harmony, and the boldness of its proportions. */
interface Scheme {
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

type Draw<T> = (random: RandomSource, scheme: Scheme) => T;
type Draws<T> = { readonly [Key in keyof T]: Draw<T[Key]> };
/** Ranges of all keys but the size of a medium's parts, which {@linkcode SIZES} has. */
type Table = {
  readonly [Group in keyof StyleRender]: Draws<Omit<StyleRender[Group], Group extends "medium" ? "size" : never>>;
};
/** Ranges of some keys, in place of those of {@linkcode FREE}. */
type Narrower = { readonly [Group in keyof Table]?: Partial<Table[Group]> };

// --- draws ---

const always = <T>(value: T): Draw<T> => () => value;
const within = (low: number, high: number): Draw<number> => (random) => mix(low, high, random.uniform());
/** Even in the logarithm. */
const ratio = (low: number, high: number): Draw<number> => (random) => low * (high / low) ** random.uniform();
const whole = (low: number, high: number): Draw<number> => (random) => low + random.int(high - low + 1);
/** Draws in a share of the images. */
const some = <T>(share: number, draw: Draw<T>, otherwise: T): Draw<T> => (random, scheme) =>
  random.uniform() < share ? draw(random, scheme) : otherwise;
/** A factor whose logarithm has a standard deviation, times the scheme's boldness. */
const stray = (deviation: number, low: number, high: number): Draw<number> => (random, { bold }) =>
  clamp(Math.exp(random.normal() * deviation * bold), low, high);
/** A summand of a standard deviation, times the scheme's boldness. */
const shift = (deviation: number, limit: number): Draw<number> => (random, { bold }) =>
  clamp(random.normal() * deviation * bold, -limit, limit);
/** One of the names, by weight. */
const oneOf = <Name extends string>(weights: Readonly<Partial<Record<Name, number>>>): Draw<Name> => (random) =>
  weighted(random, weights);

function weighted<Name extends string>(random: RandomSource, weights: Readonly<Partial<Record<Name, number>>>): Name {
  const entries = Object.entries(weights) as [Name, number][];
  let left = random.uniform() * entries.reduce((sum, [, weight]) => sum + weight, 0);
  return (entries.find(([, weight]) => (left -= weight) < 0) ?? entries.at(-1)!)[0];
}

/** A colour by hue (degrees), saturation and lightness (0 to 1). */
function hsl(hue: number, saturation: number, lightness: number): string {
  const reach = saturation * Math.min(lightness, 1 - lightness);
  const channel = (n: number): string => {
    const k = (n + (((hue % 360) + 360) % 360) / 30) % 12;
    const value = lightness - reach * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return Math.round(value * 255).toString(16).padStart(2, "0");
  };
  return `#${channel(0)}${channel(8)}${channel(4)}`;
}
const channels = (hex: string): number[] => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
/** 0 to 1. */
function lightness(hex: string): number {
  const [r, g, b] = channels(hex);
  return (0.3 * r! + 0.59 * g! + 0.11 * b!) / 255;
}
function blendHex(a: string, b: string, t: number): string {
  const to = channels(b);
  return `#${channels(a).map((v, i) => Math.round(mix(v, to[i]!, t)).toString(16).padStart(2, "0")).join("")}`;
}
/** A colour of one of the scheme's hues. */
const hued = (saturation: Draw<number>, light: Draw<number>): Draw<string> => (random, scheme) =>
  hsl(scheme.hues[random.int(scheme.hues.length)]!, saturation(random, scheme), light(random, scheme));
const list = (least: number, most: number, draw: Draw<string>): Draw<string[]> => (random, scheme) =>
  Array.from({ length: whole(least, most)(random, scheme) }, () => draw(random, scheme));

/** Steps from the first hue, degrees. */
const HARMONIES = {
  one: [0],
  neighbours: [0, 25, -25],
  opposites: [0, 180],
  split: [0, 150, 210],
  three: [0, 120, 240],
  any: [0, 70, 160, 250, 310],
};

function drawScheme(random: RandomSource): Scheme {
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

// --- ranges ---

type Kind<Group extends keyof typeof KINDS> = (typeof KINDS)[Group][number];

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

const skinColour: Draw<string> = (random, scheme) => {
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

/** Ranges of all keys. */
const FREE: Table = {
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
};

/** Kinds of proportions: how often each is, its ranges, and factors on the weights of manners that go with it. */
const PROPORTIONS: Readonly<
  Record<string, { weight: number; ranges: Narrower; manners?: Readonly<Record<string, number>> }>
> = {
  natural: {
    weight: 3,
    ranges: {
      shape: {
        exaggerate: ratio(0.8, 1.3),
        eye_scale: within(0.95, 1.15),
        eye_open: within(0.9, 1.15),
        nose_depth: within(0.85, 1.15),
        vary: some(0.4, within(0, 0.1), 0),
      },
    },
  },
  strange: { weight: 3, ranges: {} },
  large_eyes: {
    weight: 1.3,
    ranges: {
      shape: {
        exaggerate: ratio(0.5, 1.2),
        eye_scale: within(1.3, 1.9),
        eye_open: within(1.1, 1.7),
        iris_scale: within(0.8, 1.35),
        nose_depth: within(0.5, 0.9),
        nose_width: within(0.55, 0.9),
        nose_length: within(0.8, 1),
        nostril: some(0.4, within(0.3, 1), 0),
        mouth_width: within(0.55, 0.95),
        lip_scale: within(0.4, 0.9),
        chin_width: within(0.5, 0.95),
        neck: within(0.55, 0.85),
        shoulders: within(0.6, 0.9),
        relief: within(0.2, 0.8),
      },
    },
  },
  long: { // mannerists, woodblock prints, masks
    weight: 1.2,
    ranges: {
      shape: {
        face_length: within(1.05, 1.28),
        head_width: within(0.85, 1),
        eye_scale: within(0.8, 1.15),
        eye_open: within(0.55, 1),
        eye_tilt: within(0, 0.05),
        brow_raise: within(0, 0.1),
        nose_length: within(1, 1.25),
        nose_tip: within(-0.02, 0.09),
        nose_width: within(0.6, 0.95),
        mouth_width: within(0.6, 0.95),
        lip_scale: within(0.6, 1.2),
        relief: within(0.2, 1),
      },
    },
  },
  actor: { // woodblock prints: narrow eyes under high brows, a small mouth, the nose one long line that hangs at its tip
    weight: 2.6,
    manners: { print: 4, drawing: 2, painting: 0.6 },
    ranges: {
      shape: {
        exaggerate: ratio(0.4, 1.2),
        face_length: within(1.02, 1.42),
        head_width: within(0.82, 1.12),
        jaw_width: within(0.85, 1.25),
        chin_width: within(0.5, 1.2),
        chin_length: within(-0.05, 0.25),
        cheek_forward: within(0, 0.4),
        eye_scale: within(0.45, 0.95),
        eye_open: within(0.32, 1),
        eye_spacing: within(0.72, 1),
        eye_tilt: within(-0.01, 0.09),
        eye_y: within(-0.12, 0.06),
        iris_scale: within(0.6, 1.1),
        brow_raise: within(0.03, 0.2),
        brow_tilt: within(-0.08, 0.14),
        brow_length: within(0.4, 1.05),
        brow_thickness: ratio(0.3, 1.9),
        brow_arch: ratio(0.4, 1.6),
        nose_length: within(1, 1.38),
        nose_width: within(0.45, 0.95),
        nose_depth: within(0.6, 1.35),
        nose_tip: within(-0.01, 0.14),
        nostril: some(0.4, within(0.3, 1), 0),
        mouth_y: within(-0.14, 0.05),
        mouth_width: within(0.3, 0.78),
        mouth_curve: within(-0.07, 0.03),
        lip_scale: within(0.4, 1.2),
        neck: within(0.7, 1.1),
        relief: within(0, 0.7),
        light_skin: within(0.6, 1),
      },
      colours: { eye_white: some(0.6, within(0, 0.6), 1) },
      line: {
        nose: oneOf<(typeof NOSES)[number]>({ ridge: 6, hook: 1, whole: 1 }),
        folds: some(0.4, within(0, 0.5), 0),
      },
    },
  },
  heavy: { // caricatures: huge noses and chins
    weight: 1.4,
    ranges: {
      shape: {
        exaggerate: ratio(1.6, 3),
        vary: within(0.1, 0.3),
        eye_scale: ratio(0.5, 1.2),
        nose_depth: within(1, 2.2),
        nose_width: within(1, 2.2),
        nose_length: within(0.9, 1.35),
        nose_tip: within(-0.06, 0.12),
        jaw_width: within(0.85, 1.4),
        chin_width: within(0.6, 1.7),
        chin_length: within(-0.05, 0.4),
        cheek_forward: within(-0.1, 0.25),
        ear: within(1, 1.9),
        neck: within(0.4, 0.9),
        shoulders: within(0.4, 0.9),
      },
    },
  },
  grin: { // caricatures of laughing people
    weight: 1.2,
    ranges: {
      shape: {
        exaggerate: ratio(1.2, 2.6),
        vary: within(0.05, 0.25),
        eye_scale: within(0.5, 1.1),
        nose_width: within(0.8, 1.7),
        mouth_width: within(1.1, 1.8),
        mouth_curve: within(-0.03, 0.08),
        mouth_open: within(1, 1.9),
        teeth: within(0.9, 3),
        jaw_width: within(0.95, 1.5),
        chin_length: within(0, 0.4),
        chin_width: within(0.7, 1.5),
        ear: within(0.9, 1.8),
        neck: within(0.4, 0.9),
      },
    },
  },
  wide: { // cartoons and caricatures whose heads are flat and broad
    weight: 0.8,
    ranges: {
      shape: {
        face_length: within(0.68, 0.95),
        head_width: within(1.15, 1.6),
        cranium: within(0.6, 1),
        jaw_width: within(0.85, 1.4),
        chin_width: within(0.7, 1.8),
        eye_scale: ratio(0.5, 1.8),
        eye_spacing: within(0.75, 1.2),
        mouth_width: within(0.6, 1.6),
        nose_width: within(0.8, 2.2),
        nose_depth: within(0.7, 1.9),
        neck: within(0.3, 1.1),
      },
    },
  },
  narrow: { // and those whose heads are narrow and high
    weight: 0.8,
    ranges: {
      shape: {
        face_length: within(1.05, 1.4),
        head_width: within(0.6, 0.88),
        cranium: within(0.9, 1.25),
        jaw_width: within(0.8, 1.5),
        chin_width: within(0.6, 1.7),
        chin_length: within(-0.05, 0.35),
        eye_scale: ratio(0.6, 1.6),
        nose_length: within(0.9, 1.4),
        nose_width: within(0.6, 1.6),
        nose_depth: within(0.8, 2),
        mouth_width: within(0.7, 1.6),
        neck: within(0.4, 0.9),
      },
    },
  },
  dots: { // cartoons: eyes are dots or ovals, brows float, noses are a line
    weight: 1.2,
    manners: { print: 3, drawing: 2, marks: 0.5 },
    ranges: {
      shape: {
        eye_scale: ratio(0.3, 0.6),
        eye_open: within(1.5, 3),
        eye_round: within(0.15, 0.3),
        eye_spacing: within(0.8, 1.2),
        eye_tilt: always(0),
        iris_scale: within(1.8, 2.6),
        pupil: always(1),
        brow_raise: within(-0.02, 0.2),
        brow_length: ratio(0.4, 1.1),
        brow_thickness: ratio(0.3, 1.8),
        nose_width: ratio(0.4, 1.8),
        nose_depth: ratio(0.4, 1.6),
        nostril: some(0.3, within(0.3, 1), 0),
        mouth_width: ratio(0.5, 1.4),
        mouth_curve: within(-0.04, 0.09),
        lip_scale: within(0.3, 0.8),
        relief: within(0, 0.8),
        neck: within(0.25, 0.9),
        shoulders: within(0.4, 1),
        light_skin: within(0.6, 1),
      },
      line: {
        nose: oneOf<(typeof NOSES)[number]>({ hook: 3, base: 3, ridge: 2, whole: 1 }),
        jaw: (random) => random.uniform() < 0.75,
      },
    },
  },
  goggle: { // cartoons: large round eyes, small pupils
    weight: 0.8,
    manners: { print: 3, drawing: 1.5 },
    ranges: {
      shape: {
        eye_scale: ratio(0.8, 1.6),
        eye_open: within(1.6, 2.7),
        eye_round: within(0.15, 0.3),
        eye_spacing: within(0.75, 1.1),
        eye_tilt: shift(0.008, 0.03),
        iris_scale: ratio(0.35, 0.9),
        pupil: within(0.4, 1),
        brow_thickness: ratio(0.3, 2),
        nose_width: ratio(0.6, 2.2),
        nose_depth: ratio(0.5, 2),
        mouth_width: ratio(0.6, 1.6),
        mouth_open: within(0.8, 1.6),
        teeth: within(0.6, 2.4),
        lip_scale: within(0.3, 0.9),
        chin_length: within(-0.05, 0.3),
        chin_width: ratio(0.5, 1.6),
        neck: within(0.25, 0.8),
        shoulders: within(0.4, 0.9),
      },
      line: { nose: oneOf<(typeof NOSES)[number]>({ hook: 2, base: 2, ridge: 2, whole: 2 }) },
    },
  },
};

const none = { kind: always("none" as const) };
const noLines = { outline: always(0), feature: always(0) };
const paperGround = { kind: oneOf<Kind<"background">>({ paper: 4, gradient: 1, disc: 1 }) };

/** Manners: how often each is, and its ranges. */
const MANNERS: Readonly<Record<string, { weight: number; ranges: Narrower }>> = {
  any: { weight: 2, ranges: {} },
  photograph: {
    weight: 1.2,
    ranges: {
      colours: { skin: always([]), hair: always([]), lips: always([]), iris: always([]), blush: always(0) },
      shade: { kind: always("smooth"), plain: always(0) },
      line: noLines,
      fill: { amount: always(1), posterise: always(0), hue_deg: some(0.1, within(-40, 40), 0) },
      background: { kind: oneOf<Kind<"background">>({ scene: 3, gradient: 1 }) },
      marks: none,
      medium: none,
      palette: { kind: oneOf<Kind<"palette">>({ none: 3, lightness: 1 }), dither: within(0.05, 0.15) },
      paper: { bare: some(0.1, within(0.3, 1), 0) },
      lens: { photo: within(0.3, 1) },
    },
  },
  painting: {
    weight: 3,
    ranges: {
      shade: { kind: oneOf<Kind<"shade">>({ smooth: 4, cel: 1 }), key: within(0.9, 1.6), ambient: within(0.4, 1.3) },
      line: { outline: some(0.35, ratio(0.003, 0.01), 0), feature: some(0.4, ratio(0.003, 0.008), 0) },
      marks: none,
      medium: {
        kind: oneOf<Kind<"medium">>({ oil: 3, strokes: 3, watercolour: 2, chalk: 2, points: 0.6, facets: 0.6 }),
      },
      palette: {
        kind: oneOf<Kind<"palette">>({ none: 4, lightness: 1 }),
        mix: within(0.3, 0.8),
        dither: within(0, 0.15),
      },
    },
  },
  portrait: { // old masters: true to life, few brows, small mouths, soft features, dark grounds, varnish
    weight: 2.2,
    ranges: {
      shape: {
        exaggerate: within(0.4, 1.1),
        vary: always(0),
        mouth_width: within(0.72, 1),
        lip_scale: within(0.6, 1.1),
        eye_scale: within(0.85, 1.1),
        brow_thickness: within(0.3, 1),
        relief: within(0.6, 1.2),
        light_skin: some(0.5, within(0.3, 1), 0),
      },
      colours: {
        skin: always([]),
        hair: always([]),
        lips: always([]),
        iris: always([]),
        blush: some(0.3, within(0, 1), 0),
      },
      shade: {
        kind: always("smooth"),
        plain: within(0, 0.5),
        key: within(0.9, 1.6),
        ambient: within(0.35, 1.1),
        shine: within(0, 0.8),
        side: some(0.5, within(0.3, 1), 0),
      },
      line: noLines,
      fill: {
        amount: always(1),
        posterise: always(0),
        hue_deg: some(0.15, within(-12, 12), 0),
        saturation: within(0.25, 1.1),
        contrast: within(0.7, 1.05),
        brightness: within(-0.07, 0.03),
      },
      background: { kind: oneOf<Kind<"background">>({ scene: 4, gradient: 2, blotches: 1 }) },
      marks: none,
      medium: {
        kind: oneOf<Kind<"medium">>({ oil: 5, strokes: 1.5, none: 2, watercolour: 0.5 }),
        strength: within(0.5, 1),
      },
      palette: {
        kind: oneOf<Kind<"palette">>({ none: 5, lightness: 1 }),
        mix: within(0.2, 0.5),
        dither: within(0.1, 0.2),
      },
      paper: {
        cracks: some(0.25, within(0.1, 0.5), 0),
        weave: some(0.4, within(0.005, 0.03), 0),
        bare: some(0.1, within(0.3, 1), 0),
      },
      lens: { photo: some(0.5, within(0, 0.5), 0), fade: some(0.4, within(0, 0.15), 0) },
    },
  },
  print: { // woodblocks, comics, cartoons, posters: flat colours in outlines
    weight: 4,
    ranges: {
      colours: {
        skin: some(0.6, list(1, 3, skinColour), []),
        cloth: some(0.8, list(1, 4, hued(within(0.1, 0.9), within(0.05, 0.9))), []),
      },
      shade: {
        kind: oneOf<Kind<"shade">>({ flat: 3, cel: 2 }),
        plain: within(0.7, 1),
        key: within(0.95, 1.1),
        shine: some(0.4, within(0, 1.5), 0),
      },
      line: { outline: ratio(0.003, 0.015), feature: ratio(0.004, 0.01), opacity: within(0.85, 1), mixes: always(0) },
      fill: { amount: some(0.2, within(0.7, 1), 1) },
      background: {
        kind: oneOf<Kind<"background">>({ scene: 3, paper: 2, gradient: 3, disc: 2, rays: 1, blotches: 1 }),
      },
      marks: {
        kind: oneOf<Kind<"marks">>({ none: 4, halftone: 1 }),
        strength: within(0.3, 0.8),
        from: within(0.5, 0.8),
      },
      medium: none,
      palette: { kind: oneOf<Kind<"palette">>({ none: 4, nearest: 1, lightness: 1 }) },
      lens: { photo: always(0) },
    },
  },
  drawing: { // lines on paper, with hardly any colour
    weight: 2,
    ranges: {
      shape: { light_skin: within(0.5, 1) },
      line: { outline: ratio(0.003, 0.012), feature: ratio(0.004, 0.009), opacity: within(0.75, 1), mixes: always(0) },
      fill: { amount: some(0.6, within(0, 0.45), 0) },
      background: paperGround,
      marks: { kind: oneOf<Kind<"marks">>({ none: 3, hatch: 1, cross: 1, stipple: 0.7, engrave: 0.7 }) },
      medium: { kind: oneOf<Kind<"medium">>({ none: 4, chalk: 1, watercolour: 1 }) },
      palette: none,
      lens: { photo: always(0) },
    },
  },
  marks: { // engravings, woodcuts, etchings: marks make the tones
    weight: 1.2,
    ranges: {
      shape: { light_skin: within(0.6, 1), relief: within(0.8, 1.7) },
      shade: { kind: oneOf<Kind<"shade">>({ smooth: 4, cel: 1 }), key: within(1.1, 1.6) },
      line: { outline: some(0.8, ratio(0.004, 0.011), 0), feature: ratio(0.004, 0.009), opacity: within(0.8, 1) },
      fill: { amount: within(0, 0.5), contrast: within(1, 1.5) },
      background: paperGround,
      marks: {
        kind: oneOf<Kind<"marks">>({ hatch: 1, cross: 1, stipple: 1, halftone: 1, engrave: 2, cut: 1 }),
        strength: within(0.7, 1),
        from: within(0.8, 1.1),
      },
      medium: none,
      palette: none,
    },
  },
  sculpture: { // one material
    weight: 1.2,
    ranges: {
      shape: { relief: within(0.9, 1.9) },
      shade: {
        kind: always("smooth"),
        plain: within(0.8, 1),
        shine: within(0, 3),
        side: within(0, 1),
        edge_red: always(0),
      },
      line: { outline: always(0), feature: some(0.2, ratio(0.003, 0.005), 0) },
      fill: { amount: always(1) },
      marks: none,
      medium: { kind: oneOf<Kind<"medium">>({ none: 4, oil: 1, facets: 1 }) },
      palette: {
        kind: oneOf<Kind<"palette">>({ lightness: 2, none: 1 }),
        mix: within(0.8, 1),
        dither: within(0.05, 0.2),
      },
    },
  },
  pieces: { // mosaics, glass, stitches, pixels: parts of one colour each
    weight: 1.5,
    ranges: {
      shape: { light_skin: within(0.3, 1) },
      shade: { kind: oneOf<Kind<"shade">>({ cel: 3, flat: 1, smooth: 1 }), plain: within(0.5, 1), levels: whole(2, 4) },
      line: { outline: ratio(0.006, 0.015), feature: ratio(0.006, 0.01), opacity: within(0.85, 1), wobble: always(0) },
      fill: { amount: always(1), saturation: within(0.8, 1.7) },
      marks: none,
      medium: {
        kind: oneOf<Kind<"medium">>({ mosaic: 1.5, pixels: 1, glass: 2, stitches: 1, facets: 1.5, points: 1 }),
        edge: within(0.05, 0.3),
      },
      lens: { photo: always(0) },
    },
  },
};

/** Weights of a table's entries, some times a factor. */
function weightsOf(
  table: Readonly<Record<string, { weight: number }>>,
  factors: Readonly<Record<string, number>> = {},
): Record<string, number> {
  return Object.fromEntries(Object.entries(table).map(([name, { weight }]) => [name, weight * (factors[name] ?? 1)]));
}

/** A recipe from the tables. */
function freeStyle(random: RandomSource): StyleRender {
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
  if (manner === "sculpture") {
    const { colours } = style;
    const stone = hued(within(0, 0.6), within(0.45, 0.85))(random, scheme);
    const darker = (by: number) => [blendHex(stone, "#000000", by)];
    Object.assign(colours, {
      skin: [stone],
      hair: darker(0.12),
      lips: darker(0.08),
      iris: darker(0.5),
      cloth: darker(0.06),
    });
    colours.blush = 0;
  }
  return style;
}

// --- mixtures ---

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
function mixStyles(a: StyleRender, b: StyleRender, t: number, random: RandomSource): StyleRender {
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

/** Widest borders of parts, as shares of their size: what is wider hides eyes and mouths. */
const WIDEST_BORDERS: Readonly<Partial<Record<Kind<"medium">, number>>> = { glass: 0.12, mosaic: 0.25 };

/** Media whose parts are so large that lines must be strong, and marks would be lost. */
const COARSE: ReadonlySet<Kind<"medium">> = new Set(["strokes", "mosaic", "pixels", "points", "stitches", "glass"]);

/** Keeps eyes, nose and mouth visible, whatever was drawn or mixed. */
function readable(style: StyleRender): StyleRender {
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
  const { shape, line } = freeStyle(random);
  return {
    ...style,
    shape: { ...shape, light_skin: style.shape.light_skin },
    line: { ...style.line, nose: line.nose },
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

/** Share of the wild images whose heads turn evenly over the range. */
const TURNED = 0.35;
/** Share of those with a nose of one line that are seen from the side, as in prints, and how far they turn, degrees. */
const THREE_QUARTERS = { share: 0.8, most_deg: 55 };
/** Share of the wild images that are seen from close by, where noses grow and ears recede, and the distances, eye widths. */
const CLOSE = { share: 0.15, distances: [3.4, 6] } as const;

/** Width of a style's mouth from which people laugh more often than in photographs, and the share of those who do. */
const LAUGHING = { mouth_width: 1.3, share: 0.5 };

/** A shot as wild images have it: more of them from the side and from close by, wide mouths laughing. */
export function stageShot(
  shot: Shot,
  { line, shape }: Pick<StyleRender, "line" | "shape">,
  random: RandomSource,
  { yaw_deg }: Pick<PoseRange, "yaw_deg">,
): Shot {
  const [turns, turn, closes, close] = [random.uniform(), 2 * random.uniform() - 1, random.uniform(), random.uniform()];
  const [ahead, pitch, roll] = shot.pose;
  let yaw = ahead;
  if (line.nose === "ridge") {
    const most = Math.min(yaw_deg, THREE_QUARTERS.most_deg);
    if (turns < THREE_QUARTERS.share) yaw = Math.sign(turn) * mix(0.4, 1, Math.abs(turn)) * most * Math.PI / 180;
  } else if (turns < TURNED) yaw = turn * yaw_deg * Math.PI / 180;
  const distance = closes < CLOSE.share ? mix(...CLOSE.distances, close) : shot.distance;
  const staged: Shot = { ...shot, pose: [yaw, pitch, roll], distance };
  const [laughs, amount] = [random.uniform(), random.uniform()];
  if (shape.mouth_width < LAUGHING.mouth_width || laughs >= LAUGHING.share) return staged;
  return { ...staged, open: 0.3 + 0.6 * amount, smile: 0.4 + 0.6 * amount, teeth: 0.8 + 0.2 * amount };
}
