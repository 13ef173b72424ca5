/**
 * Landmark schemas: the order of a face's landmarks, and everything that depends on it, read from `faces/schemas/*.yaml`.
 *
 * A new schema is one YAML file and one entry of `FILES` below. "Left" is the left of the *image*.
 *
 * Easy to get wrong: indices count from 0; in a YAML file `0-16` is a range with both ends, and `16-9` counts down.
 *
 * @module
 */
import { parse } from "yaml";
import { z } from "zod";
import { InputError } from "../formats/input_error.ts";
import type { Colour } from "./data/image.ts";
import { meanPoint } from "./landmarks.ts";
import cofw29 from "./schemas/cofw29.yaml" with { type: "text" };
import helen194 from "./schemas/helen194.yaml" with { type: "text" };
import ibug68 from "./schemas/ibug68.yaml" with { type: "text" };
import ibug70 from "./schemas/ibug70.yaml" with { type: "text" };
import manga60 from "./schemas/manga60.yaml" with { type: "text" };
import webcaricature17 from "./schemas/webcaricature17.yaml" with { type: "text" };
import wflw98 from "./schemas/wflw98.yaml" with { type: "text" };

/** A line through landmarks. */
export interface Contour {
  /** Name, such as `left_eye`. */
  readonly name: string;
  /** Indices of the landmarks, in order. */
  readonly points: readonly number[];
  /** True if the last point is joined to the first. */
  readonly closed: boolean;
  /** Colour of the line in drawings; no two contours have the same. */
  readonly colour: Colour;
  /** Colour of its points: the mean of `colour` and white unless the file names another. */
  readonly point_colour: Colour;
}

/** Landmarks that are drawn as points only. */
export interface Dots {
  /** Indices of the landmarks. */
  readonly points: readonly number[];
  /** Their colour. */
  readonly colour: Colour;
}

/** The two places whose distance is a normaliser; each is the mean of its landmarks. */
export interface Span {
  /** Indices of the landmarks on the left. */
  readonly left: readonly number[];
  /** Indices of the landmarks on the right. */
  readonly right: readonly number[];
}

/** The landmarks of a face. Plain data, which may be sent to other threads. */
export interface LandmarkSchema {
  /** Name, such as `ibug68`. */
  readonly name: SchemaName;
  /** Description in a few words. */
  readonly doc: string;
  /** Publication that defines the landmarks. */
  readonly source: string;
  /** Number of landmarks, P. */
  readonly count: number;
  /** Names of landmarks that have one, by index. */
  readonly names: ReadonlyMap<number, string>;
  /** Lines of the face. A landmark may lie on several contours or on none. */
  readonly contours: readonly Contour[];
  /** Landmarks on no contour. */
  readonly dots: readonly Dots[];
  /** Landmarks of each part of the face that is measured separately; every landmark is in one region. */
  readonly regions: Readonly<Record<string, readonly number[]>>;
  /** `mirror[i]` is the landmark that takes the place of landmark i in the mirrored face. */
  readonly mirror: readonly number[];
  /** Landmarks of the left half, without those of the middle line. */
  readonly left_half: ReadonlySet<number>;
  /** Distances that errors are divided by: between the outer eye corners, and between the pupils. */
  readonly normalisers: Readonly<Record<"interocular" | "interpupil", Span>>;
  /** Landmarks whose mean is the root of the nose: the middle between the outer eye corners of a frontal face. */
  readonly nose_root: readonly number[];
  /** For each schema that this one contains, the landmarks whose mean is its landmark i. */
  readonly maps: Readonly<Record<string, readonly (readonly number[])[]>>;
}

const index = z.int().min(0);
const points = z.union([index, z.string(), z.array(z.union([index, z.string()]))]);
const colour = z.string().regex(/^#[0-9a-f]{6}$/);
const span = z.strictObject({ left: points, right: points });

const schemaFile = z.strictObject({
  schema: z.string(),
  doc: z.string(),
  source: z.string(),
  count: z.int().min(1),
  names: z.record(z.string(), z.string()),
  contours: z.array(z.strictObject({
    name: z.string(),
    points,
    closed: z.boolean(),
    colour,
    point_colour: colour.optional(),
  })),
  dots: z.array(z.strictObject({ points, colour })).default([]),
  regions: z.record(z.string(), points),
  mirror: z.array(span),
  normalisers: z.strictObject({ interocular: span, interpupil: span }),
  nose_root: points,
  maps: z.record(z.string(), z.array(z.array(z.union([index, z.string()])))).default({}),
});

/**
 * Expands a list of indices and ranges.
 *
 * @param entries `5`, `"0-16"`, or a list of such; a range that starts with the larger index counts down.
 * @returns Indices in order.
 * @throws {TypeError} If an entry is neither.
 */
export function expandIndices(entries: number | string | readonly (number | string)[]): number[] {
  const list = typeof entries === "object" ? entries : [entries];
  return list.flatMap((entry) => {
    if (typeof entry === "number") return [entry];
    const [, from, to] = /^(\d+)-(\d+)$/.exec(entry) ?? [];
    if (from === undefined) {
      throw new TypeError(`Cannot read "${entry}" as landmarks: an index or first-last is expected`);
    }
    const first = Number(from), step = Number(to) < first ? -1 : 1;
    return Array.from({ length: Math.abs(Number(to) - first) + 1 }, (_, i) => first + step * i);
  });
}

/** Landmarks of a map's entry: an index, a range, or `mean 37 38`. */
function sources(entry: number | string): number[][] {
  if (typeof entry === "string" && entry.startsWith("mean ")) return [entry.slice(5).split(" ").map(Number)];
  return expandIndices(entry).map((one) => [one]);
}

const rgb = (hex: string) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)) as unknown as Colour;

