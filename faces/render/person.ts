/**
 * People and images of them as numbers, drawn at random.
 *
 * Lengths are in *eye widths of the mean face* (outer corner to outer corner = 1): x to the right of the image, y down,
 * z to the camera, origin between the eyes.
 *
 * @module
 */

import type { RandomSource } from "../../engine/rng.ts";

/** Linear-light red, green and blue. */
export type Rgb = readonly [red: number, green: number, blue: number];

const TRAITS = [
  "face_width",
  "face_length",
  "jaw_width",
  "chin_width",
  "chin_size",
  "forehead",
  "cheekbone",
  "cheek",
  "eye_size",
  "eye_spacing",
  "eye_tilt",
  "eye_open",
  "brow_height",
  "brow_arch",
  "brow_thickness",
  "brow_tilt",
  "brow_ridge",
  "nose_length",
  "nose_width",
  "nose_depth",
  "nose_tip",
  "nose_bridge",
  "mouth_width",
  "mouth_height",
  "upper_lip",
  "lower_lip",
  "cupid",
  "ear",
  "nose_hump",
  "nostril_flare",
  "eye_round",
  "eye_depth",
  "jaw_square",
  "cheek_width",
  "temple",
] as const;

/** Standard deviations of the bends of an ordinary head, see {@link Person.bends}. */
const BENDS = [0.012, 0.012, 0.015, 0.03, 0.015, 0.008, 0.01, 0.03];

/** A trait of the shape of a face. */
export type Trait = typeof TRAITS[number];

/** A person: the same over all images of them. */
export interface Person {
  /** Shape, each in standard deviations from the mean face. */
  shape: Record<Trait, number>;
  /** 0 to 1: lines and loose skin. */
  age: number;
  /** Colour of the skin. */
  skin: Rgb;
  /** Colour of the lips. */
  lip: Rgb;
  /** Colour of the irises. */
  iris: Rgb;
  /** Colour of the hair. */
  hair: Rgb;
  /** Thickness of the hair (0: bald), front hairline y, side hairline y, lowest y (0: does not hang). */
  cut: readonly [thickness: number, front: number, side: number, length: number];
  /** Height and frequency of curls, x of the parting (0: none). */
  curls: readonly [height: number, frequency: number, parting: number];
  /** Beard, moustache (0 to 1: stubble to full), and how long (0 stubble, 1 hair). */
  beard: readonly [beard: number, moustache: number, length: number];
  /** Hair before the face: how far it falls forward at the sides, difference of the sides, slope and raggedness of a fringe. */
  fall: readonly [forward: number, sides: number, slope: number, ragged: number];
  /** Darkness of the brows, 0 to 1. */
  brow: number;
  /** Height of the crease over the eye, its strength, bag under the eye, strength and slope of the fold beyond the corner. */
  lids: readonly [crease: number, strength: number, bag: number, fold: number, slope: number];
  /** Freckles, redness, spectacles (0: none, to 1: square), grain of the skin. */
  marks: readonly [freckles: number, redness: number, glasses: number, grain: number];
  /** Spectacles: half of the rims' thickness, tint 0 to 1, reflection 0 to 1, size. */
  lenses: readonly [rim: number, tint: number, reflection: number, size: number];
  /** Colour of the rims. */
  rims: Rgb;
  /** Shine of the skin, 0 to 0.3. */
  shine: number;
  /** Length of the lashes 0 to 1, the colour on the lids or null, how far lips stand out 0 to 1. */
  makeup: { lash: number; shadow: Rgb | null; lips: number };
  /** Half-width of the neck. */
  neck: number;
  /** Fat under the chin 0 to 1, softness of the angle below the jaw, length of a hanging beard (0: none), tone of the neck. */
  throat: readonly [fat: number, softness: number, beard: number, tone: number];
  /** Beyond the outer eye corner: length of lashes or a painted wing, its slope, its darkness 0 to 1, strength of lines. */
  corner: readonly [length: number, slope: number, darkness: number, lines: number];
  /** Bends of the whole head: slant, shear, sway, taper, lopsidedness, nose aside, mouth aside, depth. */
  bends: readonly number[];
}

