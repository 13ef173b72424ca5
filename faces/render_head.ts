/**
 * Heads as numbers: what is drawn at random about a person and about a picture of them, and how it becomes the texels
 * that the shaders read (shaders/face_render_head.wgsl).
 *
 * Lengths are in *eye widths of the mean face* (outer corner to outer corner = 1): x to the right of the picture, y down,
 * z to the camera, origin between the eyes. The mean face follows anthropometric means of adults.
 *
 * @module
 */
import type { StyleShape } from "./styles.ts";

/** What is asked of a random generator; `Random` of runtime/rng.ts is one. */
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

const clamp = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);
const mix = (a: number, b: number, t: number): number => a + (b - a) * t;
const smoothstep = (a: number, b: number, x: number): number => {
  const t = clamp((x - a) / (b - a), 0, 1);
  return t * t * (3 - 2 * t);
};
const linear = (hex: number): Rgb => {
  const channel = (shift: number): number => (((hex >> shift) & 255) / 255) ** 2.2;
  return [channel(16), channel(8), channel(0)];
};
const blend = (a: Rgb, b: Rgb, t: number): Rgb => [mix(a[0], b[0], t), mix(a[1], b[1], t), mix(a[2], b[2], t)];
const scale = (a: Rgb, by: number): Rgb => [a[0] * by, a[1] * by, a[2] * by];

const SKINS = [0xf3d8ca, 0xe8c2ac, 0xd9ab92, 0xc69579, 0xa97a5f, 0x875c46, 0x684535, 0x4a3128].map(linear);
const HAIRS = [0x1a1412, 0x2a1c14, 0x3f2a1c, 0x5d3d24, 0x7a5230, 0xa67c48, 0xcfae74, 0x8a3f1e, 0x8d8985, 0xcfcbc5].map(
  linear,
);
const IRISES = [0x3a2414, 0x4e3018, 0x6a4a24, 0x5c6b3a, 0x4f7391, 0x7592a8].map(linear);
const CLOTHES = [0x22262e, 0x1d2b4a, 0x5b1f24, 0xe6e2da, 0x39513c, 0x8a8f98, 0x2f6f8f, 0xb5532d, 0xd8c08a, 0x6d4a7a]
  .map(linear);
const WALLS = [
  0x6d7680,
  0xb9b2a4,
  0x32404e,
  0x5d7a58,
  0x9fb6c4,
  0x8a6a4c,
  0x2a2522,
  0xd9d4cb,
  0x7c3f32,
  0x44597a,
  0xb79a5a,
  0x567d8a,
].map(linear);

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
    background: { kind: random.int(4), low, high: blend(low, scale(pick(random, WALLS), 0.2 + 1.2 * random.uniform()), 0.4 + 0.6 * random.uniform()) },
    cloth: {
      colour: scale(pick(random, CLOTHES), 0.6 + 0.6 * random.uniform()),
      second: pick(random, CLOTHES),
      stripes: random.uniform() < 0.3 ? 12 + 40 * random.uniform() : 0,
    },
    lens: [0.05 + 0.4 * sharp ** 4, 0.004 + 0.03 * random.uniform() ** 2, -0.04 + 0.12 * normal(2), 0.12 + 0.35 * normal(2)],
    grey: random.uniform() < 0.07,
    frame: [1 + 0.05 * normal(2), 0.015 * normal(2), 0.015 * normal(2)],
    seed: random.int(1000),
  };
}

/** Texels a head takes in the parameter texture. */
export const PARAM_TEXELS = 176;
const TABLE_AT = 48;
const TABLE_SIZE = 128;
const TABLE_TOP = -1.6;
const TABLE_STEP = 3.6 / 127;

/** Brings a skin towards the lightness of the second lightest, for styles that draw with few tones. */
function lighten(colour: Rgb, by: number): Rgb {
  const lightness = (c: Rgb): number => 0.3 * c[0] + 0.59 * c[1] + 0.11 * c[2];
  return scale(colour, Math.max(lightness(SKINS[1]!) / lightness(colour), 1) ** by);
}

type Point = readonly [across: number, y: number];

