/**
 * Landmark edits, applied to a face; `edit_file.ts` reads them from `pipelines/edits/*.yaml`.
 *
 * An edit moves landmarks in the face's own frame (x along the line of the outer eye corners, y down the face), in units
 * of the distance of those corners ("iod"), so that it means the same on any face. Every displacement is proportional to
 * the edit's `amount`; `random` lists further random factors of the moves. Each move is repeated for the
 * other half of the face, so that every edit commutes with mirroring. Both halves move alike, except that moves with a
 * `lateral` random factor do the mirrored opposite (both sides to the left, one side up and one down).
 * On a turned head the far half, which appears narrower, moves less along x than the near one.
 *
 * @module
 */
import type { RandomSource } from "../engine/rng.ts";
import { InputError } from "../formats/input_error.ts";
import { pointAt, type Segment, segmentsCross, signedArea } from "./geometry.ts";
import { interocular, type Landmarks, meanPoint } from "./landmarks.ts";
import type { LandmarkSchema } from "./schema.ts";
import { roundTo } from "./statistics.ts";

/** From `min` to `max`, both included. */
export interface Range {
  /** Least value. */
  readonly min: number;
  /** Greatest value. */
  readonly max: number;
}

/** Displacements of some landmarks, and how they drag their neighbours along. */
export interface Move {
  /** Displacement of each landmark that is named, iod in the face's frame, at amount 1. */
  readonly offset_iod: ReadonlyMap<number, readonly [number, number]>;
  /** Name of the random factor that multiplies it. */
  readonly multiply_by?: string | undefined;
  /** Distance from the named landmarks up to which others move, smoothly less with the distance; 0 moves none. */
  readonly falloff_iod: number;
}

/** A linear map of the whole face about the mean of its landmarks, at amount 1. */
export interface Transform {
  /** Rotation, clockwise. */
  readonly rotate_deg: number;
  /** Change of width, as a share of it: x is multiplied by 1 plus this. */
  readonly scale_x: number;
  /** Change of height, as a share of it: y is multiplied by 1 plus this. */
  readonly scale_y: number;
  /** Horizontal shear: x is shifted by this share of y. */
  readonly shear: number;
  /** Name of the random factor that multiplies it. */
  readonly multiply_by?: string | undefined;
}

/** An edit that was read and checked. */
export interface Edit {
  /** Its name, as in `chubby`. */
  readonly name: string;
  /** Schema of the landmarks that it moves. */
  readonly schema: LandmarkSchema;
  /** Its effect, in a sentence. */
  readonly doc: string;
  /** Range of its strength; drawn uniformly. */
  readonly amount: Range;
  /** Further random factors; a lateral one changes sign when the face is mirrored. */
  readonly random: ReadonlyMap<string, Range & { readonly lateral: boolean }>;
  /** Added up. */
  readonly moves: readonly Move[];
  /** Done after the moves, in order. */
  readonly transforms: readonly Transform[];
}

/** An edit as it was applied: enough to apply it again. */
export interface AppliedEdit {
  /** Name of the edit. */
  edit: string;
  /** Its strength, after the guard. */
  amount: number;
  /** Values of the random factors, when the edit has any. */
  draws?: Record<string, number>;
}

/** The frame of a face, in which edits move landmarks. */
export interface FaceFrame {
  /** Distance of the outer eye corners, pixels. */
  readonly unit: number;
  /** Cosine of the angle of the face's x axis, which goes along the line of the eye corners. */
  readonly cos: number;
  /** Sine of it; the face's y axis is (-sin, cos). */
  readonly sin: number;
  /**
   * Width of the half in which a landmark lies, against the mean of both: 1 from the front. The halves of a turned head recede
   * unlike.
   */
  widthAt(point: number): number;
}

/**
 * The frame of a face.
 *
 * @param landmarks `[P, 2]`, pixels.
 * @param schema Their schema.
 */
export function faceFrame(landmarks: Landmarks, schema: LandmarkSchema): FaceFrame {
  const { left_half, nose_root, normalisers: { interocular: eyes } } = schema;
  const unit = interocular(landmarks, schema);
  const [leftX, leftY] = meanPoint(landmarks, eyes.left), [rightX, rightY] = meanPoint(landmarks, eyes.right);
  const cos = (rightX - leftX) / unit, sin = (rightY - leftY) / unit;
  const [noseX, noseY] = meanPoint(landmarks, nose_root);
  const middle = (noseX - leftX) * cos + (noseY - leftY) * sin;
  const leftWidth = Math.max(0, Math.min(2, 2 * middle / unit)), rightWidth = 2 - leftWidth;
  return { unit, cos, sin, widthAt: (point) => left_half.has(point) ? leftWidth : rightWidth };
}