/** A light besides the key light. */
export interface Light {
  /** To the light, in camera space. */
  to: Rgb;
  /** 0: lights what faces it; 1: reaches all round. */
  wrap: number;
  /** Colour times strength. */
  colour: Rgb;
}

/** Kind of a hat that frames the face: a hood, bonnet or veil. */
export const HOOD = 4;

/** Hat, scarf, collar and hand of an image. */
export interface Worn {
  /** Kind (0 none, 1 knitted, 2 peaked, 3 brimmed, 4 a hood), height of its edge, tilt, size. */
  hat: readonly [kind: number, edge: number, tilt: number, size: number];
  /** Height of the scarf's upper edge; 0: none. */
  scarf: number;
  /** Side of a hand at the jaw (-1, 1; 0: none), height of its fingertips, how far it leans in. */
  hand: readonly [side: number, height: number, lean: number];
  /** Colour of hat and scarf. */
  colour: Rgb;
  /** Kind (0 none, 1 polo neck, 2 shirt, 3 ruff), its top below the chin, size; half-width of a hood's opening. */
  collar: readonly [kind: number, top: number, size: number, opening: number];
  /** Colour of the collar. */
  linen: Rgb;
}

/** One image of a person: expression, pose, light, camera and surroundings. */
export interface Shot {
  /** 0 to 1, how far the jaw has dropped. */
  open: number;
  /** -1 to 1. */
  smile: number;
  /** -1.2 (a pout) to 1, how wide beside the smile. */
  stretch: number;
  /** 0 to 1, how far teeth show when the mouth is open. */
  teeth: number;
  /** Raises brows, eye widths. */
  brow_raise: number;
  /** -1 to 1: inner ends down. */
  frown: number;
  /** Factor on the opening of the left and right eye. */
  eyes_open: readonly [left: number, right: number];
  /** -1 to 1 each. */
  gaze: readonly [x: number, y: number];
  /** Left-right difference of brows and mouth, -2 to 2. */
  skew: number;
  /** Turn to the side, nod, tilt; radians. */
  pose: readonly [yaw: number, pitch: number, roll: number];
  /** Distance of the camera, eye widths. */
  distance: number;
  /** To the key light, in camera space. */
  light: Rgb;
  /** Sharpness of the shadows of the key light: 1 soft, 12 hard. */
  sharpness: number;
  /** Two more lights without shadows: direction in camera space, how far each reaches round, colour. */
  lights: readonly [Light, Light];
  /** Light from below: what the ground throws back. */
  ground: Rgb;
  /** Things worn or held. */
  worn: Worn;
  /** Number of loose strands of hair before the face. */
  strands: number;
  /** Contrast (0 to 1) and saturation (factor) of the photograph. */
  film: readonly [contrast: number, saturation: number];
  /** Key light's colour, ambient colour, strength of the rim light. */
  key: Rgb;
  /** Ambient light's colour. */
  ambient: Rgb;
  /** Strength of light from behind. */
  rim: number;
  /** Kind of background (0 gradient, 1 clouds, 2 shapes, 3 patches, 4 clutter) and its two colours. */
  background: { kind: number; low: Rgb; high: Rgb };
  /** Clothes: two colours and stripes an eye width (0: none). */
  cloth: { colour: Rgb; second: Rgb; stripes: number };
  /** Blur (pixels), noise, exposure, warmth of the photograph. */
  lens: readonly [blur: number, noise: number, exposure: number, warmth: number];
  /** True for a photograph in black and white. */
  grey: boolean;
  /** Side of the crop over 1.54 of the landmarks' box, and its shift as a share of the side. */
  frame: readonly [scale: number, x: number, y: number];
  /** For noise patterns: 0 to 999. */
  seed: number;
}

/** All that is needed to draw one image. */
export interface HeadParams {
  /** Who. */
  person: Person;
  /** The image of them. */
  shot: Shot;
}

