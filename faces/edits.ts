/**
 * Landmark edits as data: what `pipelines/edits/*.yaml` say, applied to a face.
 *
 * An edit moves landmarks in the face's own frame (x along the line of the outer eye corners, y down the face), in units
 * of the distance of those corners ("iod"), so that it means the same on any face. Every displacement is proportional to
 * the edit's `amount`; `random` lists further random factors of the moves. Each move is repeated for the
 * other half of the face, so that every edit commutes with mirroring; what it does to the left it does to the right,
 * except that moves with a `lateral` random factor do the mirrored opposite (both sides to the left, one side up and one down).
 * On a turned head the far half, which looks narrower, moves less along x than the near one.
 *
 * @module
 */
import { z } from "zod";
import type { RandomSource } from "../engine/rng.ts";
import { fileNames, readText } from "../formats/files.ts";
import { InputError } from "../formats/input_error.ts";
import { schemaDiagnostics } from "../formats/schema_diagnostics.ts";
import { jsonSchema } from "../formats/schema_describe.ts";
import { type Diagnostic, getIn, parseYaml, PipelineError, toJS } from "../formats/yaml_tree.ts";
import { interocular, type Landmarks, meanPoint } from "./landmarks.ts";
import { roundTo } from "./statistics.ts";
import { expandIndices, type LandmarkSchema, schemaName, SCHEMAS } from "./schema.ts";

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
  /** How far from the named landmarks others still move, smoothly less with the distance; 0 moves none. */
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
  /** What it does, in a sentence. */
  readonly doc: string;
  /** How strong it may be; drawn uniformly. */
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
  /** How strong it was, after the guard. */
  amount: number;
  /** Values of the random factors, when the edit has any. */
  draws?: Record<string, number>;
}

const LIMIT_IOD = 1;
const iod = z.number().min(-LIMIT_IOD).max(LIMIT_IOD);
const range = { min: z.number().min(-1).max(1), max: z.number().min(-1).max(1) };

const editFile = z.strictObject({
  edit: z.string().regex(/^[a-z][a-z0-9_]*$/, "must be a name of small letters, digits and _"),
  schema: schemaName,
  doc: z.string().min(1),
  amount: z.strictObject(range),
  random: z.record(z.string(), z.strictObject({ ...range, lateral: z.boolean().default(false) })).default({}),
  moves: z.array(z.strictObject({
    points: z.array(z.union([z.int().min(0), z.string()])).min(1),
    offset_iod: z.tuple([iod, iod]),
    multiply_by: z.string().optional(),
    falloff_iod: z.number().min(0).max(2).default(0),
  })).default([]),
  transforms: z.array(z.strictObject({
    rotate_deg: z.number().min(-45).max(45).default(0),
    scale_x: z.number().min(-0.5).max(0.5).default(0),
    scale_y: z.number().min(-0.5).max(0.5).default(0),
    shear: z.number().min(-0.5).max(0.5).default(0),
    multiply_by: z.string().optional(),
  })).default([]),
});

/**
 * Reads an edit.
 *
 * @param text YAML, as in `pipelines/edits/`.
 * @param file Its name, for errors.
 * @returns The edit.
 * @throws {PipelineError} With every error and its line.
 */