/** Points along a closed Catmull-Rom spline. */
function closedSpline(knots: readonly Point[], per = 24): Point[] {
  const points: Point[] = [];
  const n = knots.length;
  for (let i = 0; i < n; i++) {
    const [a, b, c, d] = [knots[(i + n - 1) % n]!, knots[i]!, knots[(i + 1) % n]!, knots[(i + 2) % n]!];
    for (let k = 0; k < per; k++) {
      const t = k / per;
      const at = (j: 0 | 1): number =>
        0.5 *
        (2 * b[j] + (c[j] - a[j]) * t + (2 * a[j] - 5 * b[j] + 4 * c[j] - d[j]) * t * t +
          (3 * b[j] - a[j] - 3 * c[j] + d[j]) * t ** 3);
      points.push([at(0), at(1)]);
    }
  }
  return points;
}

/** Least and greatest abscissa at which a closed outline crosses each row of the slice table; null outside it. */
function spans(outline: readonly Point[]): ([number, number] | null)[] {
  const rows: ([number, number] | null)[] = new Array(TABLE_SIZE).fill(null);
  for (let i = 0; i < outline.length; i++) {
    const [p, q] = [outline[i]!, outline[(i + 1) % outline.length]!];
    const first = Math.ceil((Math.min(p[1], q[1]) - TABLE_TOP) / TABLE_STEP);
    const last = Math.floor((Math.max(p[1], q[1]) - TABLE_TOP) / TABLE_STEP);
    for (let row = Math.max(first, 0); row <= Math.min(last, TABLE_SIZE - 1); row++) {
      const t = (TABLE_TOP + row * TABLE_STEP - p[1]) / (q[1] - p[1] || 1e-9);
      const x = mix(p[0], q[0], clamp(t, 0, 1));
      const span = rows[row];
      rows[row] = span ? [Math.min(span[0], x), Math.max(span[1], x)] : [x, x];
    }
  }
  return rows;
}

function rotation([yaw, pitch, roll]: Shot["pose"]): number[][] {
  const [cy, sy, cp, sp, cr, sr] = [
    Math.cos(yaw),
    Math.sin(yaw),
    Math.cos(pitch),
    Math.sin(pitch),
    Math.cos(roll),
    Math.sin(roll),
  ];
  const turned = [[cy, 0, sy], [sp * sy, cp, -sp * cy], [-cp * sy, sp, cp * cy]];
  const [x, y, z] = [turned[0]!, turned[1]!, turned[2]!];
  return [x.map((v, i) => cr * v - sr * y[i]!), x.map((v, i) => sr * v + cr * y[i]!), z];
}

/** Where the crop lies: units a pixel, and the picture's place of the screen's origin (pixels). */
export interface Crop {
  /** Screen units a pixel. */
  unit: number;
  /** Pixel column of the origin. */
  x: number;
  /** Pixel row of the origin. */
  y: number;
}

/**
 * Writes a head as the texels that the shaders read.
 *
 * @param head Person and shot.
 * @param shape Proportions of the style.
 * @param size_px Side of the picture.
 * @returns `[PARAM_TEXELS, 4]`; the crop of texel 0 is set by {@link setCrop}.
 */