/** Range of the poses, degrees each way. */
export interface PoseRange {
  /** To the sides. */
  yaw_deg: number;
  /** Up and down. */
  pitch_deg: number;
  /** In the plane of the image. */
  roll_deg: number;
  /** True if turns have the heavy tails of photographs at large: most are small, some reach the limits. */
  heavy?: boolean;
}

/** Poses of the paper's data: mostly frontal, up to half profile. */
export const DEFAULT_POSE: PoseRange = { yaw_deg: 40, pitch_deg: 18, roll_deg: 18 };

/** Poses of photographs at large: from the front to near profile. */
export const WIDE_POSE: PoseRange = { yaw_deg: 75, pitch_deg: 30, roll_deg: 40, heavy: true };

/** Limits x to [low, high]. */
export const clamp = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);
/** Goes from a (t = 0) to b (t = 1). */
export const mix = (a: number, b: number, t: number): number => a + (b - a) * t;
/** A colour 0xrrggbb in linear light. */
export const linear = (hex: number): Rgb => {
  const channel = (shift: number): number => (((hex >> shift) & 255) / 255) ** 2.2;
  return [channel(16), channel(8), channel(0)];
};
/** Goes from one colour to another. */
export const blend = (a: Rgb, b: Rgb, t: number): Rgb => [mix(a[0], b[0], t), mix(a[1], b[1], t), mix(a[2], b[2], t)];
/** Makes a colour lighter or darker. */
export const scale = (a: Rgb, by: number): Rgb => [a[0] * by, a[1] * by, a[2] * by];

const SKINS = [0xf1dace, 0xe7c4b2, 0xd6ac96, 0xc0937c, 0xa37a64, 0x815e4c, 0x634739, 0x48342b].map(linear);
// deno-fmt-ignore
const HAIRS = [0x1a1412, 0x2a1c14, 0x3f2a1c, 0x5d3d24, 0x7a5230, 0xa67c48, 0xcfae74, 0x8a3f1e, 0x8d8985, 0xcfcbc5].map(linear);
const IRISES = [0x3a2414, 0x4e3018, 0x6a4a24, 0x5c6b3a, 0x4f7391, 0x7592a8].map(linear);
// deno-fmt-ignore
const CLOTHES = [0x22262e, 0x1d2b4a, 0x5b1f24, 0xe6e2da, 0x39513c, 0x8a8f98, 0x2f6f8f, 0xb5532d, 0xd8c08a, 0x6d4a7a].map(linear);
// deno-fmt-ignore
const WALLS = [
  0x6d7680, 0xb9b2a4, 0x32404e, 0x5d7a58, 0x9fb6c4, 0x8a6a4c, 0x2a2522, 0xd9d4cb, 0x7c3f32, 0x44597a, 0xb79a5a, 0x567d8a,
].map(linear);

/** A skin that styles with few tones can draw. */
export const LIGHT_SKIN: Rgb = SKINS[1]!;

function pick<T>(random: RandomSource, list: readonly T[]): T {
  return list[random.int(list.length)]!;
}

/**
 * Draws a person.
 *
 * @param random A generator at the person's own place: the same place gives the same person.
 */