export function parseEdit(text: string, file: string): Edit {
  const source = { name: file, text };
  const problems: Diagnostic[] = [];
  const tree = parseYaml(source, problems);
  const complain = (path: readonly PropertyKey[], message: string, hint?: string) => {
    let at = tree ? getIn(tree, path)?.at : undefined;
    for (let n = path.length - 1; !at && n >= 0; n--) at = tree ? getIn(tree, path.slice(0, n))?.at : undefined;
    problems.push({ at: at ?? { source, offset: 0 }, message, hint });
  };
  if (tree === null) throw new PipelineError(problems, file);
  const parsed = editFile.safeParse(toJS(tree));
  if (!parsed.success) {
    const about = { owner: "the edit", type: "an edit" };
    problems.push(...schemaDiagnostics(parsed.error, tree, jsonSchema(editFile), about));
    throw new PipelineError(problems, file);
  }
  const { edit: name, doc, amount, random, moves, transforms } = parsed.data;
  const schema = SCHEMAS[parsed.data.schema];
  const { mirror } = schema;
  if (amount.min > amount.max) complain(["amount"], `Cannot draw an amount from ${amount.min} to ${amount.max}`);
  if (moves.length + transforms.length === 0) complain([], "Cannot use an edit without moves and transforms");
  for (const [key, { min, max, lateral }] of Object.entries(random)) {
    if (min > max) complain(["random", key], `Cannot draw "${key}" from ${min} to ${max}`);
    if (lateral && min !== -max) {
      complain(
        ["random", key],
        `Cannot draw "${key}" from ${min} to ${max} as it is lateral`,
        "left and right are alike: min is -max",
      );
    }
  }
  const isLateral = (multiply_by: string | undefined, path: readonly PropertyKey[]) => {
    if (multiply_by === undefined) return false;
    const known = Object.keys(random);
    if (!known.includes(multiply_by)) {
      complain(
        [...path, "multiply_by"],
        `Cannot multiply by "${multiply_by}" as random has no such name`,
        `random: ${known.join(", ") || "none"}`,
      );
    }
    return random[multiply_by]?.lateral ?? false;
  };
  transforms.forEach(({ rotate_deg, scale_x, scale_y, shear, multiply_by }, i) => {
    const lateral = isLateral(multiply_by, ["transforms", i]);
    if (lateral ? scale_x || scale_y : rotate_deg || shear) {
      complain(
        ["transforms", i],
        "Cannot mirror the transform",
        "rotate_deg and shear need a lateral random factor, scale_x and scale_y another one or none",
      );
    }
  });
  const result = moves.map((move, i): Move => {
    const lateral = isLateral(move.multiply_by, ["moves", i]);
    const [dx, dy] = move.offset_iod;
    const offset_iod = new Map<number, readonly [number, number]>();
    const put = (point: number, x: number, y: number, at: PropertyKey) => {
      const [oldX, oldY] = offset_iod.get(point) ?? [x, y];
      if (oldX !== x || oldY !== y || (mirror[point] === point && (lateral ? y : x) !== 0)) {
        complain(
          ["moves", i, "points", at],
          `Cannot move landmark ${point} by [${dx}, ${dy}] as its mirror image moves the other way`,
          mirror[point] === point
            ? `on the middle of the face only ${lateral ? "x" : "y"} may change here`
            : "name the landmarks of one half; the other half follows",
        );
      }
      offset_iod.set(point, [x, y]);
    };
    move.points.forEach((entry, at) => {
      const points = expandPoints(entry, schema);
      if (!points) {
        complain(
          ["moves", i, "points", at],
          `Cannot read "${entry}" as landmarks`,
          `a number, first-last, or one of ${schema.contours.map((contour) => contour.name).join(", ")}`,
        );
      }
      for (const point of points ?? []) put(point, dx, dy, at);
      for (const point of points ?? []) put(mirror[point]!, lateral ? dx : -dx || 0, lateral ? -dy || 0 : dy, at);
    });
    return { offset_iod, multiply_by: move.multiply_by, falloff_iod: move.falloff_iod };
  });
  if (problems.length > 0) throw new PipelineError(problems, file);
  return { name, schema, doc, amount, random: new Map(Object.entries(random)), moves: result, transforms };
}

function expandPoints(entry: number | string, { contours, count }: LandmarkSchema): readonly number[] | undefined {
  const contour = contours.find(({ name }) => name === entry);
  if (contour) return contour.points;
  if (typeof entry === "string" && !/^\d+-\d+$/.test(entry)) return undefined;
  const points = expandIndices(entry);
  return points[0]! <= points.at(-1)! && points.every((point) => point < count) ? points : undefined;
}

