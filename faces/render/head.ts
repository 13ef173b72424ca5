/**
 * A person and a shot as the texels that the shaders read (shaders/face_render_head.wgsl).
 *
 * Lengths are in *eye widths of the mean face* (outer corner to outer corner = 1): x to the right of the image, y down,
 * z to the camera, origin between the eyes. The mean face follows anthropometric means of adults: what is seen from the
 * front agrees with the mean of landmarks on photographs within 0.03.
 *
 * @module
 */
import { blend, LIGHT_SKIN, linear, type Rgb, scale } from "./colours.ts";
import { clamp, mix } from "./numbers.ts";
import type { Person, Trait } from "./person.ts";
import { type HeadParams, HOOD, type Shot } from "./shot.ts";
import { NOSES, type StyleColours, type StyleRender, type StyleShape } from "./styles.ts";

/** Texels a head takes in the parameter texture. */
export const PARAM_TEXELS = 196;
// The slice table, as in shaders/face_render_head.wgsl.
const TABLE_AT = 48;
const TABLE_SIZE = 128;
const MORE_AT = 176;
const TABLE_TOP = -1.7;
const TABLE_STEP = 4.1 / 127;

/** The mean face and its surroundings are 6 % wider than seen: the sides of a head are farther from the camera. */
const DEPTH_WIDENS = 1.07;
/** The head turns about a point near the top of the neck. */
const PIVOT = [0, 0.4, -0.55];

/** Brows are darker than fair or grey hair. */
const BROW_BROWN: Rgb = [0.035, 0.02, 0.013];

type Point = readonly [across: number, y: number];
/** Writes numbers into a texel and those after it. */
type Put = (texel: number, ...values: readonly number[]) => void;

// Half of the mean face's outline from the front, [half-width, y]: temples upwards, then the heights of landmarks 0 to 7.
// deno-fmt-ignore
const TEMPLES: readonly Point[] = [[0.22, -1.27], [0.42, -1.17], [0.60, -1.02], [0.740, -0.78], [0.800, -0.5], [0.803, -0.25]];
// deno-fmt-ignore
const JAW: readonly Point[] = [
  [0.797, -0.02], [0.782, 0.215], [0.758, 0.425], [0.726, 0.628], [0.652, 0.822], [0.513, 0.985], [0.360, 1.110], [0.192, 1.208],
];
const CROWN_Y = -1.30;
const CHIN_Y = 1.235;
/** Lowest chin that the slice table has rows for. */
const LOWEST_CHIN = 2.3;
/** Farthest that the tip of a nose may stand out: the margin that rays keep from the skull. */
const FARTHEST_TIP = 1;
// Where slices are widest, [z, y]: at the ears, and further forward down the jaw.
// deno-fmt-ignore
const WIDEST: readonly Point[] = [
  [-0.83, -9], [-0.83, 0.2], [-0.82, 0.45], [-0.81, 0.7], [-0.73, 0.85], [-0.47, 1.0], [-0.18, 1.12], [-0.02, 1.2], [0.03, 1.26], [0.03, 9],
];

function smoothstep(a: number, b: number, x: number): number {
  const t = clamp((x - a) / (b - a), 0, 1);
  return t * t * (3 - 2 * t);
}

/** Points along a closed Catmull-Rom spline. */
function closedSpline(knots: readonly Point[], per = 24): Point[] {
  const points: Point[] = [];
  const n = knots.length;
  for (let i = 0; i < n; i++) {
    const [a, b, c, d] = [knots[(i + n - 1) % n]!, knots[i]!, knots[(i + 1) % n]!, knots[(i + 2) % n]!];
    for (let k = 0; k < per; k++) {
      const t = k / per;
      const at = (j: 0 | 1): number => {
        const square = 2 * a[j] - 5 * b[j] + 4 * c[j] - d[j];
        const cube = 3 * b[j] - a[j] - 3 * c[j] + d[j];
        return 0.5 * (2 * b[j] + (c[j] - a[j]) * t + square * t * t + cube * t ** 3);
      };
      points.push([at(0), at(1)]);
    }
  }
  return points;
}