export function samplePerson(random: RandomSource): Person {
  const shape = {} as Record<Trait, number>;
  // Most people are near the mean face; some are far from it, up to caricature.
  const rare = random.uniform();
  const reach = rare < 0.55 ? 1.1 : rare < 0.87 ? 1.5 : 2.2;
  for (const trait of TRAITS) shape[trait] = clamp(reach * random.normal(), -3.2, 3.2);
  const bends = BENDS.map((deviation) => deviation * reach ** 1.5 * random.normal());
  const feminine = random.uniform() < 0.5;
  if (feminine) {
    shape.jaw_width -= 0.7;
    shape.chin_width -= 0.5;
    shape.brow_ridge -= 0.9;
    shape.brow_thickness -= 0.8;
    shape.brow_arch += 0.5;
    shape.eye_size += 0.4;
    shape.upper_lip += 0.5;
    shape.lower_lip += 0.4;
    shape.nose_width -= 0.4;
  } else {
    shape.jaw_width += 0.5;
    shape.brow_ridge += 0.6;
    shape.brow_thickness += 0.5;
    shape.chin_size += 0.3;
  }
  const age = clamp(random.uniform() ** 1.6, 0, 1);
  const depth = clamp(random.uniform() ** 1.5, 0, 0.999) * (SKINS.length - 1);
  const at = Math.floor(depth);
  const [pink, sallow] = [0.05 * random.normal(), 0.07 * random.normal()];
  const tone = blend(SKINS[at]!, SKINS[at + 1]!, depth - at);
  const skin: Rgb = [tone[0] * (1 + pink), tone[1], tone[2] * (1 - sallow)];
  const dark = depth > 3.5;
  let hair = pick(random, dark ? HAIRS.slice(0, 3) : HAIRS.slice(0, 8));
  if (random.uniform() < age * age) hair = blend(hair, pick(random, HAIRS.slice(8)), 0.4 + 0.6 * random.uniform());
  const painted = feminine && random.uniform() < 0.45;
  const redden: Rgb = painted ? linear(pick(random, [0xb0303a, 0xc2566a, 0x8e2436])) : linear(0xb05a55);
  const lip = blend(
    blend(skin, redden, (painted ? 0.45 : 0.25) + 0.3 * random.uniform()),
    scale(skin, 0.55),
    dark ? 0.4 : 0.1,
  );
  const front = -0.63 - 0.05 * random.normal() + 0.04 * shape.forehead -
    (feminine ? 0 : 0.22 * age * random.uniform());
  const thick = 0.05 + 0.11 * random.uniform();
  const kind = random.uniform();
  let cut: Person["cut"];
  if (!feminine) {
    if (kind < 0.08) cut = [0, 0, 0, 0];
    else if (kind < 0.8) cut = [thick * (kind < 0.35 ? 0.5 : 1), front, mix(0.05, 0.25, random.uniform()), 0];
    else cut = [thick + 0.03, front, 0.35, mix(0.5, 1.5, random.uniform())];
  } else if (kind < 0.2) cut = [thick, front, 0.25, 0];
  else cut = [thick + 0.02, front, 0.4, mix(0.7, 2.2, random.uniform())];
  let fall: [number, number, number, number] = [0, 0, 0, 0.012 + 0.02 * random.uniform()];
  if (cut[0] > 0 && random.uniform() < (feminine ? 0.4 : 0.25)) { // a fringe, to over the brows
    cut = [cut[0], -0.52 + 0.42 * random.uniform() ** 0.8, cut[2], cut[3]];
    const swept = random.uniform() < 0.6;
    fall = [0, 0, swept ? 0.25 * random.normal() : 0, 0.02 + 0.08 * random.uniform()];
  }
  if (cut[3] > 0.3 && random.uniform() < 0.65) { // hair beside the face, to over the cheeks and the jaw
    cut = [cut[0], cut[1], mix(0.5, 1.6, random.uniform()), cut[3]];
    fall = [0.5 * random.uniform(), clamp(0.5 * random.normal(), -1, 1), fall[2], fall[3]];
  }
  if (dark && random.uniform() < 0.3) cut = [cut[0] > 0 ? 0.12 + 0.2 * random.uniform() : 0, cut[1], cut[2], 0];
  const curly = dark || random.uniform() < 0.25;
  const curls: Person["curls"] = [
    curly ? 0.03 + 0.03 * random.uniform() : 0.012,
    curly ? 5 + 5 * random.uniform() : 3,
    cut[1] < -0.5 && random.uniform() < 0.5 ? 0.25 * (random.int(2) * 2 - 1) * (0.4 + random.uniform()) : 0,
  ];
  const shaves = feminine ? 1 : random.uniform();
  const full = 0.6 + 0.4 * random.uniform();
  const beard: Person["beard"] = feminine || shaves < 0.4
    ? [feminine ? 0 : 0.25 * random.uniform(), feminine ? 0 : 0.2 * random.uniform(), 0]
    : shaves < 0.65
    ? [0.7, 0.65, 0.15 * random.uniform()]
    : shaves < 0.88
    ? [full, full, 0.6 + 0.4 * random.uniform()]
    : [0.15, full, 0.8];
  return {
    shape,
    age,
    skin,
    lip,
    iris: pick(random, dark || random.uniform() < 0.4 ? IRISES.slice(0, 2) : IRISES),
    hair,
    cut,
    curls,
    beard,
    fall,
    brow: browDarkness(random.uniform()),
    lids: [
      random.uniform() < 0.25 ? 0.004 : 0.015 + 0.035 * random.uniform(),
      0.15 + 0.6 * random.uniform(),
      clamp(0.25 * Math.abs(random.normal()) + 0.6 * age * random.uniform(), 0, 1),
      0.55 * random.uniform() ** 1.5 + 0.3 * age,
      -0.25 + 0.6 * random.normal(),
    ],
    marks: [
      random.uniform() < 0.25 ? random.uniform() : 0,
      0.15 + 0.5 * random.uniform(),
      random.uniform() < 0.15 ? 0.2 + 0.8 * random.uniform() : 0,
      0.4 + 0.6 * random.uniform() + 0.4 * age,
    ],
    lenses: [
      0.004 + 0.022 * random.uniform() ** 1.6,
      random.uniform() < 0.22 ? 0.5 + 0.5 * random.uniform() : 0.15 * random.uniform(),
      random.uniform() < 0.5 ? 0.5 * random.uniform() : 0,
      0.85 + 0.35 * random.uniform(),
    ],
    shine: 0.04 + 0.18 * random.uniform() ** 1.5,
    rims: random.uniform() < 0.6 ? [0.02, 0.018, 0.02] : scale(pick(random, CLOTHES), 0.6),
    makeup: {
      lash: feminine ? 0.35 + 0.6 * random.uniform() : 0.15 * random.uniform(),
      shadow: feminine && random.uniform() < 0.3
        ? linear(pick(random, [0x5b4a6a, 0x4b3b35, 0x7a5560, 0x3c5566]))
        : null,
      lips: painted ? 0.6 + 0.4 * random.uniform() : 0.5 * random.uniform() + (feminine ? 0.25 : 0.05),
    },
    bends,
    ...sampleThroat(random, { feminine, age, beard, cheek: shape.cheek }),
    corner: sampleCorner(random, { feminine, age }),
  };
}