/**
 * Reads the edits of a folder, in the order of their file names.
 *
 * @param dir A folder of `.yaml` files.
 * @param names Only these; all unless given.
 * @returns The edits.
 * @throws {PipelineError} If a file cannot be read.
 * @throws {InputError} If there is no file for a name, or a file's edit is named otherwise than the file.
 */
export async function readEdits(dir: string, names?: readonly string[]): Promise<Edit[]> {
  const ending = ".yaml";
  const found = (await fileNames(dir)).filter((name) => name.endsWith(ending)).map((name) =>
    name.slice(0, -ending.length)
  )
    .sort();
  const missing = names?.find((name) => !found.includes(name));
  if (missing !== undefined) {
    throw new InputError(`Cannot find the edit "${missing}" in ${dir}`, {
      hint: `there are ${found.join(", ") || "none"}`,
    });
  }
  return await Promise.all((names ?? found).map(async (name) => {
    const file = `${dir}/${name}.yaml`;
    const edit = parseEdit(await readText(file), file);
    if (edit.name !== name) throw new InputError(`Cannot use ${file} as its edit is named "${edit.name}"`);
    return edit;
  }));
}

/**
 * Applies one edit, with no guard.
 *
 * @param landmarks `[P, 2]`, pixels, in the order of the edit's schema.
 * @param edit The edit.
 * @param amount How strong; 0 changes nothing.
 * @param draws Values of the edit's random factors.
 * @returns New landmarks.
 */
export function applyEdit(
  landmarks: Landmarks,
  edit: Edit,
  amount: number,
  draws: Readonly<Record<string, number>> = {},
): Landmarks {
  if (amount === 0) return landmarks.slice();
  const { count, left_half, nose_root, normalisers: { interocular: eyes } } = edit.schema;
  const unit = interocular(landmarks, edit.schema);
  const [leftX, leftY] = meanPoint(landmarks, eyes.left), [rightX, rightY] = meanPoint(landmarks, eyes.right);
  // the face's x axis; its y axis is (-sin, cos)
  const cos = (rightX - leftX) / unit;
  const sin = (rightY - leftY) / unit;
  const result = landmarks.slice();
  // Each half's width against their mean: 1 and 1 from the front. The halves of a turned head recede unlike.
  const [noseX, noseY] = meanPoint(landmarks, nose_root);
  const middle = (noseX - leftX) * cos + (noseY - leftY) * sin;
  const leftWidth = Math.max(0, Math.min(2, 2 * middle / unit)), rightWidth = 2 - leftWidth;
  for (const { offset_iod, multiply_by, falloff_iod } of edit.moves) {
    const factor = unit * amount * (multiply_by === undefined ? 1 : draws[multiply_by]!);
    // What shifts both halves to one side keeps their shape, so it is left as it is.
    const lateral = multiply_by !== undefined && edit.random.get(multiply_by)!.lateral;
    const seen = lateral ? offset_iod : new Map([...offset_iod].map(([point, [dx, dy]]) => {
      const width = left_half.has(point) ? leftWidth : rightWidth; // in the middle dx is 0
      return [point, [dx * width, dy] as const];
    }));
    for (let point = 0; point < count; point++) {
      const [dx, dy] = seen.get(point) ?? dragged(landmarks, point, seen, falloff_iod * unit);
      result[2 * point]! += factor * (cos * dx - sin * dy);
      result[2 * point + 1]! += factor * (sin * dx + cos * dy);
    }
  }
  for (const { rotate_deg, scale_x, scale_y, shear, multiply_by } of edit.transforms) {
    const factor = amount * (multiply_by === undefined ? 1 : draws[multiply_by]!);
    const angle = rotate_deg * factor * Math.PI / 180;
    const c = Math.cos(angle), s = Math.sin(angle);
    const [x0, y0] = meanPoint(result, Array.from({ length: count }, (_, i) => i));
    for (let i = 0; i < result.length; i += 2) {
      const x = result[i]! - x0, y = result[i + 1]! - y0;
      const across = cos * x + sin * y, down = cos * y - sin * x;
      const u = (1 + scale_x * factor) * across + shear * factor * down, v = (1 + scale_y * factor) * down;
      const turnedU = c * u - s * v, turnedV = s * u + c * v;
      result[i] = x0 + cos * turnedU - sin * turnedV;
      result[i + 1] = y0 + sin * turnedU + cos * turnedV;
    }
  }
  return result;
}

