/**
 * People as numbers, drawn at random.
 *
 * Lengths are in *eye widths of the mean face* (outer corner to outer corner = 1): x to the right of the image, y down,
 * z to the camera, origin between the eyes.
 *
 * @module
 */
import type { RandomSource } from "../../engine/rng.ts";
import { blend, CLOTHES, HAIRS, IRISES, linear, pick, type Rgb, scale, SKINS } from "./colours.ts";
import { clamp, mix } from "./numbers.ts";

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

/**
 * Draws a person.
 *
 * The order of the draws is part of the result: another order gives other people.
 *
 * @param random A generator at the person's own place: the same place gives the same person.
 */
export function samplePerson(random: RandomSource): Person {
  const { shape, bends, feminine } = sampleShape(random);
  const age = clamp(random.uniform() ** 1.6, 0, 1);
  const { skin, dark } = sampleSkin(random);
  const hair = sampleHair(random, { age, dark });
  const painted = feminine && random.uniform() < 0.45;
  const lip = sampleLip(random, { skin, dark, painted });
  const { cut, fall, curls } = sampleCut(random, { feminine, age, dark, forehead: shape.forehead });
  const beard = sampleBeard(random, feminine);
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
    lids: sampleLids(random, age),
    marks: sampleMarks(random, age),
    lenses: sampleLenses(random),
    shine: 0.04 + 0.18 * random.uniform() ** 1.5,
    rims: random.uniform() < 0.6 ? [0.02, 0.018, 0.02] : scale(pick(random, CLOTHES), 0.6),
    makeup: sampleMakeup(random, { feminine, painted }),
    bends,
    ...sampleThroat(random, { feminine, age, beard, cheek: shape.cheek }),
    corner: sampleCorner(random, { feminine, age }),
  };
}

/** Draws the shape of the face and the bends of the head: most people are near the mean face, some far, up to caricature. */
function sampleShape(random: RandomSource): Pick<Person, "shape" | "bends"> & { feminine: boolean } {
  const shape = {} as Record<Trait, number>;
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
  return { shape, bends, feminine };
}

/** Draws the colour of the skin; `dark` if it is one of dark skins. */
function sampleSkin(random: RandomSource): { skin: Rgb; dark: boolean } {
  const depth = clamp(random.uniform() ** 1.5, 0, 0.999) * (SKINS.length - 1);
  const at = Math.floor(depth);
  const [pink, sallow] = [0.05 * random.normal(), 0.07 * random.normal()];
  const tone = blend(SKINS[at]!, SKINS[at + 1]!, depth - at);
  const skin: Rgb = [tone[0] * (1 + pink), tone[1], tone[2] * (1 - sallow)];
  return { skin, dark: depth > 3.5 };
}

/** Draws the colour of the hair, which is grey or turns so for some who are old. */
function sampleHair(random: RandomSource, { age, dark }: { age: number; dark: boolean }): Rgb {
  const hair = pick(random, dark ? HAIRS.slice(0, 3) : HAIRS.slice(0, 8));
  if (random.uniform() >= age * age) return hair;
  return blend(hair, pick(random, HAIRS.slice(8)), 0.4 + 0.6 * random.uniform());
}

/** Draws the colour of the lips. */
function sampleLip(
  random: RandomSource,
  { skin, dark, painted }: { skin: Rgb; dark: boolean; painted: boolean },
): Rgb {
  const redden: Rgb = painted ? linear(pick(random, [0xb0303a, 0xc2566a, 0x8e2436])) : linear(0xb05a55);
  const red = blend(skin, redden, (painted ? 0.45 : 0.25) + 0.3 * random.uniform());
  return blend(red, scale(skin, 0.55), dark ? 0.4 : 0.1);
}

/** Draws the hair: its thickness and outline, how it falls before the face, its curls. */
function sampleCut(
  random: RandomSource,
  { feminine, age, dark, forehead }: { feminine: boolean; age: number; dark: boolean; forehead: number },
): Pick<Person, "cut" | "fall" | "curls"> {
  const front = -0.63 - 0.05 * random.normal() + 0.04 * forehead -
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
  return { cut, fall, curls };
}

/** Draws beard and moustache. */
function sampleBeard(random: RandomSource, feminine: boolean): Person["beard"] {
  const shaves = feminine ? 1 : random.uniform();
  const full = 0.6 + 0.4 * random.uniform();
  if (feminine) return [0, 0, 0];
  if (shaves < 0.4) return [0.25 * random.uniform(), 0.2 * random.uniform(), 0];
  if (shaves < 0.65) return [0.7, 0.65, 0.15 * random.uniform()];
  return shaves < 0.88 ? [full, full, 0.6 + 0.4 * random.uniform()] : [0.15, full, 0.8];
}

/** Draws crease, bag and fold of the eyes. */
function sampleLids(random: RandomSource, age: number): Person["lids"] {
  return [
    random.uniform() < 0.25 ? 0.004 : 0.015 + 0.035 * random.uniform(),
    0.15 + 0.6 * random.uniform(),
    clamp(0.25 * Math.abs(random.normal()) + 0.6 * age * random.uniform(), 0, 1),
    0.55 * random.uniform() ** 1.5 + 0.3 * age,
    -0.25 + 0.6 * random.normal(),
  ];
}

/** Draws freckles, redness, spectacles and the grain of the skin. */
function sampleMarks(random: RandomSource, age: number): Person["marks"] {
  return [
    random.uniform() < 0.25 ? random.uniform() : 0,
    0.15 + 0.5 * random.uniform(),
    random.uniform() < 0.15 ? 0.2 + 0.8 * random.uniform() : 0,
    0.4 + 0.6 * random.uniform() + 0.4 * age,
  ];
}

/** Draws the spectacles. */
function sampleLenses(random: RandomSource): Person["lenses"] {
  return [
    0.004 + 0.022 * random.uniform() ** 1.6,
    random.uniform() < 0.22 ? 0.5 + 0.5 * random.uniform() : 0.15 * random.uniform(),
    random.uniform() < 0.5 ? 0.5 * random.uniform() : 0,
    0.85 + 0.35 * random.uniform(),
  ];
}

/** Draws lashes, the colour on the lids, and how far lips stand out. */
function sampleMakeup(
  random: RandomSource,
  { feminine, painted }: { feminine: boolean; painted: boolean },
): Person["makeup"] {
  return {
    lash: feminine ? 0.35 + 0.6 * random.uniform() : 0.15 * random.uniform(),
    shadow: feminine && random.uniform() < 0.3 ? linear(pick(random, [0x5b4a6a, 0x4b3b35, 0x7a5560, 0x3c5566])) : null,
    lips: painted ? 0.6 + 0.4 * random.uniform() : 0.5 * random.uniform() + (feminine ? 0.25 : 0.05),
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