/** Darkness of the brows from a share of people: those of some can hardly be seen. */
function browDarkness(share: number): number {
  return share < 0.07 ? 0.12 + 4 * share : 0.5 + 0.5 * share ** 0.7;
}

/** Draws the neck, and the angle between it and the jaw: sharp, soft, hidden by fat or by a beard. */
function sampleThroat(
  random: RandomSource,
  { feminine, age, beard, cheek }: { feminine: boolean; age: number; beard: Person["beard"]; cheek: number },
): Pick<Person, "neck" | "throat"> {
  const narrow = (feminine ? 0.49 : 0.57) + 0.1 * random.uniform() + 0.01 * cheek;
  const heavy = clamp(0.3 * Math.abs(random.normal()) + 0.35 * age * random.uniform() + 0.12 * cheek, 0, 1);
  const fat = random.uniform() < 0.4 ? 0 : heavy;
  const hangs = beard[0] > 0.5 && beard[2] > 0.5 && random.uniform() < 0.45;
  return {
    neck: narrow + 0.14 * random.uniform() ** 1.5 + 0.06 * fat,
    throat: [
      fat,
      0.05 + 0.22 * random.uniform() ** 2 + 0.16 * fat,
      hangs ? 0.05 + 0.75 * random.uniform() ** 1.5 : 0,
      clamp(0.97 + 0.06 * random.normal(), 0.8, 1.1),
    ],
  };
}

