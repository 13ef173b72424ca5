/**
 * The skull of a head: its proportions and its slices, on which all other parts are placed.
 *
 * Lengths are in eye widths of the mean face, see head.ts.
 *
 * @module
 */
import { clamp, mix } from "./numbers.ts";
import type { Person, Trait } from "./person.ts";
import type { HeadParams, Shot } from "./shot.ts";
import type { StyleShape } from "./styles.ts";
import { TABLE, TEXELS } from "./texels.ts";

/** The mean face and its surroundings are wider than seen by this factor: the sides of a head are farther from the camera. */
const DEPTH_WIDENS = 1.07;

type Point = readonly [across: number, y: number];
/** Writes numbers into a texel and those after it. */
export type Put = (texel: number, ...values: readonly number[]) => void;

// Half of the mean face's outline from the front, [half-width, y]: temples upwards, then the heights of landmarks 0 to 7.
// deno-fmt-ignore
const TEMPLES: readonly Point[] = [[0.22, -1.27], [0.42, -1.17], [0.60, -1.02], [0.740, -0.78], [0.800, -0.5], [0.803, -0.25]];
// deno-fmt-ignore
const JAW: readonly Point[] = [
  [0.797, -0.02], [0.782, 0.215], [0.758, 0.425], [0.726, 0.628], [0.652, 0.822], [0.513, 0.985], [0.360, 1.110], [0.192, 1.208],
];
const CROWN_Y = -1.30;
/** Height of the mean chin. */
export const CHIN_Y = 1.235;
/** Lowest chin that the slice table has rows for. */
const LOWEST_CHIN = 2.3;
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

/** Least and greatest x of a closed outline in each row of the slice table; null outside it. */
function spans(outline: readonly Point[]): (Span | null)[] {
  const rows: (Span | null)[] = new Array(TABLE.SIZE).fill(null);
  for (let i = 0; i < outline.length; i++) {
    const [p, q] = [outline[i]!, outline[(i + 1) % outline.length]!];
    const first = Math.ceil((Math.min(p[1], q[1]) - TABLE.TOP) / TABLE.STEP);
    const last = Math.floor((Math.max(p[1], q[1]) - TABLE.TOP) / TABLE.STEP);
    for (let row = Math.max(first, 0); row <= Math.min(last, TABLE.SIZE - 1); row++) {
      const t = (TABLE.TOP + row * TABLE.STEP - p[1]) / (q[1] - p[1] || 1e-9);
      const x = mix(p[0], q[0], clamp(t, 0, 1));
      const span = rows[row];
      rows[row] = span ? [Math.min(span[0], x), Math.max(span[1], x)] : [x, x];
    }
  }
  return rows;
}

/** Sizes that the parts of a face share. */
export interface Layout {
  readonly person: Person;
  readonly shot: Shot;
  readonly shape: StyleShape;
  /** A trait in standard deviations, as far as the style exaggerates it. */
  trait(name: Trait): number;
  /** Factor by which the style strays from its proportions in this image; part numbers are arbitrary. */
  liberty(part: number): number;
  /** Factor on lengths below the eyes. */
  readonly longer: number;
  /** Factor on widths. */
  readonly wider: number;
  /** Spread of the features over that width. */
  readonly spread: number;
  /** Drop of the jaw. */
  readonly drop: number;
  /** Height on this face for one of the mean face. */
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

/** Place at which the slice at a height is widest, z. */
function widestAt({ shape, place }: Proportions, y: number): number {
  const i = WIDEST.findIndex(([, to]) => place(to) > y);
  const [a, b] = [WIDEST[i - 1]!, WIDEST[i]!];
  const z = mix(a[0], b[0], (y - place(a[1])) / (place(b[1]) - place(a[1])));
  return z + shape.cheek_forward * clamp(-z - 0.2, 0, 0.6) / 0.6;
}

/** Fixes the proportions of the head and writes its slices. */
export function packSkull(put: Put, { person, shot }: HeadParams, shape: StyleShape): Layout {
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
  for (let row = 0; row < TABLE.SIZE; row++) {
    const y = TABLE.TOP + row * TABLE.STEP;
    const [left, right] = widths[row] ?? [0, 0];
    const widest = widestAt(proportions, y);
    const [back, front] = depths[row] ?? [widest, widest];
    const centre = clamp(widest, back + 0.01, Math.max(front - 0.01, back + 0.01));
    // squares, because they are nearly linear in y where the head closes
    const squares = [(right - left) / 2, front - centre, centre - back].map((length) => Math.max(length, LEAST) ** 2);
    put(TEXELS.table + row, ...squares, centre);
  }
  put(TEXELS.jaw, ...JAW.map(([, y]) => place(y)));
  put(
    TEXELS.limits,
    crown,
    place(CHIN_Y),
    person.neck * shape.neck,
    (1 + 0.08 * trait("ear")) * shape.ear * liberty(11),
  );
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
      const [left, right] = widths[clamp(Math.round((y - TABLE.TOP) / TABLE.STEP), 0, TABLE.SIZE - 1)] ?? [0, 0];
      return (right - left) / 2;
    },
  };
}
