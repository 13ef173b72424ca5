/**
 * Parts of the rendered world that can be left out, for ablations.
 *
 * The same person in the same image is drawn without a part: no random number changes its place.
 *
 * @module
 */
import type { Rgb } from "./colours.ts";
import { clamp } from "./numbers.ts";
import type { Person, Trait } from "./person.ts";
import type { HeadParams, Shot } from "./shot.ts";

/** Parts that can be left out, each with its replacement. */
const WITHOUT = {
  /** Hats, scarves, collars, hands and spectacles. */
  worn: ({ person, shot }) => ({
    person: { ...person, marks: [person.marks[0], person.marks[1], 0, person.marks[3]] },
    shot: {
      ...shot,
      worn: { ...shot.worn, hat: [0, 0, 0, 1], scarf: 0, hand: [0, 0, 0], collar: [0, 0, 0, 0] },
    },
  }),
  /** All lights but the key light, which comes from the front, and the ambient light. */
  lights: ({ person, shot }) => ({
    person,
    shot: {
      ...shot,
      light: fromFront(shot.light),
      sharpness: 3,
      lights: [{ ...shot.lights[0], colour: BLACK }, { ...shot.lights[1], colour: BLACK }],
      ground: BLACK,
      rim: 0,
    },
  }),
  /** Bends of the whole head, and shapes beyond two standard deviations. */
  bends: ({ person, shot }) => ({
    person: {
      ...person,
      bends: person.bends.map(() => 0),
      shape: Object.fromEntries(
        Object.entries(person.shape).map(([trait, deviations]) => [trait, clamp(deviations, -2, 2)]),
      ) as Record<Trait, number>,
    },
    shot,
  }),
  /** Hair before the face, fringes and beards that hang among it. */
  hair: ({ person, shot }) => {
    const [thickness, front, side, length] = person.cut;
    const cut: Person["cut"] = [thickness, Math.min(front, -0.55), Math.min(side, 0.4), length];
    const [fat, softness, , tone] = person.throat;
    return {
      person: { ...person, cut, fall: [0, 0, 0, 0.02], throat: [fat, softness, 0, tone] },
      shot: { ...shot, strands: 0 },
    };
  },
  /** Age, which also lets the face sag, fat under the chin, folds, freckles, grain and make-up. */
  skin: ({ person, shot }) => {
    const [crease, strength] = person.lids;
    return {
      person: {
        ...person,
        age: 0,
        lids: [crease, strength, 0, 0, 0],
        throat: [0, 0.06, person.throat[2], 0.94],
        corner: [0, 0, 0, 0],
        marks: [0, 0.3, person.marks[2], 0.4],
        makeup: { lash: 0.2, shadow: null, lips: 0.3 },
      },
      shot,
    };
  },
  /** Contrast, blur, noise, exposure and colour casts of photographs. */
  camera: ({ person, shot }) => ({ person, shot: { ...shot, film: [0, 1], lens: [0.05, 0.004, 0, 0], grey: false } }),
} satisfies Record<string, (head: HeadParams) => { person: Person; shot: Shot }>;

/** Name of a part. */
export type Part = keyof typeof WITHOUT;

/** Names of all parts. */
export const PARTS = Object.keys(WITHOUT) as [Part, ...Part[]];

const BLACK: Rgb = [0, 0, 0];

/** A direction with the camera's half of the sky before it, of length 1. */
function fromFront([x, y, z]: Rgb): Rgb {
  const ahead = Math.max(z, 0.6), length = Math.hypot(x, y, ahead);
  return [x / length, y / length, ahead / length];
}

/**
 * Takes parts away from an image.
 *
 * @param head The person and the image of them; it is not changed.
 * @param parts Names of the parts.
 * @returns The same without them.
 */
export function withoutParts(head: HeadParams, parts: readonly Part[]): HeadParams {
  return parts.reduce((left, part) => WITHOUT[part](left), head);
}
