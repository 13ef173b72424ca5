/**
 * Manners, such as a print, a drawing, a painting or a sculpture: each narrows the ranges of everything but proportions.
 *
 * @module
 */
import { always, hued, list, oneOf, ratio, some, whole, within } from "./draws.ts";
import { type Kind, type Narrower, skinColour } from "./ranges.ts";

/** Colours are those of the person. */
const natural = { skin: always([]), hair: always([]), lips: always([]), iris: always([]) };
const none = { kind: always("none" as const) };
const noLines = { outline: always(0), feature: always(0) };
const paperGround = { kind: oneOf<Kind<"background">>({ paper: 4, gradient: 1, disc: 1 }) };

/** Manners: how often each is, and its ranges. */
export const MANNERS: Readonly<Record<string, { weight: number; ranges: Narrower }>> = {
  any: { weight: 2, ranges: {} },
  photograph: {
    weight: 1.2,
    ranges: {
      colours: { ...natural, blush: always(0) },
      shade: { kind: always("smooth"), plain: always(0) },
      line: noLines,
      fill: { amount: always(1), posterise: always(0), hue_deg: some(0.1, within(-40, 40), 0) },
      background: { kind: oneOf<Kind<"background">>({ scene: 3, gradient: 1 }) },
      marks: none,
      medium: none,
      palette: { kind: oneOf<Kind<"palette">>({ none: 3, lightness: 1 }), dither: within(0.05, 0.15) },
      paper: { bare: some(0.1, within(0.3, 1), 0) },
      lens: { photo: within(0.3, 1) },
      landmarks: { eye_ends: always(0.09) },
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
      colours: { ...natural, blush: some(0.3, within(0, 1), 0) },
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
