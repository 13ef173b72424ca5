/**
 * People and pictures of them as numbers, drawn at random.
 *
 * Lengths are in *eye widths of the mean face* (outer corner to outer corner = 1): x to the right of the picture, y down,
 * z to the camera, origin between the eyes.
 *
 * @module
 */

/** What is asked of a random generator; `Random` of engine/rng.ts is one. */
export interface RandomSource {
  /** In [0, 1). */
  uniform(): number;
  /** Mean 0, variance 1. */
  normal(): number;
  /** A whole number in [0, n). */
  int(n: number): number;
}

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
] as const;

/** A trait of the shape of a face. */
export type Trait = typeof TRAITS[number];

/** Who it is: stays the same over pictures of one person. */
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
  /** How dark brows are, 0 to 1. */
  brow: number;
  /** Freckles, redness, spectacles (0: none, to 1: square), grain of the skin. */
  marks: readonly [freckles: number, redness: number, glasses: number, grain: number];
  /** Length of the lashes 0 to 1, and the colour on the lids or null. */
  makeup: { lash: number; shadow: Rgb | null };
  /** Half-width of the neck. */
  neck: number;
}

/** One picture of a person: expression, pose, light, camera and surroundings. */
export interface Shot {
  /** 0 to 1, how far the jaw has dropped. */
  open: number;
  /** -1 to 1. */
  smile: number;
  /** -0.5 to 1, how wide beside the smile. */
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
  /** Left-right difference of brows and mouth, -1 to 1. */
  skew: number;
  /** Turn to the side, nod, tilt; radians. */
  pose: readonly [yaw: number, pitch: number, roll: number];
  /** Distance of the camera, eye widths. */
  distance: number;
  /** To the key light, in camera space. */
  light: Rgb;
  /** Key light's colour, ambient colour, strength of the rim light. */
  key: Rgb;
  /** Ambient light's colour. */
  ambient: Rgb;
  /** Strength of light from behind. */
  rim: number;
  /** Kind of background (0 gradient, 1 clouds, 2 shapes, 3 patches) and its two colours. */
  background: { kind: number; low: Rgb; high: Rgb };
  /** Clothes: two colours and stripes an eye width (0: none). */
  cloth: { colour: Rgb; second: Rgb; stripes: number };
  /** Blur (pixels), noise, exposure, warmth of the photograph. */
  lens: readonly [blur: number, noise: number, exposure: number, warmth: number];
  /** Whether the photograph is black and white. */
  grey: boolean;
  /** Side of the crop over 1.54 of the landmarks' box, and its shift as a share of the side. */
  frame: readonly [scale: number, x: number, y: number];
  /** For noise patterns: 0 to 999. */
  seed: number;
}

/** All that is needed to draw one picture. */
export interface HeadParams {
  /** Who. */
  person: Person;
  /** How. */
  shot: Shot;
}

/** How far heads turn, degrees each way. */
export interface PoseRange {
  /** To the sides. */
  yaw_deg: number;
  /** Up and down. */
  pitch_deg: number;
  /** In the plane of the picture. */
  roll_deg: number;
}

/** Poses of the paper's data: mostly frontal, up to half profile. */
export const DEFAULT_POSE: PoseRange = { yaw_deg: 40, pitch_deg: 18, roll_deg: 18 };

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

const SKINS = [0xf3d8ca, 0xe8c2ac, 0xd9ab92, 0xc69579, 0xa97a5f, 0x875c46, 0x684535, 0x4a3128].map(linear);
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
  for (const trait of TRAITS) shape[trait] = clamp(random.normal(), -2.2, 2.2);
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
  const depth = clamp(random.uniform() ** 1.25, 0, 0.999) * (SKINS.length - 1);
  const at = Math.floor(depth);
  const skin = blend(SKINS[at]!, SKINS[at + 1]!, depth - at);
  const dark = depth > 3.5;
  let hair = pick(random, dark ? HAIRS.slice(0, 3) : HAIRS.slice(0, 8));
  if (random.uniform() < age * age) hair = blend(hair, pick(random, HAIRS.slice(8)), 0.4 + 0.6 * random.uniform());
  const redden: Rgb = feminine && random.uniform() < 0.45
    ? linear(pick(random, [0xb0303a, 0xc2566a, 0x8e2436]))
    : linear(0xb05a55);
  const lip = blend(blend(skin, redden, 0.45 + 0.25 * random.uniform()), scale(skin, 0.55), dark ? 0.4 : 0.1);
  const front = -0.63 - 0.05 * random.normal() + 0.04 * shape.forehead -
    (feminine ? 0 : 0.22 * age * random.uniform());
  const thick = 0.05 + 0.11 * random.uniform();
  const kind = random.uniform();
  let cut: Person["cut"];
  if (!feminine) {
    if (kind < 0.12) cut = [0, 0, 0, 0];
    else if (kind < 0.85) cut = [thick * (kind < 0.35 ? 0.5 : 1), front, mix(0.05, 0.25, random.uniform()), 0];
    else cut = [thick + 0.03, front, 0.35, mix(0.5, 1.5, random.uniform())];
  } else if (kind < 0.2) cut = [thick, front, 0.25, 0];
  else if (kind < 0.75) cut = [thick + 0.02, front, 0.4, mix(0.7, 2.2, random.uniform())];
  else cut = [thick + 0.02, -0.40 - 0.12 * random.uniform(), 0.4, mix(0.6, 2.0, random.uniform())];
  if (dark && random.uniform() < 0.4) cut = [cut[0] > 0 ? 0.12 + 0.2 * random.uniform() : 0, cut[1], cut[2], 0];
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
    iris: pick(random, dark ? IRISES.slice(0, 3) : IRISES),
    hair,
    cut,
    curls,
    beard,
    brow: 0.65 + 0.3 * random.uniform(),
    marks: [
      random.uniform() < 0.2 ? random.uniform() : 0,
      0.15 + 0.5 * random.uniform(),
      random.uniform() < 0.13 ? 0.2 + 0.8 * random.uniform() : 0,
      0.4 + 0.6 * random.uniform(),
    ],
    makeup: {
      lash: feminine ? 0.35 + 0.6 * random.uniform() : 0.15 * random.uniform(),
      shadow: feminine && random.uniform() < 0.3
        ? linear(pick(random, [0x5b4a6a, 0x4b3b35, 0x7a5560, 0x3c5566]))
        : null,
    },
    neck: feminine ? 0.47 + 0.04 * random.uniform() : 0.54 + 0.08 * random.uniform(),
  };
}