/**
 * Applies one edit, with no guard.
 *
 * @param landmarks `[P, 2]`, pixels, in the order of the edit's schema.
 * @param edit The edit.
 * @param amount How strong; 0 changes nothing.
 * @param draws Values of the edit's random factors.
 * @returns New landmarks.
 * @throws {TypeError} If the value of a random factor is missing.
 */
export function applyEdit(
  landmarks: Landmarks,
  edit: Edit,
  amount: number,
  draws: Readonly<Record<string, number>> = {},
): Landmarks {
  if (amount === 0) return landmarks.slice();
  const { count } = edit.schema, { unit, cos, sin, widthAt } = faceFrame(landmarks, edit.schema);
  const result = landmarks.slice();
  const factorOf = (name: string | undefined) => {
    if (name === undefined) return 1;
    const drawn = draws[name];
    if (drawn === undefined) throw new TypeError(`Cannot apply the edit "${edit.name}": "${name}" is not drawn`);
    return drawn;
  };
  for (const { offset_iod, multiply_by, falloff_iod } of edit.moves) {
    const factor = unit * amount * factorOf(multiply_by);
    // A shift of both halves to one side keeps their shape, so it is not scaled.
    const lateral = multiply_by !== undefined && edit.random.get(multiply_by)?.lateral;
    const seen = lateral ? offset_iod : new Map([...offset_iod].map(([point, [dx, dy]]) => {
      const width = widthAt(point); // in the middle dx is 0
      return [point, [dx * width, dy] as const];
    }));
    for (let point = 0; point < count; point++) {
      const [dx, dy] = seen.get(point) ?? dragged(landmarks, point, seen, falloff_iod * unit);
      const [x, y] = pointAt(result, point);
      result.set([x + factor * (cos * dx - sin * dy), y + factor * (sin * dx + cos * dy)], 2 * point);
    }
  }
  for (const { rotate_deg, scale_x, scale_y, shear, multiply_by } of edit.transforms) {
    const factor = amount * factorOf(multiply_by);
    const angle = rotate_deg * factor * Math.PI / 180;
    const c = Math.cos(angle), s = Math.sin(angle);
    const [x0, y0] = meanPoint(result, Array.from({ length: count }, (_, i) => i));
    for (let point = 0; point < count; point++) {
      const [px, py] = pointAt(result, point);
      const x = px - x0, y = py - y0;
      const across = cos * x + sin * y, down = cos * y - sin * x;
      const u = (1 + scale_x * factor) * across + shear * factor * down, v = (1 + scale_y * factor) * down;
      const turnedU = c * u - s * v, turnedV = s * u + c * v;
      result.set([x0 + cos * turnedU - sin * turnedV, y0 + sin * turnedU + cos * turnedV], 2 * point);
    }
  }
  return result;
}

/** Shift of a landmark that a move does not name, by those it does: their weighted mean, less with the distance. */
function dragged(
  landmarks: Landmarks,
  point: number,
  offset_iod: Move["offset_iod"],
  reach_px: number,
): [number, number] {
  let x = 0, y = 0, sum = 0, nearest = 0;
  if (reach_px > 0) {
    const [x0, y0] = pointAt(landmarks, point);
    for (const [other, [dx, dy]] of offset_iod) {
      const [x1, y1] = pointAt(landmarks, other);
      const distance = Math.hypot(x0 - x1, y0 - y1);
      const closeness = Math.max(0, 1 - distance / reach_px), weight = closeness ** 2;
      x += weight * dx;
      y += weight * dy;
      sum += weight;
      nearest = Math.max(nearest, closeness);
    }
  }
  if (sum === 0) return [0, 0];
  const smooth = nearest * nearest * (3 - 2 * nearest) / sum;
  return [smooth * x, smooth * y];
}