function readSchema(text: string): LandmarkSchema {
  const file = schemaFile.parse(parse(text));
  const pairs = file.mirror.map(({ left, right }) => [expandIndices(left), expandIndices(right)] as const);
  const mirror = Array.from({ length: file.count }, (_, i) => i);
  for (const [left, right] of pairs) {
    for (const [k, l] of left.entries()) {
      const r = right[k];
      if (r === undefined) {
        throw new TypeError(`Cannot read the schema ${file.schema}: landmark ${l} has no mirror image`);
      }
      [mirror[l], mirror[r]] = [r, l];
    }
  }
  const expand = ({ left, right }: z.output<typeof span>) => ({
    left: expandIndices(left),
    right: expandIndices(right),
  });
  return {
    name: file.schema as SchemaName,
    doc: file.doc,
    source: file.source,
    count: file.count,
    names: new Map(Object.entries(file.names).map(([at, name]) => [Number(at), name])),
    contours: file.contours.map(({ name, points, closed, colour, point_colour }) => ({
      name,
      points: expandIndices(points),
      closed,
      colour: rgb(colour),
      point_colour: point_colour ? rgb(point_colour) : rgb(colour).map((v) => (v + 255) / 2) as unknown as Colour,
    })),
    dots: file.dots.map(({ points, colour }) => ({ points: expandIndices(points), colour: rgb(colour) })),
    regions: Object.fromEntries(Object.entries(file.regions).map(([name, points]) => [name, expandIndices(points)])),
    mirror,
    left_half: new Set(pairs.flatMap(([left]) => left)),
    normalisers: {
      interocular: expand(file.normalisers.interocular),
      interpupil: expand(file.normalisers.interpupil),
    },
    nose_root: expandIndices(file.nose_root),
    maps: Object.fromEntries(Object.entries(file.maps).map(([to, rows]) => [to, rows.flat().flatMap(sources)])),
  };
}

const FILES: Readonly<Record<SchemaName, string>> = {
  ibug68,
  wflw98,
  cofw29,
  ibug70,
  helen194,
  manga60,
  webcaricature17,
};

/** Name of a schema. */
export type SchemaName = "ibug68" | "wflw98" | "cofw29" | "ibug70" | "helen194" | "manga60" | "webcaricature17";

/** Names of the schemas, for options and files. */
export const schemaName = z.enum(Object.keys(FILES) as [SchemaName, ...SchemaName[]]);

/** The schema of faces and detectors whose file names none. */
export const DEFAULT_SCHEMA: SchemaName = "ibug68";

/** Every schema, by its name; a file is parsed at its first use. */
export const SCHEMAS: Readonly<Record<SchemaName, LandmarkSchema>> = (() => {
  const parsed: Partial<Record<SchemaName, LandmarkSchema>> = {};
  const getters = schemaName.options.map((name) =>
    [name, { enumerable: true, get: () => parsed[name] ??= readSchema(FILES[name]) }] as const
  );
  return Object.defineProperties({}, Object.fromEntries(getters)) as Record<SchemaName, LandmarkSchema>;
})();

/** A hint that names the schemas of a number of landmarks; undefined if there is none. */
export function schemaHint(count: number): string | undefined {
  const names = schemaName.options.filter((name) => SCHEMAS[name].count === count);
  return names.length ? `${names.join(" and ")} has ${count} landmarks: set schema` : undefined;
}

/**
 * Converts landmarks of one schema to another.
 *
 * @param landmarks `[n, P, 2]`, in the order of `from`.
 * @param from Schema of the landmarks.
 * @param to Schema wanted.
 * @returns `[n, P', 2]`; the landmarks themselves when the schemas are the same.
 * @throws {InputError} If `from` does not contain `to`.
 */
export function convertLandmarks(landmarks: Float32Array, from: LandmarkSchema, to: LandmarkSchema): Float32Array {
  if (from.name === to.name) return landmarks;
  const map = from.maps[to.name];
  if (!map) {
    const known = Object.keys(from.maps).join(" and ") || "no other schema";
    throw new InputError(
      `Cannot convert landmarks of ${from.name} to ${to.name}: ${from.name} contains ${known}, hint: name the schema of the data`,
    );
  }
  const faces = landmarks.length / (2 * from.count);
  const result = new Float32Array(faces * 2 * to.count);
  for (let face = 0; face < faces; face++) {
    const own = landmarks.subarray(2 * face * from.count, 2 * (face + 1) * from.count);
    map.forEach((points, k) => result.set(meanPoint(own, points), 2 * (face * to.count + k)));
  }
  return result;
}

/**
 * Converts marks of landmarks of one schema to another.
 *
 * @param marked Landmarks of `from` by index, as those that are hidden.
 * @param from Schema of the marks.
 * @param to Schema wanted, which `from` contains.
 * @returns Landmarks of `to` by index; a mean of several is marked if one of them is.
 */
export function convertMarks(marked: readonly number[], from: LandmarkSchema, to: LandmarkSchema): number[] {
  if (from.name === to.name) return [...marked];
  const own = new Set(marked);
  return (from.maps[to.name] ?? []).flatMap((points, k) => points.some((p) => own.has(p)) ? [k] : []);
}