type Span = readonly [least: number, greatest: number];

/** Where a closed outline crosses each row of the slice table; null outside it. */
function spans(outline: readonly Point[]): (Span | null)[] {
  const rows: (Span | null)[] = new Array(TABLE_SIZE).fill(null);
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

/** Rows of the rotation from head to camera: yaw, then pitch, then roll. */
function rotation([yaw, pitch, roll]: Shot["pose"]): number[][] {
  const [cy, sy] = [Math.cos(yaw), Math.sin(yaw)];
  const [cp, sp] = [Math.cos(pitch), Math.sin(pitch)];
  const [cr, sr] = [Math.cos(roll), Math.sin(roll)];
  const x = [cy, 0, sy];
  const y = [sp * sy, cp, -sp * cy];
  const z = [-cp * sy, sp, cp * cy];
  return [x.map((v, i) => cr * v - sr * y[i]!), x.map((v, i) => sr * v + cr * y[i]!), z];
}

/** Sizes that the parts of a face share. */
interface Layout {
  person: Person;
  shot: Shot;
  shape: StyleShape;
  /** A trait in standard deviations, as far as the style exaggerates it. */
  trait(name: Trait): number;
  /** Factor by which the style strays from its proportions in this image; part numbers are arbitrary. */
  liberty(part: number): number;
  /** Factor on lengths below the eyes. */
  longer: number;
  /** Factor on widths. */
  wider: number;
  /** Spread of the features over that width. */
  spread: number;
  /** Drop of the jaw. */
  drop: number;
  /** Where a height of the mean face is on this face. */
  place(y: number): number;
  /** Half-width of the slices. */
  halfAt(y: number): number;
}

/** Proportions that the shape of the skull follows. */
type Proportions = Pick<Layout, "trait" | "liberty" | "shape" | "place" | "wider">;

/** The head from the front: where each slice begins and ends. */
function outlineOf({ trait, liberty, shape, place, wider }: Proportions, crown: number): (Span | null)[] {
  const jaw = (1 + 0.05 * trait("jaw_width") + 0.03 * trait("cheek")) * shape.jaw_width * liberty(3) ** 0.6;
  const chin = (1 + 0.10 * trait("chin_width")) * shape.chin_width * liberty(4);

  const side: Point[] = [
    ...TEMPLES.map(([w, y]): Point => [w * wider * (1 + 0.03 * trait("temple")), y * shape.cranium]),
    ...JAW.map(([w, y]): Point => [
      w * wider * mix(1, jaw, smoothstep(0.35, 0.95, y)) * mix(1, chin, smoothstep(1, 1.2, y)) *
      (1 + 0.035 * trait("jaw_square") * Math.exp(-(((y - 0.82) / 0.2) ** 2))) *
      (1 + 0.03 * trait("cheek_width") * Math.exp(-(((y - 0.3) / 0.3) ** 2))),
      place(y),
    ]),
  ];
  const mirrored = side.map(([w, y]): Point => [-w, y]).reverse();
  return spans(closedSpline([[0, crown], ...side, [0, place(CHIN_Y)], ...mirrored]));
}

/** The head from the side, without the nose: where each slice begins and ends. */
function profileOf({ trait, shape, place }: Proportions): (Span | null)[] {
  const brow = 0.015 * trait("forehead");
  const mouth = 0.0075 * (trait("upper_lip") + trait("lower_lip"));
  const tip = 0.02 * trait("chin_size");
  // The profile without the nose, [z, y]: down the face, under the jaw, up the back of the head.
  // deno-fmt-ignore
  const profile: readonly Point[] = [
    [-0.75, -1.30], [-0.30, -1.21], [0, -1.00], [0.16 + brow, -0.72], [0.225 + brow, -0.42], [0.245, -0.20], [0.185, -0.02],
    [0.205, 0.20], [0.235, 0.42], [0.245, 0.53], [0.255 + mouth, 0.66], [0.250 + mouth, 0.78], [0.220, 0.93],
    [0.235 + tip, 1.08], [0.195 + tip, 1.18], [0.080, 1.235], [-0.13, 1.20], [-0.46, 1.10], [-0.88, 0.90],
    [-1.25, 0.60], [-1.65, 0.20], [-1.85, -0.30], [-1.72, -0.85], [-1.30, -1.20],
  ];
  return spans(
    closedSpline(profile.map(([z, y]): Point => [z, y >= 0 ? place(y) : y < -0.3 ? y * shape.cranium : y])),
  );
}

/** Where the slice at a height is widest, z. */
function widestAt({ shape, place }: Proportions, y: number): number {
  const i = WIDEST.findIndex(([, to]) => place(to) > y);
  const [a, b] = [WIDEST[i - 1]!, WIDEST[i]!];
  const z = mix(a[0], b[0], (y - place(a[1])) / (place(b[1]) - place(a[1])));
  return z + shape.cheek_forward * clamp(-z - 0.2, 0, 0.6) / 0.6;
}

/** Fixes the proportions of the head and writes its slices. */
function packSkull(put: Put, { person, shot }: HeadParams, shape: StyleShape): Layout {
  const trait = (name: Trait): number => clamp(person.shape[name] * shape.exaggerate, -3.4, 3.4);
  const liberty = (part: number): number =>
    Math.exp(shape.vary * clamp(2 * Math.sin(shot.seed * 12.9898 + part * 78.233), -1.6, 1.6));
  const drop = 0.30 * shot.open * shape.mouth_open;
  const lower = drop + shape.chin_length + 0.025 * trait("chin_size");
  const longer = Math.min(
    (1 + 0.05 * trait("face_length")) * shape.face_length * liberty(1) ** 0.5,
    (LOWEST_CHIN - lower) / CHIN_Y,
  );
  const place = (y: number): number => (y > 0 ? y * longer : y) + lower * smoothstep(0.6, 1.2, y);
  const wider = DEPTH_WIDENS * (1 + 0.045 * trait("face_width")) * shape.head_width * liberty(2) ** 0.6;
  const proportions: Proportions = { trait, liberty, shape, place, wider };
  const crown = CROWN_Y * shape.cranium;
  const widths = outlineOf(proportions, crown), depths = profileOf(proportions);
  const LEAST = 0.002;
  for (let row = 0; row < TABLE_SIZE; row++) {
    const y = TABLE_TOP + row * TABLE_STEP;
    const [left, right] = widths[row] ?? [0, 0];
    const widest = widestAt(proportions, y);
    const [back, front] = depths[row] ?? [widest, widest];
    const centre = clamp(widest, back + 0.01, Math.max(front - 0.01, back + 0.01));
    // squares, because they are nearly linear in y where the head closes
    const squares = [(right - left) / 2, front - centre, centre - back].map((length) => Math.max(length, LEAST) ** 2);
    put(TABLE_AT + row, ...squares, centre);
  }
  put(39, ...JAW.map(([, y]) => place(y)));
  put(22, crown, place(CHIN_Y), person.neck * shape.neck, (1 + 0.08 * trait("ear")) * shape.ear * liberty(11));
  return {
    person,
    shot,
    shape,
    trait,
    liberty,
    longer,
    wider,
    spread: clamp(wider / DEPTH_WIDENS, 0.6, 1.4) ** 0.8,
    drop,
    place,
    halfAt(y) {
      const [left, right] = widths[clamp(Math.round((y - TABLE_TOP) / TABLE_STEP), 0, TABLE_SIZE - 1)] ?? [0, 0];
      return (right - left) / 2;
    },
  };
}

/** Eyes: [outer corner, inner corner], heights of the lids and their skews, irises. Then the brows over them. */
function packEyes(put: Put, { person, shot, shape, trait, liberty, spread, halfAt }: Layout): void {
  const size = (1 + 0.06 * trait("eye_size")) * shape.eye_scale * liberty(5);
  const apart = spread * (0.356 + 0.014 * trait("eye_spacing")) * mix(1, size, 0.22) * Math.max(shape.eye_spacing, 0.5);
  const half = Math.min(0.154 * size, apart * 0.75, halfAt(0) * 0.86 - apart);
  const tilt = 0.012 + 0.012 * trait("eye_tilt") + shape.eye_tilt;
  const y = 0.008 + shape.eye_y;
  const opening = size * (1 + 0.15 * trait("eye_open")) * shape.eye_open;
  const squint = 1 - 0.14 * Math.max(shot.smile, 0);
  const lift = Math.max(
    0.022 * trait("brow_height") + shape.brow_raise + shot.brow_raise + (size - 1) * 0.09,
    0.072 * opening * Math.max(...shot.eyes_open) - 0.09, // brows stay over wide open eyes
  );
  const tilted = 0.02 * trait("brow_tilt") + shape.brow_tilt;
  for (const [i, side] of [-1, 1].entries()) {
    put(4 + i, side * (apart + half), y - tilt, side * (apart - half), y + tilt);
    const open = shot.eyes_open[i]!;
    const upper = 0.072 * opening * open * (0.3 + 0.7 * squint);
    const lower = 0.037 * opening * clamp(open, 0.35, 1.2) * squint ** 2;
    put(6 + i, upper, lower, -0.06, 0.12);
    const odd = 0.02 * shot.skew * side;
    const inner = (0.135 - 0.02 * shot.frown) * mix(1, apart / 0.359, 0.5);
    const outer = mix(inner, 0.685 * mix(1, apart / 0.359, 0.7), shape.brow_length);
    put(
      9 + i,
      side * Math.min(outer, halfAt(y - 0.13) * 0.87),
      y - 0.138 - lift - tilted * 0.5 + odd,
      side * inner,
      y - 0.160 - lift + tilted + 0.045 * shot.frown + odd * 0.6,
    );
  }
  const [crease, strength, bag, fold, slope] = person.lids;
  const jowls = Math.max(0.05 * person.age + 0.012 * trait("cheek"), 0) * shape.relief;
  put(
    MORE_AT + 2,
    clamp(0.75 - 0.07 * trait("eye_round") - shape.eye_round, 0.45, 1.15),
    crease * size,
    strength,
    jowls,
  );
  put(MORE_AT + 3, bag, fold, slope, (0.07 + 0.012 * trait("eye_depth")) * shape.relief);
  put(8, ...shot.gaze, 0.071 * mix(1, size, 0.85) * shape.iris_scale, shape.pupil);
  const arch = Math.max((0.086 + 0.018 * trait("brow_arch")) * shape.brow_arch * (1 - 0.2 * shot.frown), 0.01);
  const thick = Math.max(0.046 + 0.011 * trait("brow_thickness"), 0.014) * shape.brow_thickness;
  put(11, arch, arch, 0.55, thick);
}

/** The nose, and the mouth under it. */
function packNoseAndMouth(
  put: Put,
  { person, shot, shape, trait, liberty, longer, place, spread, drop, halfAt }: Layout,
): void {
  const tall = (1 + 0.06 * trait("nose_length")) * shape.nose_length * longer * liberty(6) ** 0.4;
  const base = Math.min(0.525 * tall, 0.60 * longer, 0.86);
  const front = Math.min(0.165 + (0.33 + 0.03 * trait("nose_depth")) * shape.nose_depth * liberty(8), FARTHEST_TIP);
  const fat = clamp(
    (1 + 0.105 * trait("nose_width")) * shape.nose_width * liberty(7),
    Math.max(0.3, (front - 0.4) * 1.6), // long noses are no needles
    Math.min(2.5, 3.4 * halfAt(base)),
  );
  const ball = 0.088 * (1 + 0.08 * trait("nose_tip")) * mix(1, fat, 0.7);
  const droop = shape.nose_tip;
  const tip = Math.min(base - 0.115 * tall + 0.02 * trait("nose_tip") + droop, base + 0.02 + Math.max(droop, 0) - ball);
  put(15, -0.02, 0.215 + 0.012 * trait("nose_bridge"), tip, front);
  const wing = 0.066 * mix(1, fat, 0.6) * (1 + 0.07 * trait("nostril_flare"));
  put(16, ball, 0.118 * fat, base - 0.065 * tall, wing);
  put(17, 0.060 * mix(1, fat, 0.5), shape.nostril, mix(0.24, front, 0.16), base);

  // The corners spread and rise with a smile and come together as the jaw drops.
  const full = shape.lip_scale * liberty(10) * (1 - 0.12 * Math.abs(shot.smile));
  const upper = Math.max(0.068 + 0.014 * trait("upper_lip"), 0.028) * full;
  const lower = Math.max(0.092 + 0.016 * trait("lower_lip"), 0.04) * full;
  const lowest = place(CHIN_Y) - 1.11 * drop - lower - 0.15;
  const under = Math.max(
    (0.725 + 0.018 * trait("mouth_height")) * longer + shape.mouth_y,
    base + 0.06 + Math.max(upper, 0.06),
  );
  const line = Math.min(under, lowest) + 0.09 * drop;
  const curve = 0.055 * shot.smile + shape.mouth_curve;
  const corner = line - curve + 0.28 * drop;
  const smiles = (1 + 0.20 * shot.stretch + 0.12 * Math.max(shot.smile, 0)) * (1 - 0.20 * shot.open);
  const broad = (0.297 + 0.027 * trait("mouth_width")) * shape.mouth_width * liberty(9) * smiles * spread;
  const half = Math.min(broad, halfAt(corner) * 0.75);
  const odd = 0.018 * shot.skew;
  put(12, -half, corner + odd, half, corner - odd);
  const gap = drop * 0.95 + 0.02 * shot.open;
  put(13, upper, lower, gap * 0.30, gap * 0.78);
  put(
    MORE_AT + 4,
    0.02 * trait("nose_hump"),
    0.062 * mix(1, fat, 0.3),
    0.045,
    0.06 * person.beard[2] * person.beard[0],
  );
  put(14, 0.02 + 1.055 * curve, 0.24 + 0.07 * trait("cupid"), shot.teeth * shape.teeth, shot.open > 0.3 ? 0.9 : 0.4);
}

/** Height of the bumps of the face. */
function packRelief(put: Put, { person, shot, shape, trait }: Layout): void {
  const smile = Math.max(shot.smile, 0);
  const ridge = 0.035 + 0.014 * trait("brow_ridge");
  const socket = 0.085 + 0.012 * trait("brow_ridge") + 0.02 * trait("eye_depth");
  const cheekbone = 0.055 + 0.014 * trait("cheekbone") + 0.03 * smile;
  const cheek = clamp(0.01 + 0.03 * trait("cheek") - 0.01 * person.age, -0.025, 0.08);
  put(18, ...[ridge, socket, cheekbone, cheek].map((height) => height * shape.relief));
  const chin = 0.035 + 0.015 * trait("chin_size");
  const fold = 0.010 + 0.014 * person.age + 0.020 * smile;
  put(19, ...[0.045 * shape.lip_scale, chin, 0.03, fold].map((height) => height * shape.relief));
}

/** Bends of the whole head. */
function packBends(put: Put, { person, shape }: Layout): void {
  const { bends } = person;
  const by = Math.min(shape.exaggerate, 1.6);
  const limits = [0.16, 0.22, 0.25, 0.28, 0.2, 0.12, 0.12, 0.2];
  const values = limits.map((limit, i) => clamp(bends[i]! * by, -limit, limit));
  put(MORE_AT, ...values.slice(0, 4));
  put(MORE_AT + 1, ...values.slice(4));
}

/** Brings a skin towards the lightness of a light one, for styles that draw with few tones. */
function lighten(colour: Rgb, by: number): Rgb {
  const lightness = (c: Rgb): number => 0.3 * c[0] + 0.59 * c[1] + 0.11 * c[2];
  return scale(colour, Math.max(lightness(LIGHT_SKIN) / lightness(colour), 1) ** by);
}

/** The looks of a person in the colours of a style: the same in each image, alike for lists of one length. */
function inColours({ person, shot }: HeadParams, colours: StyleColours): HeadParams {
  const share = Math.abs(Math.sin(person.shape.cupid * 12.9898) * 43758.5453) % 1;
  const pick = (list: readonly string[], own: Rgb): Rgb => {
    const hex = list[Math.floor(share * list.length)];
    return hex ? linear(parseInt(hex.slice(1), 16)) : own;
  };
  const { cloth } = shot;
  return {
    person: {
      ...person,
      skin: pick(colours.skin, person.skin),
      hair: pick(colours.hair, person.hair),
      lip: pick(colours.lips, person.lip),
      iris: pick(colours.iris, person.iris),
    },
    shot: {
      ...shot,
      cloth: { ...cloth, colour: pick(colours.cloth, cloth.colour), stripes: colours.cloth.length ? 0 : cloth.stripes },
    },
  };
}

/** Turns a key light to its side, level with the face. */
function fromSide(light: Rgb, by: number): Rgb {
  if (by === 0) return light;
  const turned = blend(light, [light[0] < 0 ? -0.9 : 0.9, -0.3, 0.25], by);
  return scale(turned, 1 / Math.hypot(...turned));
}

/** Exposure by a camera that meters the face: half way to an even grey. */
function exposure(skin: Rgb, { light, key, ambient, lights }: Shot): number {
  const lightness = (c: Rgb): number => 0.3 * c[0] + 0.59 * c[1] + 0.11 * c[2];
  const seen = lightness(key) * clamp(0.35 + 0.65 * light[2], 0.1, 1) + 0.7 * lightness(ambient) +
    lights.reduce((sum, { to, colour }) => sum + 0.6 * lightness(colour) * clamp(to[2] + 0.3, 0, 1), 0);
  return (0.46 / (lightness(skin) * seen)) ** 0.5;
}

/** Hair, colours, light, background and lens. */
function packLooks(
  put: Put,
  { person, shot, shape }: Layout,
  style: StyleRender,
  rows: readonly number[][],
  size_px: number,
): void {
  const { curls, makeup } = person;
  const { background, cloth, lens } = shot;
  const light = fromSide(shot.light, style.shade.side);
  const lit = exposure(person.skin, shot);
  const cut = person.cut[0] > 0 || shape.least_hair === 0 ? person.cut : [shape.least_hair, -0.63, 0.2, 0] as const;
  const hooded = shot.worn.hat[0] === HOOD; // hair is below the cloth
  put(
    20,
    hooded ? Math.min(cut[0], 0.05) : cut[0] * shape.hair,
    cut[1] * mix(1, shape.cranium, 0.6),
    hooded ? Math.min(cut[2], 0.3) : cut[2],
    hooded ? 0 : cut[3],
  );
  put(21, 1, ...curls);
  put(MORE_AT + 5, ...person.fall);
  put(23, ...person.beard, person.age);
  put(25, shape.shoulders, style.colours.blush, style.colours.eye_white, NOSES.indexOf(style.line.nose));
  put(26, ...[0, 1, 2].map((i) => rows.reduce((sum, row, axis) => sum + row[i]! * light[axis]!, 0)), shot.sharpness);
  put(MORE_AT + 8, ...light, shot.sharpness);
  for (const [i, { to, wrap, colour }] of shot.lights.entries()) {
    put(MORE_AT + 9 + 2 * i, ...to, wrap);
    put(MORE_AT + 10 + 2 * i, ...scale(colour, lit));
  }
  put(MORE_AT + 15, ...scale(shot.ground, lit));
  const { worn } = shot;
  put(MORE_AT + 16, ...person.throat);
  put(MORE_AT + 17, ...person.corner);
  put(MORE_AT + 18, ...worn.collar);
  put(MORE_AT + 19, ...worn.linen, cut[0] > 0 ? shot.strands : 0);
  put(MORE_AT + 6, ...worn.hat);
  put(MORE_AT + 7, worn.scarf, ...worn.hand);
  put(MORE_AT + 14, ...worn.colour, worn.hat[0] === 1 ? 1 : 0);
  put(MORE_AT + 13, ...person.lenses);
  put(27, ...lighten(person.skin, shape.light_skin), person.shine);
  put(28, ...lighten(person.lip, shape.light_skin * 0.5), makeup.lips);
  put(29, ...person.iris);
  put(30, ...person.hair);
  put(31, ...scale(blend(person.hair, BROW_BROWN, 0.45), 0.5), person.brow);
  put(32, ...cloth.colour);
  put(33, ...person.marks);
  put(34, ...background.low, background.kind);
  put(35, ...background.high);
  put(36, ...person.rims);
  put(37, ...cloth.second, cloth.stripes);
  put(38, Math.max(makeup.lash, 0.15), ...(makeup.shadow ?? [0, 0, 0]));
  put(41, ...scale(shot.key, lit));
  put(42, ...scale(shot.ambient, lit), shot.rim);
  put(43, lens[0] * size_px / 64, lens[1], lens[2], lens[3]);
  put(44, shot.grey ? 1 : 0, ...shot.film);
}

/**
 * Writes a head as the texels that the shaders read.
 *
 * @param head Person and shot.
 * @param style The recipe: proportions, colours of people, where the light is.
 * @param size_px Side of the image.
 * @returns `[PARAM_TEXELS, 4]`; the crop of texel 0 is set by {@link setCrop}.
 */
export function packHead(head: HeadParams, style: StyleRender, size_px: number): Float32Array {
  const out = new Float32Array(PARAM_TEXELS * 4);
  const put: Put = (texel, ...values) => out.set(values, texel * 4);
  const layout = packSkull(put, inColours(head, style.colours), style.shape);
  packEyes(put, layout);
  packNoseAndMouth(put, layout);
  packRelief(put, layout);
  const rows = rotation(head.shot.pose);
  put(0, head.shot.distance);
  rows.forEach((row, i) => put(1 + i, ...row, PIVOT[i]!));
  put(24, head.shot.seed, size_px);
  packLooks(put, layout, style, rows, size_px);
  packBends(put, layout);
  return out;
}

/** True if a head wears or holds anything, from its texels. */
export function wearsAnything(texels: Float32Array): boolean {
  const [hat, scarf, hand, collar] = [[6, 0], [7, 0], [7, 1], [18, 0]].map(([at, i]) =>
    texels[(MORE_AT + at!) * 4 + i!]
  );
  return [hat, scarf, hand, collar].some((value) => value !== 0);
}

/** Where the crop lies on the screen. */
export interface Crop {
  /** Screen units a pixel. */
  unit: number;
  /** Pixel column of the screen's origin. */
  x: number;
  /** Pixel row of the screen's origin. */
  y: number;
}

/** Sets the crop of packed texels. */
export function setCrop(texels: Float32Array, { unit, x, y }: Crop): void {
  texels.set([unit, x, y], 1);
}