/**
 * Draws a picture of someone: expression, pose, light and surroundings.
 *
 * @param random A generator at the picture's own place.
 * @param pose How far the head turns.
 */
export function sampleShot(random: RandomSource, pose: PoseRange = DEFAULT_POSE): Shot {
  const mood = random.uniform();
  const amount = random.uniform();
  const normal = (limit: number): number => clamp(random.normal(), -limit, limit);
  let open = 0;
  let smile = 0.15 * normal(2);
  let stretch = 0.1 * normal(2);
  let teeth = 0;
  let raise = 0.015 * normal(2);
  let frown = 0.25 * normal(2);
  let lids = 1 + 0.12 * normal(2);
  if (mood < 0.22) { // smiles with the mouth closed
    smile = 0.4 + 0.6 * amount;
    stretch = 0.3 * amount;
  } else if (mood < 0.52) { // laughs
    smile = 0.5 + 0.5 * amount;
    stretch = 0.4 + 0.5 * amount;
    open = 0.28 + 0.45 * amount * random.uniform();
    teeth = 0.85 + 0.15 * random.uniform();
    lids *= 1 - 0.25 * amount;
  } else if (mood < 0.68) { // speaks
    open = 0.1 + 0.3 * amount;
    teeth = 0.7 * random.uniform();
  } else if (mood < 0.76) { // shouts, wonders
    open = 0.45 + 0.55 * amount;
    stretch = -0.25;
    teeth = random.uniform();
    raise = 0.03 + 0.06 * amount;
    lids *= 1.2;
  } else if (mood < 0.84) { // scowls
    frown = 0.6 + 0.4 * amount;
    smile = -0.3 - 0.4 * amount;
    lids *= 0.85;
  }
  const shut = random.uniform();
  const left = shut < 0.04 || shut > 0.985 ? 0.12 : lids;
  const right = shut < 0.04 || (shut < 0.055) ? 0.12 : lids;
  const rad = Math.PI / 180;
  const turn = clamp(random.normal() * 0.38, -1, 1);
  const around = random.uniform() * Math.PI * 2;
  const off = 0.25 + 0.75 * random.uniform();
  const light: [number, number, number] = [
    Math.sin(around) * off,
    -0.35 - 0.45 * random.uniform() * Math.abs(Math.cos(around)) + 0.15 * normal(1),
    0.75 + 0.4 * random.uniform(),
  ];
  const length = Math.hypot(...light);
  const warm = 0.14 * normal(1.8);
  const hardness = 0.55 + 0.5 * random.uniform();
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
    skew: 0.4 * normal(2),
    pose: [
      turn * pose.yaw_deg * rad,
      clamp(random.normal() * 0.42, -1, 1) * pose.pitch_deg * rad,
      clamp(random.normal() * 0.42, -1, 1) * pose.roll_deg * rad,
    ],
    distance: 5.5 + 8 * random.uniform(),
    light: [light[0] / length, light[1] / length, light[2] / length],
    key: scale([1 + warm, 1, 1 - warm], 0.8 * hardness + 0.32),
    ambient: scale([1 - warm * 0.7, 1, 1 + warm * 0.7], 0.95 - 0.62 * hardness),
    rim: random.uniform() < 0.3 ? 0.35 * random.uniform() : 0,
    background: {
      kind: random.int(4),
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