/** How a landmark that a move does not name follows those it does: their weighted mean, less with the distance. */
function dragged(
  landmarks: Landmarks,
  point: number,
  offset_iod: Move["offset_iod"],
  reach_px: number,
): [number, number] {
  let x = 0, y = 0, sum = 0, nearest = 0;
  if (reach_px > 0) {
    for (const [other, [dx, dy]] of offset_iod) {
      const distance = Math.hypot(
        landmarks[2 * point]! - landmarks[2 * other]!,
        landmarks[2 * point + 1]! - landmarks[2 * other + 1]!,
      );
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
 * @param options `pick` edits are applied, 2 unless given; `size_px` is the side of the frame, none unless given.
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
    const edit = left.splice(random.int(left.length), 1)[0]!;
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

/** What is applied is what is recorded. */
const round = (value: number) => roundTo(value, 4);

interface Segment {
  contour: number;
  from: number;
  to: number;
}

type Crossing = readonly [Segment, Segment];
const crossings = new Map<string, readonly Crossing[]>();

/** Pairs of a schema's segments that share no landmark and so must not meet. */
function crossingsOf({ name, contours }: LandmarkSchema): readonly Crossing[] {
  let pairs = crossings.get(name);
  if (!pairs) {
    const segments = contours.flatMap(({ points, closed }, contour) =>
      points.flatMap((from, i): Segment[] => {
        const to = points[i + 1] ?? (closed ? points[0]! : undefined);
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
 * Says what is wrong with an edited face that was not wrong before: lines that cross, a closed contour turned inside out,
 * or a landmark that left the frame.
 *
 * @param before `[P, 2]`, pixels.
 * @param after The same face, edited.
 * @param schema Schema of both.
 * @param size_px Side of the frame, pixels; no frame unless given.
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
    for (let i = 0; i < after.length; i++) {
      if (!inside(after[i]!) && inside(before[i]!)) return `landmark ${i >> 1} leaves the frame`;
    }
  }
  const { contours } = schema;
  for (const { name, points, closed } of contours) {
    if (closed && signedArea(before, points) * signedArea(after, points) < 0) return `${name} turns inside out`;
  }
  for (const [a, b] of crossingsOf(schema)) {
    if (cross(after, a, b) && !cross(before, a, b)) {
      return `${contours[a.contour]!.name} crosses ${a.contour === b.contour ? "itself" : contours[b.contour]!.name}`;
    }
  }
}

function signedArea(landmarks: Landmarks, points: readonly number[]): number {
  let sum = 0;
  points.forEach((p, i) => {
    const q = points[(i + 1) % points.length]!;
    sum += landmarks[2 * p]! * landmarks[2 * q + 1]! - landmarks[2 * q]! * landmarks[2 * p + 1]!;
  });
  return sum / 2;
}

function cross(landmarks: Landmarks, a: Segment, b: Segment): boolean {
  const side = ({ from, to }: Segment, point: number) => {
    const x = landmarks[2 * from]!, y = landmarks[2 * from + 1]!;
    return (landmarks[2 * to]! - x) * (landmarks[2 * point + 1]! - y) -
      (landmarks[2 * to + 1]! - y) * (landmarks[2 * point]! - x);
  };
  return side(a, b.from) * side(a, b.to) < 0 && side(b, a.from) * side(b, a.to) < 0;
}
