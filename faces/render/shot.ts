/**
 * Images of people as numbers, drawn at random: expression, pose, light, camera and surroundings.
 *
 * Lengths and axes are those of `person.ts`.
 *
 * @module
 */
import type { RandomSource } from "../../engine/rng.ts";
import { blend, CLOTHES, pick, type Rgb, scale, SKINS, WALLS } from "./colours.ts";
import { clamp } from "./numbers.ts";
import type { Person } from "./person.ts";

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
  /** The person. */
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
      light: unit(to),
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

/** Draws an image of someone with a hat, a scarf or a hand at most. */
function plainShot(random: RandomSource, pose: PoseRange): Shot {
  const expression = sampleExpression(random);
  const yaw = turn(random, pose.heavy, 0.38, 0.18);
  const { light, hardness, lights } = sampleLights(random);
  const warm = 0.14 * bounded(random, 1.8);
  const low = scale(pick(random, WALLS), 0.12 + 1.1 * random.uniform());
  const sharp = random.uniform();
  const rad = Math.PI / 180;
  return {
    ...expression,
    gaze: [0.32 * bounded(random, 2), 0.22 * bounded(random, 2)],
    pose: [
      yaw * pose.yaw_deg * rad,
      turn(random, pose.heavy, 0.42, 0.08) * pose.pitch_deg * rad,
      turn(random, pose.heavy, 0.42, 0.05) * pose.roll_deg * rad,
    ],
    distance: 5.5 + 8 * random.uniform(),
    light: unit(light),
    sharpness: 1 + 11 * random.uniform() ** 2,
    lights,
    ground: scale(
      blend([1, 0.92, 0.82], scale(low, 2), 0.5 * random.uniform()),
      (0.75 - 0.55 * hardness) * random.uniform(),
    ),
    worn: sampleWorn(random),
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
      -0.04 + 0.12 * bounded(random, 2),
      0.12 + 0.35 * bounded(random, 2),
    ],
    grey: random.uniform() < 0.07,
    frame: [1 + 0.05 * bounded(random, 2), 0.015 * bounded(random, 2), 0.015 * bounded(random, 2)],
    seed: random.int(1000),
  };
}

/** A normal number, limited to both sides. */
function bounded(random: RandomSource, limit: number): number {
  return clamp(random.normal(), -limit, limit);
}

/** A vector of length 1. */
function unit(to: Rgb): Rgb {
  return scale(to, 1 / Math.hypot(...to));
}

/**
 * Draws how far a head turns, as a share of the limit, -1 to 1.
 *
 * @param deviation Standard deviation, unless the tails are heavy.
 * @param far Share of heads that turn evenly over the range, if the tails are heavy.
 */
function turn(random: RandomSource, heavy: boolean | undefined, deviation: number, far: number): number {
  if (!heavy) return clamp(random.normal() * deviation, -1, 1);
  const spread = random.uniform();
  return spread < far ? 2 * random.uniform() - 1 : clamp(random.normal() * (spread < 0.7 ? 0.22 : 0.42), -1, 1);
}

type Expression = Pick<
  Shot,
  "open" | "smile" | "stretch" | "teeth" | "brow_raise" | "frown" | "eyes_open" | "skew"
>;

/** Draws an expression: a mood, and how strong it is. */
function sampleExpression(random: RandomSource): Expression {
  const mood = random.uniform();
  const amount = random.uniform();
  let open = 0;
  let smile = 0.15 * bounded(random, 2);
  let stretch = 0.1 * bounded(random, 2);
  let teeth = 0;
  let brow_raise = 0.015 * bounded(random, 2);
  let frown = 0.25 * bounded(random, 2);
  let lids = 1 + 0.14 * bounded(random, 2);
  let skew = 0.4 * bounded(random, 2);
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
    brow_raise = 0.03 + 0.06 * amount;
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
    brow_raise = 0.02 * amount;
  } else if (mood < 0.86) { // squints
    lids *= 0.3 + 0.3 * amount;
    frown = 0.3 + 0.4 * amount;
    smile = 0.4 * random.uniform();
  }
  const shut = random.uniform();
  const closed = 0.04 + 0.08 * random.uniform();
  const left = shut < 0.05 || shut > 0.985 ? closed : lids;
  const right = shut < 0.065 ? closed : lids;
  return { open, smile, stretch, teeth, brow_raise, frown, eyes_open: [left, right], skew };
}

/** Draws the direction of the key light, its hardness (0.35 to 0.9), and the two lights beside it. */
function sampleLights(random: RandomSource): { light: Rgb; hardness: number; lights: [Light, Light] } {
  const normal = (limit: number): number => bounded(random, limit);
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
  return { light, hardness, lights: [besides(random.uniform() < 0.6 ? 0.45 * random.uniform() : 0), behind] };
}

/** Draws hat, scarf and hand. */
function sampleWorn(random: RandomSource): Worn {
  return {
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
  };
}
