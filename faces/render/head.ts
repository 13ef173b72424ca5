/**
 * A person and a shot as the texels that the shaders read (texels.ts).
 *
 * Lengths are in *eye widths of the mean face* (outer corner to outer corner = 1): x to the right of the image, y down,
 * z to the camera, origin between the eyes. The mean face follows anthropometric means of adults: what is seen from the
 * front agrees with the mean of landmarks on photographs within 0.03.
 *
 * @module
 */
import { blend, LIGHT_SKIN, linear, type Rgb, scale } from "./colours.ts";
import { clamp, mix } from "./numbers.ts";
import type { Person } from "./person.ts";
import { type HeadParams, HOOD, type Shot } from "./shot.ts";
import { CHIN_Y, type Layout, packSkull, type Put } from "./skull.ts";
import { NOSES, type StyleColours, type StyleRender, type StyleShape } from "./styles.ts";
import { PARAM_TEXELS, TEXELS } from "./texels.ts";

/** The head turns about a point near the top of the neck. */
const PIVOT = [0, 0.4, -0.55];

/** Farthest that the tip of a nose may stand out: the margin that rays keep from the skull. */
const FARTHEST_TIP = 1;
/** Brows are darker than fair or grey hair. */
const BROW_BROWN: Rgb = [0.035, 0.02, 0.013];

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
    put(TEXELS.eye_left + i, side * (apart + half), y - tilt, side * (apart - half), y + tilt);
    const open = shot.eyes_open[i]!;
    const upper = 0.072 * opening * open * (0.3 + 0.7 * squint);
    const lower = 0.037 * opening * clamp(open, 0.35, 1.2) * squint ** 2;
    put(TEXELS.lids_left + i, upper, lower, -0.06, 0.12);
    const odd = 0.02 * shot.skew * side;
    const inner = (0.135 - 0.02 * shot.frown) * mix(1, apart / 0.359, 0.5);
    const outer = mix(inner, 0.685 * mix(1, apart / 0.359, 0.7), shape.brow_length);
    put(
      TEXELS.brow_left + i,
      side * Math.min(outer, halfAt(y - 0.13) * 0.87),
      y - 0.138 - lift - tilted * 0.5 + odd,
      side * inner,
      y - 0.160 - lift + tilted + 0.045 * shot.frown + odd * 0.6,
    );
  }
  const [crease, strength, bag, fold, slope] = person.lids;
  const jowls = Math.max(0.05 * person.age + 0.012 * trait("cheek"), 0) * shape.relief;
  put(
    TEXELS.eye_form,
    clamp(0.75 - 0.07 * trait("eye_round") - shape.eye_round, 0.45, 1.15),
    crease * size,
    strength,
    jowls,
  );
  put(TEXELS.eye_more, bag, fold, slope, (0.07 + 0.012 * trait("eye_depth")) * shape.relief);
  put(TEXELS.gaze, ...shot.gaze, 0.071 * mix(1, size, 0.85) * shape.iris_scale, shape.pupil);
  const arch = Math.max((0.086 + 0.018 * trait("brow_arch")) * shape.brow_arch * (1 - 0.2 * shot.frown), 0.01);
  const thick = Math.max(0.046 + 0.011 * trait("brow_thickness"), 0.014) * shape.brow_thickness;
  put(TEXELS.arch, arch, arch, 0.55, thick);
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
  put(TEXELS.nose_line, -0.02, 0.215 + 0.012 * trait("nose_bridge"), tip, front);
  const wing = 0.066 * mix(1, fat, 0.6) * (1 + 0.07 * trait("nostril_flare"));
  put(TEXELS.nose_wing, ball, 0.118 * fat, base - 0.065 * tall, wing);
  put(TEXELS.nose_base, 0.060 * mix(1, fat, 0.5), shape.nostril, mix(0.24, front, 0.16), base);

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
  put(TEXELS.mouth, -half, corner + odd, half, corner - odd);
  const gap = drop * 0.95 + 0.02 * shot.open;
  put(TEXELS.lips, upper, lower, gap * 0.30, gap * 0.78);
  put(
    TEXELS.nose_form,
    0.02 * trait("nose_hump"),
    0.062 * mix(1, fat, 0.3),
    0.045,
    0.06 * person.beard[2] * person.beard[0],
  );
  put(
    TEXELS.smile,
    0.02 + 1.055 * curve,
    0.24 + 0.07 * trait("cupid"),
    shot.teeth * shape.teeth,
    shot.open > 0.3 ? 0.9 : 0.4,
  );
}

/** Height of the bumps of the face. */
function packRelief(put: Put, { person, shot, shape, trait }: Layout): void {
  const smile = Math.max(shot.smile, 0);
  const ridge = 0.035 + 0.014 * trait("brow_ridge");
  const socket = 0.085 + 0.012 * trait("brow_ridge") + 0.02 * trait("eye_depth");
  const cheekbone = 0.055 + 0.014 * trait("cheekbone") + 0.03 * smile;
  const cheek = clamp(0.01 + 0.03 * trait("cheek") - 0.01 * person.age, -0.025, 0.08);
  put(TEXELS.bumps, ...[ridge, socket, cheekbone, cheek].map((height) => height * shape.relief));
  const chin = 0.035 + 0.015 * trait("chin_size");
  const fold = 0.010 + 0.014 * person.age + 0.020 * smile;
  put(TEXELS.bumps_low, ...[0.045 * shape.lip_scale, chin, 0.03, fold].map((height) => height * shape.relief));
}