/** Draws what goes on beyond the outer eye corner: lashes, a painted wing, lines. */
function sampleCorner(
  random: RandomSource,
  { feminine, age }: { feminine: boolean; age: number },
): Person["corner"] {
  const kind = random.uniform();
  const [long, steep, dark] = [random.uniform(), random.uniform(), random.uniform()];
  const lines = 0.14 * random.uniform() ** 2 + 0.12 * age * random.uniform();
  if (feminine && kind < 0.35) return [0.03 + 0.11 * long ** 1.5, -0.1 + 0.7 * steep, 0.6 + 0.4 * dark, lines];
  if (kind < 0.8) return [0.02 + 0.06 * long, -0.35 + 0.8 * steep, (feminine ? 0.25 : 0.1) + 0.35 * dark, lines];
  return [0, 0, 0, lines];
}

/**
 * Draws an image of someone: expression, pose, light and surroundings.
 *
 * @param random A generator at the image's own place.
 * @param pose How far the head turns.
 */
export function sampleShot(random: RandomSource, pose: PoseRange = DEFAULT_POSE): Shot {
  return staged(dressed(plainShot(random, pose), random), random);
}

/** Puts a collar, a hood or loose strands of hair on some. */
function dressed(shot: Shot, random: RandomSource): Shot {
  const what = random.uniform(), at = random.uniform(), wide = random.uniform();
  const linen = random.uniform() < 0.6
    ? scale([1, 0.96, 0.88], 0.55 + 0.35 * random.uniform())
    : scale(pick(random, CLOTHES), 0.5 + 0.6 * random.uniform());
  const tilt = 0.08 * random.normal();
  const strands = random.uniform() < 0.1 ? 1 + random.int(5) : 0;
  let { hat, collar } = shot.worn;
  if (what < 0.05) {
    hat = [HOOD, -0.28 - 0.35 * random.uniform(), tilt, 0.98 + 0.08 * random.uniform()];
    collar = [0, -0.12 + 0.35 * at, 0, 0.58 + 0.2 * wide];
  } else if (what < 0.11) collar = [1, -0.15 + 0.4 * at, wide, 0];
  else if (what < 0.23) collar = [2, 0.02 + 0.3 * at, wide, 0];
  else if (what < 0.27) collar = [3, -0.04 + 0.2 * at, wide, 0];
  return { ...shot, strands, worn: { ...shot.worn, hat, collar, linen } };
}

/** Lights some as old masters did, and loses the edges of others in a ground of their own colour. */
function staged(shot: Shot, random: RandomSource): Shot {
  const what = random.uniform(), dark = random.uniform(), steep = random.uniform(), kind = random.int(2);
  if (what < 0.09) { // one light from the side, the other half in the shadow that the ground is
    const to: Rgb = [random.int(2) * 2 - 1, -0.8 * steep, 0.15 + 0.6 * random.uniform()];
    const [beside, behind] = shot.lights;
    const low = scale(blend([1, 0.85, 0.65], shot.background.low, 0.5 * steep), 0.01 + 0.06 * dark);
    return {
      ...shot,
      light: scale(to, 1 / Math.hypot(...to)),
      key: scale(shot.key, 1.25),
      ambient: scale(shot.ambient, 0.05 + 0.3 * dark),
      ground: scale(shot.ground, 0.25 * dark),
      lights: [{ ...beside, colour: scale(beside.colour, 0.2 * dark) }, {
        ...behind,
        colour: scale(behind.colour, 0.3),
      }],
      rim: 0,
      background: { kind, low, high: scale(low, 1 + 2 * random.uniform()) },
    };
  }
  if (what < 0.15) {
    const skin = pick(random, SKINS);
    const low = scale(skin, 0.35 + 0.7 * dark);
    return { ...shot, background: { kind, low, high: blend(low, scale(skin, 0.9), steep) } };
  }
  return shot;
}