/**
 * Applies some edits that are drawn at random, one after the other, and never spoils the face.
 *
 * An edit that would make lines cross, turn an eye or the mouth inside out, or put a landmark outside the frame is tried
 * again at half the amount, four times, and then left out for another one.
 *
 * @param landmarks `[P, 2]`, pixels.
 * @param schema Their schema.
 * @param edits To choose from, all with the same chance.
 * @param options `pick` edits are applied, by default 2; `size_px` is the side of the frame, by default none.
 * @param random Everything random comes from here.
 * @returns New landmarks, and what was applied: fewer than `pick` only if nothing else fits.
 * @throws {InputError} If an edit is of another schema.
 */
export function applyEdits(
  landmarks: Landmarks,
  schema: LandmarkSchema,
  edits: readonly Edit[],
  options: { pick?: number; size_px?: number },
  random: Pick<RandomSource, "uniform" | "int">,
): { landmarks: Landmarks; applied: AppliedEdit[] } {
  const { pick = 2, size_px } = options;
  const other = edits.find((edit) => edit.schema.name !== schema.name);
  if (other) {
    throw new InputError(
      `Cannot apply the edit "${other.name}" to landmarks of ${schema.name}: it is for ${other.schema.name}`,
    );
  }
  const RETRIES = 4;
  const left = [...edits];
  const applied: AppliedEdit[] = [];
  let current: Landmarks = landmarks.slice();
  while (applied.length < pick && left.length > 0) {
    const [edit] = left.splice(random.int(left.length), 1);
    if (!edit) break;
    const between = ({ min, max }: Range) => round(min + (max - min) * random.uniform());
    let amount = between(edit.amount);
    const draws = Object.fromEntries([...edit.random].map(([key, range]) => [key, between(range)]));
    for (let attempt = 0; attempt <= RETRIES; attempt++, amount = round(amount / 2)) {
      const edited = applyEdit(current, edit, amount, draws);
      if (spoils(current, edited, schema, size_px) !== undefined) continue;
      current = edited;
      applied.push({ edit: edit.name, amount, ...(edit.random.size > 0 && { draws }) });
      break;
    }
  }
  return { landmarks: current, applied };
}

/** Rounds a strength: the applied one is the recorded one. */
const round = (value: number) => roundTo(value, 4);

/** A segment of a contour, with the contour's name. */
interface ContourSegment extends Segment {
  readonly contour: string;
}

type Crossing = readonly [ContourSegment, ContourSegment];
const crossings = new Map<string, readonly Crossing[]>();

/** Pairs of a schema's segments that share no landmark and so must not meet. */
function crossingsOf({ name, contours }: LandmarkSchema): readonly Crossing[] {
  let pairs = crossings.get(name);
  if (!pairs) {
    const segments = contours.flatMap(({ name: contour, points, closed }) =>
      points.flatMap((from, i): ContourSegment[] => {
        const to = points[i + 1] ?? (closed ? points[0] : undefined);
        return to === undefined ? [] : [{ contour, from, to }];
      })
    );
    pairs = segments.flatMap((a, i) =>
      segments.slice(i + 1)
        .filter((b) => a.from !== b.from && a.from !== b.to && a.to !== b.from && a.to !== b.to)
        .map((b): Crossing => [a, b])
    );
    crossings.set(name, pairs);
  }
  return pairs;
}

/**
 * Describes the first new defect of an edited face: lines that cross, a closed contour turned inside out,
 * or a landmark that left the frame.
 *
 * @param before `[P, 2]`, pixels.
 * @param after The same face, edited.
 * @param schema Schema of both.
 * @param size_px Side of the frame, pixels; by default no frame.
 * @returns One line, or undefined when all is well.
 */
export function spoils(
  before: Landmarks,
  after: Landmarks,
  schema: LandmarkSchema,
  size_px?: number,
): string | undefined {
  if (size_px !== undefined) {
    const inside = (value: number) => value >= 0 && value <= size_px - 1;
    for (const [i, value] of after.entries()) {
      if (!inside(value) && inside(before[i]!)) return `landmark ${i >> 1} leaves the frame`;
    }
  }
  for (const { name, points, closed } of schema.contours) {
    if (closed && signedArea(before, points) * signedArea(after, points) < 0) return `${name} turns inside out`;
  }
  for (const [a, b] of crossingsOf(schema)) {
    if (segmentsCross(after, a, b) && !segmentsCross(before, a, b)) {
      return `${a.contour} crosses ${a.contour === b.contour ? "itself" : b.contour}`;
    }
  }
}