export function packHead(head: HeadParams, shape: StyleShape, size_px: number): Float32Array {
  const { person, shot } = head;
  const out = new Float32Array(PARAM_TEXELS * 4);
  const put = (texel: number, ...values: readonly number[]): void => out.set(values, texel * 4);
  const s = (trait: Trait): number => clamp(person.shape[trait] * shape.exaggerate, -3.4, 3.4);
  // Styles that take liberties take others with each picture.
  const liberty = (part: number): number =>
    Math.exp(shape.vary * clamp(2 * Math.sin(shot.seed * 12.9898 + part * 78.233), -1.6, 1.6));

  // Vertical layout. `place` moves a height of the mean face to this face: longer faces, and the dropped jaw.
  const longer = (1 + 0.05 * s("face_length")) * shape.face_length * liberty(1) ** 0.5;
  const drop = 0.30 * shot.open;
  const chinGrow = shape.chin_length + 0.025 * s("chin_size");
  const place = (y: number): number => (y > 0 ? y * longer : y) + (drop + chinGrow) * smoothstep(0.6, 1.2, y);
  const wider = 1.06 * (1 + 0.04 * s("face_width")) * shape.head_width * liberty(2) ** 0.6;
  const jaw = (1 + 0.05 * s("jaw_width") + 0.03 * s("cheek")) * shape.jaw_width * liberty(3) ** 0.6;
  const chin = (1 + 0.10 * s("chin_width")) * shape.chin_width * liberty(4);
  const width = (y: number, w: number): number =>
    w * wider * mix(1, jaw, smoothstep(0.35, 0.95, y)) * mix(1, chin, smoothstep(1, 1.2, y));
  const crown = -1.30 * shape.cranium;
  const levels = [0, 0.222, 0.430, 0.630, 0.822, 0.985, 1.118, 1.224];
  const halfWidths = [0.795, 0.780, 0.753, 0.712, 0.636, 0.513, 0.360, 0.192];
  const temples: Point[] = [[0.803, -0.25], [0.800, -0.5], [0.740, -0.78], [0.60, -1.02], [0.42, -1.17], [0.22, -1.27]];
  const rightSide: Point[] = [
    ...temples.slice().reverse().map(([w, y]): Point => [w * wider, y * shape.cranium]),
    ...levels.map((y, i): Point => [width(y, halfWidths[i]!), place(y)]),
  ];
  const chinY = place(1.255);
  const outline = closedSpline([
    [0, crown],
    ...rightSide,
    [0, chinY],
    ...rightSide.slice().reverse().map(([w, y]): Point => [-w, y]),
  ]);
  const mouthOut = 0.015 * (s("upper_lip") + s("lower_lip")) * 0.5;
  const chinOut = 0.02 * s("chin_size");
  const profile = closedSpline(([
    [-0.75, -1.30],
    [-0.30, -1.21],
    [0.00, -1.00],
    [0.16 + 0.015 * s("forehead"), -0.72],
    [0.225 + 0.015 * s("forehead"), -0.42],
    [0.245, -0.20],
    [0.185, -0.02],
    [0.215, 0.20],
    [0.265, 0.42],
    [0.285, 0.53],
    [0.300 + mouthOut, 0.66],
    [0.295 + mouthOut, 0.78],
    [0.260, 0.93],
    [0.265 + chinOut, 1.08],
    [0.215 + chinOut, 1.195],
    [0.080, 1.255],
    [-0.10, 1.20],
    [-0.35, 1.06],
    [-0.75, 0.85],
    [-1.25, 0.60],
    [-1.65, 0.20],
    [-1.85, -0.30],
    [-1.72, -0.85],
    [-1.30, -1.20],
  ] as Point[]).map(([z, y]): Point => [z, y < 0 ? y * (y < -0.3 ? shape.cranium : 1) : place(y)]));
  const widths = spans(outline);
  const depths = spans(profile);
  const middles: Point[] = [
    [-0.75, -9],
    [-0.75, 0.2],
    [-0.70, 0.45],
    [-0.61, 0.7],
    [-0.49, 0.85],
    [-0.26, 1.0],
    [-0.09, 1.12],
    [0.02, 1.2],
    [0.06, 1.26],
    [0.06, 9],
  ];
  const middle = (y: number): number => {
    const i = middles.findIndex(([, to]) => place(to) > y);
    const [a, b] = [middles[i - 1]!, middles[i]!];
    return mix(a[0], b[0], (y - place(a[1])) / (place(b[1]) - place(a[1])));
  };
  for (let row = 0; row < TABLE_SIZE; row++) {
    const y = TABLE_TOP + row * TABLE_STEP;
    const w = widths[row];
    const z = depths[row];
    const centre = z ? clamp(middle(y), z[0] + 0.01, Math.max(z[1] - 0.01, z[0] + 0.01)) : middle(y);
    const half = w ? Math.max((w[1] - w[0]) / 2, 0.002) : 0.002;
    put(
      TABLE_AT + row,
      half ** 2,
      z ? Math.max(z[1] - centre, 0.002) ** 2 : 4e-6,
      z ? Math.max(centre - z[0], 0.002) ** 2 : 4e-6,
      centre,
    );
  }
  put(39, ...levels.slice(0, 4).map(place));
  put(40, ...levels.slice(4).map(place));

  // Features stay on the head however narrow it is.
  const halfAt = (y: number): number => {
    const span = widths[clamp(Math.round((y - TABLE_TOP) / TABLE_STEP), 0, TABLE_SIZE - 1)];
    return span ? (span[1] - span[0]) / 2 : 0;
  };

  // Camera. The head turns about a point near the top of the neck.
  const rows = rotation(shot.pose);
  const pivot = [0, 0.4, -0.55];
  put(0, shot.distance, 0.03, 0, 0);
  for (let i = 0; i < 3; i++) put(1 + i, ...rows[i]!, pivot[i]!);
  put(24, shot.seed, size_px);

  // Eyes: [outer corner, inner corner], heights of the lids.
  const eyeScale = (1 + 0.045 * s("eye_size")) * shape.eye_scale * liberty(5);
  const spread = clamp(wider / 1.06, 0.6, 1.4) ** 0.8;
  const apart = spread * (0.356 + 0.011 * s("eye_spacing")) * mix(1, eyeScale, 0.22) * Math.max(shape.eye_spacing, 0.5);
  const half = Math.min(0.145 * eyeScale, apart * 0.75, halfAt(0) * 0.86 - apart);
  const tilt = 0.012 + 0.012 * s("eye_tilt") + shape.eye_tilt;
  const eyeY = 0.008 + shape.eye_y;
  const cornersOf = (
    side: number,
  ): number[] => [side * (apart + half), eyeY - tilt, side * (apart - half), eyeY + tilt];
  const opening = eyeScale * (1 + 0.13 * s("eye_open")) * shape.eye_open;
  const squint = 1 - 0.14 * Math.max(shot.smile, 0);
  const lidsOf = (
    factor: number,
  ): number[] => [
    0.072 * opening * factor * (0.3 + 0.7 * squint),
    0.037 * opening * clamp(factor, 0.35, 1.2) * squint ** 2,
    -0.06,
    0.12,
  ];
  put(4, ...cornersOf(-1));
  put(5, ...cornersOf(1));
  put(6, ...lidsOf(shot.eyes_open[0]));
  put(7, ...lidsOf(shot.eyes_open[1]));
  const iris = 0.071 * mix(1, eyeScale, 0.85) * shape.iris_scale;
  put(8, shot.gaze[0], shot.gaze[1], iris, shape.pupil);

  // Brows: outer end, inner end.
  const lift = 0.022 * s("brow_height") + shape.brow_raise + shot.brow_raise;
  const grown = (eyeScale - 1) * 0.09;
  const frownIn = 0.045 * shot.frown;
  const browTilt = 0.02 * s("brow_tilt") + shape.brow_tilt;
  for (const side of [-1, 1]) {
    const odd = 0.02 * shot.skew * side;
    put(
      side < 0 ? 9 : 10,
      side * Math.min(0.665 * mix(1, apart / 0.356, 0.7), halfAt(eyeY - 0.13) * 0.87),
      eyeY - 0.125 - lift - grown - browTilt * 0.5 + odd,
      side * (0.135 - 0.02 * shot.frown) * mix(1, apart / 0.356, 0.5),
      eyeY - 0.188 - lift - grown + browTilt + frownIn + odd * 0.6,
    );
  }
  const arch = (0.092 + 0.018 * s("brow_arch")) * shape.brow_arch * (1 - 0.2 * shot.frown);
  put(
    11,
    Math.max(arch, 0.01),
    Math.max(arch, 0.01),
    0.55,
    Math.max(0.030 + 0.008 * s("brow_thickness"), 0.012) * shape.brow_thickness,
  );

  // Nose.
  const tall = (1 + 0.06 * s("nose_length")) * shape.nose_length * longer * liberty(6) ** 0.4;
  const fat = (1 + 0.09 * s("nose_width")) * shape.nose_width * liberty(7);
  const out_z = 0.185 + (0.33 + 0.03 * s("nose_depth")) * shape.nose_depth * liberty(8);
  const baseY = Math.min(0.525 * tall, 0.60 * longer);
  const tipY = baseY - 0.115 * tall + 0.02 * s("nose_tip");
  put(15, -0.02, 0.215 + 0.012 * s("nose_bridge"), tipY, out_z);
  put(
    16,
    0.088 * (1 + 0.08 * s("nose_tip")) * mix(1, fat, 0.7),
    0.118 * fat,
    baseY - 0.065 * tall,
    0.066 * mix(1, fat, 0.6),
  );
  put(17, 0.060 * mix(1, fat, 0.5), shape.nostril, mix(0.27, out_z, 0.16), baseY);

  // Mouth. Its corners spread and rise with a smile and come together as the jaw drops.
  const broadest = (0.315 + 0.02 * s("mouth_width")) * shape.mouth_width * liberty(9) *
    (1 + 0.16 * shot.stretch + 0.08 * Math.max(shot.smile, 0)) * (1 - 0.20 * shot.open) * spread;
  const lineY = Math.max((0.725 + 0.018 * s("mouth_height")) * longer + shape.mouth_y, baseY + 0.14) + 0.09 * drop;
  const cornerY = lineY - 0.055 * shot.smile + 0.28 * drop;
  const broad = Math.min(broadest, halfAt(cornerY) * 0.75);
  const oddMouth = 0.018 * shot.skew;
  put(12, -broad, cornerY + oddMouth, broad, cornerY - oddMouth);
  const full = shape.lip_scale * liberty(10) * (1 - 0.12 * Math.abs(shot.smile));
  const gap = drop * 0.95 + 0.02 * shot.open;
  put(
    13,
    Math.max(0.068 + 0.014 * s("upper_lip"), 0.028) * full,
    Math.max(0.092 + 0.016 * s("lower_lip"), 0.04) * full,
    gap * 0.30,
    gap * 0.78,
  );
  put(14, 0.02 + 0.058 * shot.smile, 0.24 + 0.07 * s("cupid"), shot.teeth, shot.open > 0.3 ? 0.9 : 0.4);

  // Relief.
  const depth = shape.relief;
  put(
    18,
    (0.035 + 0.014 * s("brow_ridge")) * depth,
    (0.085 + 0.012 * s("brow_ridge")) * depth,
    (0.055 + 0.014 * s("cheekbone") + 0.03 * Math.max(shot.smile, 0)) * depth,
    clamp(0.01 + 0.03 * s("cheek") - 0.01 * person.age, -0.025, 0.08) * depth,
  );
  put(
    19,
    0.045 * shape.lip_scale * depth,
    (0.035 + 0.015 * s("chin_size")) * depth,
    0.03 * depth,
    (0.010 + 0.014 * person.age + 0.020 * Math.max(shot.smile, 0)) * depth,
  );

  // Hair and the rest.
  put(20, person.cut[0] * shape.hair, person.cut[1] * mix(1, shape.cranium, 0.6), person.cut[2], person.cut[3]);
  put(21, 0, person.curls[0], person.curls[1], person.curls[2]);
  put(22, crown, chinY, person.neck * shape.neck, (1 + 0.08 * s("ear")) * shape.ear * liberty(11));
  put(23, person.beard[0], person.beard[1], person.beard[2], person.age);
  const key = shot.light;
  put(26, ...[0, 1, 2].map((i) => rows[0]![i]! * key[0] + rows[1]![i]! * key[1] + rows[2]![i]! * key[2]), 0);
  const skin = lighten(person.skin, shape.light_skin);
  put(27, ...skin, 0.14 + 0.10 * (1 - person.age));
  put(28, ...lighten(person.lip, shape.light_skin * 0.5));
  put(29, ...person.iris);
  put(30, ...person.hair);
  put(31, ...scale(blend(person.hair, person.skin, 0.1), 0.55), person.brow);
  put(32, ...shot.cloth.colour);
  put(33, ...person.marks);
  put(34, ...shot.background.low, shot.background.kind);
  put(35, ...shot.background.high);
  put(36, 0.02, 0.018, 0.02);
  put(37, ...shot.cloth.second, shot.cloth.stripes);
  put(38, Math.max(person.makeup.lash, 0.15), ...(person.makeup.shadow ?? [0, 0, 0]));
  put(41, ...shot.key);
  put(42, ...shot.ambient, shot.rim);
  put(43, shot.lens[0] * size_px / 64, shot.lens[1], shot.lens[2], shot.lens[3]);
  put(44, shot.grey ? 1 : 0);
  return out;
}

/** Sets the crop of packed texels. */
export function setCrop(texels: Float32Array, crop: Crop): void {
  texels.set([crop.unit, crop.x, crop.y], 1);
}