/** An image of someone with a hat, a scarf or a hand at most. */
function plainShot(random: RandomSource, pose: PoseRange): Shot {
  const mood = random.uniform();
  const amount = random.uniform();
  const normal = (limit: number): number => clamp(random.normal(), -limit, limit);
  let open = 0;
  let smile = 0.15 * normal(2);
  let stretch = 0.1 * normal(2);
  let teeth = 0;
  let raise = 0.015 * normal(2);
  let frown = 0.25 * normal(2);
  let lids = 1 + 0.14 * normal(2);
  let skew = 0.4 * normal(2);
  if (mood < 0.20) { // smiles with the mouth closed
    smile = 0.4 + 0.6 * amount;
    stretch = 0.3 * amount;
  } else if (mood < 0.46) { // laughs
    smile = 0.5 + 0.5 * amount;
    stretch = 0.4 + 0.5 * amount;
    open = 0.28 + 0.45 * amount * random.uniform();
    teeth = 0.85 + 0.15 * random.uniform();
    lids *= 1 - 0.35 * amount;
  } else if (mood < 0.60) { // speaks
    open = 0.1 + 0.3 * amount;
    teeth = 0.7 * random.uniform();
  } else if (mood < 0.68) { // shouts, wonders
    open = 0.45 + 0.55 * amount;
    stretch = -0.25;
    teeth = random.uniform();
    raise = 0.03 + 0.06 * amount;
    lids *= 1.2;
  } else if (mood < 0.75) { // scowls
    frown = 0.6 + 0.4 * amount;
    smile = -0.3 - 0.4 * amount;
    lids *= 0.85;
  } else if (mood < 0.79) { // pouts
    stretch = -0.5 - 0.7 * amount;
    smile = -0.2 * amount;
    open = 0.12 * random.uniform();
  } else if (mood < 0.82) { // raises one brow, pulls the mouth aside
    skew = (0.9 + 1.1 * amount) * (random.int(2) * 2 - 1);
    raise = 0.02 * amount;
  } else if (mood < 0.86) { // squints
    lids *= 0.3 + 0.3 * amount;
    frown = 0.3 + 0.4 * amount;
    smile = 0.4 * random.uniform();
  }
  const shut = random.uniform();
  const closed = 0.04 + 0.08 * random.uniform();
  const left = shut < 0.05 || shut > 0.985 ? closed : lids;
  const right = shut < 0.05 || (shut < 0.065) ? closed : lids;
  const rad = Math.PI / 180;
  // Turns in shares of the limits.
  const share = (deviation: number, far: number): number => {
    if (!pose.heavy) return clamp(random.normal() * deviation, -1, 1);
    const spread = random.uniform();
    return spread < far ? 2 * random.uniform() - 1 : clamp(random.normal() * (spread < 0.7 ? 0.22 : 0.42), -1, 1);
  };
  const turn = share(0.38, 0.18);
  // Where the key light is: about the head, from the front, from above, from the side, from behind, from below.
  const scene = random.uniform();
  const around = random.uniform() * Math.PI * 2;
  const off = 0.25 + 0.75 * random.uniform();
  const aside = random.int(2) * 2 - 1;
  let light: [number, number, number] = [
    Math.sin(around) * off,
    -0.35 - 0.45 * random.uniform() * Math.abs(Math.cos(around)) + 0.15 * normal(1),
    0.75 + 0.4 * random.uniform(),
  ];
  let hardness = 0.35 + 0.55 * random.uniform();
  if (scene < 0.12) light = [0.15 * normal(2), -0.1 + 0.15 * normal(2), 1];
  else if (scene < 0.26) light = [0.35 * normal(2), -1, 0.25 + 0.45 * random.uniform()];
  else if (scene < 0.42) light = [aside, -0.25 + 0.3 * normal(1.5), 0.1 + 0.4 * random.uniform()];
  else if (scene < 0.50) [light, hardness] = [[0.7 * normal(1.5), -0.6, -0.4 - 0.4 * random.uniform()], 0.5];
  else if (scene < 0.53) light = [0.4 * normal(1.5), 0.7, 0.7];
  const unit = (to: Rgb): Rgb => scale(to, 1 / Math.hypot(...to));
  const tinted = (by: number): Rgb => [1 + by * normal(2), 1 + 0.3 * by * normal(2), 1 + by * normal(2)];
  const besides = (strength: number): Light => ({
    to: unit([normal(2), -0.3 + 0.5 * normal(2), 0.3 + 0.6 * normal(1.5)]),
    wrap: 0.6 * random.uniform(),
    colour: scale(tinted(random.uniform() < 0.25 ? 0.4 : 0.1), strength),
  });
  const behind: Light = {
    to: unit([aside * (0.6 + random.uniform()), -0.5 + 0.4 * normal(2), -0.7]),
    wrap: 0.15 * random.uniform(),
    colour: scale(tinted(0.15), random.uniform() < 0.35 ? 0.3 + 1.2 * random.uniform() : 0),
  };
  const lights: [Light, Light] = [besides(random.uniform() < 0.6 ? 0.45 * random.uniform() : 0), behind];
  const warm = 0.14 * normal(1.8);
  const low = scale(pick(random, WALLS), 0.12 + 1.1 * random.uniform());
  const sharp = random.uniform();
  return {
    open,
    smile,
    stretch,
    teeth,
    brow_raise: raise,
    frown,
    eyes_open: [left, right],
    gaze: [0.32 * normal(2), 0.22 * normal(2)],
    skew,
    pose: [
      turn * pose.yaw_deg * rad,
      share(0.42, 0.08) * pose.pitch_deg * rad,
      share(0.42, 0.05) * pose.roll_deg * rad,
    ],
    distance: 5.5 + 8 * random.uniform(),
    light: unit(light),
    sharpness: 1 + 11 * random.uniform() ** 2,
    lights,
    ground: scale(
      blend([1, 0.92, 0.82], scale(low, 2), 0.5 * random.uniform()),
      (0.75 - 0.55 * hardness) * random.uniform(),
    ),
    worn: {
      hat: random.uniform() < 0.12
        ? [1 + random.int(3), -0.32 - 0.38 * random.uniform(), 0.08 * random.normal(), 0.98 + 0.08 * random.uniform()]
        : [0, 0, 0, 1],
      scarf: random.uniform() < 0.07 ? 0.85 + 0.4 * random.uniform() : 0,
      hand: random.uniform() < 0.06
        ? [random.int(2) * 2 - 1, 0.55 + 0.6 * random.uniform(), random.uniform()]
        : [0, 0, 0],
      colour: scale(pick(random, CLOTHES), 0.5 + 0.6 * random.uniform()),
      collar: [0, 0, 0, 0],
      linen: [0, 0, 0],
    },
    strands: 0,
    film: [0.75 * random.uniform(), 0.65 + 0.6 * random.uniform()],
    key: scale([1 + warm, 1, 1 - warm], 0.85 * hardness + 0.25),
    ambient: scale([1 - warm * 0.7, 1, 1 + warm * 0.7], 0.85 - 0.68 * hardness),
    rim: random.uniform() < 0.3 ? 0.25 * random.uniform() : 0,
    background: {
      kind: random.int(7) % 5,
      low,
      high: blend(low, scale(pick(random, WALLS), 0.2 + 1.2 * random.uniform()), 0.4 + 0.6 * random.uniform()),
    },
    cloth: {
      colour: scale(pick(random, CLOTHES), 0.6 + 0.6 * random.uniform()),
      second: pick(random, CLOTHES),
      stripes: random.uniform() < 0.3 ? 12 + 40 * random.uniform() : 0,
    },
    lens: [
      0.05 + 0.4 * sharp ** 4,
      0.004 + 0.03 * random.uniform() ** 2,
      -0.04 + 0.12 * normal(2),
      0.12 + 0.35 * normal(2),
    ],
    grey: random.uniform() < 0.07,
    frame: [1 + 0.05 * normal(2), 0.015 * normal(2), 0.015 * normal(2)],
    seed: random.int(1000),
  };
}