/** Bends of the whole head. */
function packBends(put: Put, { person, shape }: Layout): void {
  const { bends } = person;
  const by = Math.min(shape.exaggerate, 1.6);
  const limits = [0.16, 0.22, 0.25, 0.28, 0.2, 0.12, 0.12, 0.2];
  const values = limits.map((limit, i) => clamp(bends[i]! * by, -limit, limit));
  put(TEXELS.bend_axis, ...values.slice(0, 4));
  put(TEXELS.bend_parts, ...values.slice(4));
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

function packHair(put: Put, { person, shot, shape }: Layout): void {
  const cut = cutOf(person, shape);
  const hooded = shot.worn.hat[0] === HOOD; // hair is below the cloth
  put(
    TEXELS.hair,
    hooded ? Math.min(cut[0], 0.05) : cut[0] * shape.hair,
    cut[1] * mix(1, shape.cranium, 0.6),
    hooded ? Math.min(cut[2], 0.3) : cut[2],
    hooded ? 0 : cut[3],
  );
  put(TEXELS.hair_form, 1, ...person.curls);
  put(TEXELS.hair_fall, ...person.fall);
  put(TEXELS.hair_colour, ...person.hair);
  put(TEXELS.brow_colour, ...scale(blend(person.hair, BROW_BROWN, 0.45), 0.5), person.brow);
  put(TEXELS.beard, ...person.beard, person.age);
}

/** The cut of the hair; some styles give hair to the bald. */
function cutOf({ cut }: Person, { least_hair }: StyleShape): Person["cut"] {
  return cut[0] > 0 || least_hair === 0 ? cut : [least_hair, -0.63, 0.2, 0];
}

function packSkin(put: Put, { person, shape }: Layout): void {
  const { makeup } = person;
  put(TEXELS.skin, ...lighten(person.skin, shape.light_skin), person.shine);
  put(TEXELS.lip, ...lighten(person.lip, shape.light_skin * 0.5), makeup.lips);
  put(TEXELS.iris, ...person.iris);
  put(TEXELS.marks, ...person.marks);
  put(TEXELS.makeup, Math.max(makeup.lash, 0.15), ...(makeup.shadow ?? [0, 0, 0]));
  put(TEXELS.throat, ...person.throat);
  put(TEXELS.corner, ...person.corner);
}

/** Clothes, and what is worn or held. */
function packClothes(put: Put, { person, shot: { cloth, worn, strands }, shape }: Layout): void {
  put(TEXELS.cloth, ...cloth.colour);
  put(TEXELS.stripes, ...cloth.second, cloth.stripes);
  put(TEXELS.collar, ...worn.collar);
  put(TEXELS.linen, ...worn.linen, cutOf(person, shape)[0] > 0 ? strands : 0);
  put(TEXELS.hat, ...worn.hat);
  put(TEXELS.held, worn.scarf, ...worn.hand);
  put(TEXELS.worn, ...worn.colour, worn.hat[0] === 1 ? 1 : 0);
  put(TEXELS.lenses, ...person.lenses);
  put(TEXELS.rims, ...person.rims);
}

/** Lights; `rows` are those of the rotation from head to camera. */
function packLight(put: Put, { person, shot }: Layout, { shade }: StyleRender, rows: readonly number[][]): void {
  const lit = exposure(person.skin, shot), light = fromSide(shot.light, shade.side);
  const inHead = [0, 1, 2].map((i) => rows.reduce((sum, row, axis) => sum + row[i]! * light[axis]!, 0));
  put(TEXELS.key_to, ...inHead, shot.sharpness);
  put(TEXELS.key_camera, ...light, shot.sharpness);
  put(TEXELS.key, ...scale(shot.key, lit));
  put(TEXELS.ambient, ...scale(shot.ambient, lit), shot.rim);
  for (const [i, { to, wrap, colour }] of shot.lights.entries()) {
    put(TEXELS.lights + 2 * i, ...to, wrap);
    put(TEXELS.lights + 2 * i + 1, ...scale(colour, lit));
  }
  put(TEXELS.ground, ...scale(shot.ground, lit));
}

/** Background and lens. */
function packPicture(put: Put, { shot: { background, lens, grey, film } }: Layout, size_px: number): void {
  put(TEXELS.back_low, ...background.low, background.kind);
  put(TEXELS.back_high, ...background.high);
  put(TEXELS.lens, lens[0] * size_px / 64, lens[1], lens[2], lens[3]);
  put(TEXELS.film, grey ? 1 : 0, ...film);
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
  packBends(put, layout);
  packHair(put, layout);
  packSkin(put, layout);
  packClothes(put, layout);
  const rows = rotation(head.shot.pose), { shape, line, colours, landmarks } = style;
  put(TEXELS.camera, head.shot.distance);
  rows.forEach((row, i) => put(TEXELS.row_x + i, ...row, PIVOT[i]!));
  packLight(put, layout, style, rows);
  packPicture(put, layout, size_px);
  put(TEXELS.shot, head.shot.seed, size_px);
  put(TEXELS.landmarks, landmarks.near_edge, landmarks.eye_ends, landmarks.brow_ends, landmarks.nose_side);
  put(TEXELS.style, shape.shoulders, colours.blush, colours.eye_white, NOSES.indexOf(line.nose));
  return out;
}

/** True if a head wears or holds anything, from its texels. */
export function wearsAnything(texels: Float32Array): boolean {
  const { hat, held, collar } = TEXELS;
  return [hat * 4, held * 4, held * 4 + 1, collar * 4].some((at) => texels[at] !== 0);
}

/** Place of the crop on the screen. */
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
  texels.set([unit, x, y], TEXELS.camera * 4 + 1);
}
