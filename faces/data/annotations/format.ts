/**
 * Formats of annotated landmarks: each is a file that reads and writes it, and one row of `registry.ts`.
 *
 * @module
 */
import { InputError } from "../../../formats/input_error.ts";
import type { Landmarks } from "../../landmarks.ts";
import type { Origin } from "../../pts.ts";
import { type LandmarkSchema, schemaHint, type SchemaName } from "../../schema.ts";

/** Conventions by which the landmarks of a file are read. */
export interface AnnotationContext {
  /** Path of the file, for errors. */
  readonly name: string;
  /** Schema of the landmarks in the file. */
  readonly schema: LandmarkSchema;
  /** Coordinate of the centre of the first pixel in the file. */
  readonly origin: Origin;
}

/** Those of a file that belongs to one image. */
export interface ImageContext extends AnnotationContext {
  /** Width of the image, pixels. */
  readonly width: number;
  /** Height of the image, pixels. */
  readonly height: number;
}

/** A face to write. */
export interface FaceToWrite {
  /** Name of the image's file, without a folder. */
  readonly image: string;
  /** Columns of the image. */
  readonly width: number;
  /** Rows of the image. */
  readonly height: number;
  /** `[P, 2]`, pixels, counted from 0. */
  readonly landmarks: Landmarks;
  /** Style. */
  readonly style: string;
  /** Group. */
  readonly group: string;
  /** Landmarks that are hidden in the picture, by index. */
  readonly occluded?: readonly number[];
}

/** Faces by their images, in the order of the first ones. */
export function byImage(
  faces: readonly FaceToWrite[],
): (readonly [image: string, faces: [FaceToWrite, ...FaceToWrite[]]])[] {
  return [...Map.groupBy(faces, ({ image }) => image)] as [string, [FaceToWrite, ...FaceToWrite[]]][];
}

/** Conventions by which landmarks are written. */
export type WriteContext = Pick<AnnotationContext, "schema" | "origin">;

/** The members that all formats have. */
export interface AnyFormat {
  /** Name, for options. */
  readonly name: string;
  /** Description, for the documentation of options. */
  readonly doc: string;
  /** Schema of the landmarks, where the format has one of its own. */
  readonly schema?: SchemaName;
  /** Coordinate of the centre of the first pixel that the format's own tools mean; by default 0. */
  readonly origin?: Origin;
  /** Properties of a face that files of the format have no place for, where it can be written. */
  readonly lacks?: readonly Lack[];
  /** True if files of the format say which landmarks are hidden in the picture. */
  readonly hides?: boolean;
  /** Other files that the format's tools need beside those with landmarks: texts by their paths. */
  extra?(context: WriteContext): Readonly<Record<string, string>>;
}

/** Property of a face that a format may have no place for. */
export type Lack = "style" | "group" | "fractions of a pixel";

/** Landmarks of the faces of one image in a file next to it. */
export interface ImageFormat extends AnyFormat {
  /** True if each image has a file of its own. */
  readonly perImage: true;
  /**
   * Files that may hold an image's landmarks, relative to its folder; the first that exists is read.
   *
   * @param image Path of the image in the folder.
   */
  files(image: string): readonly string[];
  /** Files beside these that look like the format's landmarks and are others, with the rule by which they are passed over. */
  readonly others?: { readonly files: RegExp; readonly rule: string };
  /** False for images that are no faces, such as masks. By default every image is one. */
  accepts?(image: string): boolean;
  /** Style and group that an image's path gives it. `index.csv` comes first. */
  describe?(image: string): { readonly style?: string; readonly group?: string };
  /**
   * Reads a file.
   *
   * @returns A face or more, each `[P, 2]`, counted from 0.
   * @throws {InputError} If it is no such file, with its name.
   */
  parse(bytes: Uint8Array<ArrayBuffer>, context: ImageContext): Landmarks[];
  /** Folders that images and files are written to; by default one for both, and the first of `files` is a file's name. */
  readonly folders?: { readonly images: string; readonly annotations: string };
  /** Writes a file with the landmarks of one face. */
  write?(face: FaceToWrite, context: WriteContext): string | Uint8Array;
  /** True if the files of faces of one image, one behind the other, are the file of that image; by default it has one face. */
  readonly joins?: true;
}

/** A face of a file of many. */
export interface ListedFace {
  /** Path of the image, as the file has it. */
  readonly image: string;
  /** Other paths that the image may have, where it is not at that one, in order. */
  readonly aliases?: readonly string[];
  /** `[P, 2]`, pixels, counted from 0. */
  readonly landmarks: Landmarks;
  /** Style, if the file names it. */
  readonly style?: string;
  /** Group, if the file names it. */
  readonly group?: string;
  /** Landmarks that are hidden in the picture, by index, if the file has any. */
  readonly occluded?: readonly number[];
}

/** One file with the landmarks of many faces. */
export interface ListFormat extends AnyFormat {
  /** True if each image has a file of its own. */
  readonly perImage: false;
  /** True if the beginning of a file may be of this format, false if it is of another one; for hints. */
  matches(start: string): boolean;
  /**
   * Reads a file.
   *
   * @param each To be called for each face with its place, a line or a path in the file, and what reads it; that throws an
   * `InputError` when the face cannot be used, and the other faces are read all the same.
   * @throws {InputError} If it is no such file at all.
   */
  parse(text: string, each: (place: string | number, read: () => ListedFace) => void, context: AnnotationContext): void;
  /** Name of the file that is written, where the format can be. */
  readonly file?: string;
  /** Writes a file. */
  write?(faces: readonly FaceToWrite[], context: WriteContext): string;
}

/**
 * Checks the numbers of a face.
 *
 * @param values x0, y0, x1, y1 and so on.
 * @returns `[P, 2]`, counted from 0.
 * @throws {InputError} If their number is another than the schema's, or one is not finite.
 */
export function toLandmarks(values: readonly unknown[], { schema: { count }, origin }: WriteContext): Landmarks {
  if (values.length !== 2 * count) {
    throw new InputError(`there are ${values.length} numbers instead of ${2 * count}`, {
      hint: schemaHint(values.length / 2),
    });
  }
  const wrong = values.findIndex((value) => typeof value !== "number" || !Number.isFinite(Math.fround(value)));
  if (wrong >= 0) throw new InputError(`landmark ${Math.floor(wrong / 2)} is no pair of numbers`);
  return Float32Array.from(values as number[], (value) => value - origin);
}

/**
 * Numbers of a text with blanks, commas or semicolons between them.
 *
 * @returns NaN for what is no number.
 */
export function numbersIn(text: string): number[] {
  return text.split(/[\s,;]+/).filter((field) => field !== "").map(Number);
}

/**
 * Landmarks by their labels.
 *
 * @param labels All labels of a face, as in {@linkcode labelledLandmarks}.
 * @returns Index of a label's landmark; undefined for a text that is no name, and it may be none of the schema's.
 */
export function landmarkNumbers(
  labels: readonly string[],
  { count, names }: LandmarkSchema,
): (label: string) => number | undefined {
  const byName = new Map([...names].map(([index, landmark]) => [landmark, index]));
  const isNumber = (label: string) => /^\d{1,6}$/.test(label);
  const numbers = new Set(labels.filter(isNumber).map(Number));
  const first = numbers.has(count) && !numbers.has(0) ? 1 : 0;
  return (label) => isNumber(label) ? Number(label) - first : byName.get(label);
}

/**
 * The landmarks of points that carry labels, in any order.
 *
 * @param points Each with a label: the landmark's number, from 0 or, if the schema's count is among them and 0 is not,
 * from 1; or its name in the schema.
 * @returns `[P, 2]`, counted from 0.
 * @throws {InputError} If a label fits no landmark, or a landmark has no point or two.
 */
export function labelledLandmarks(
  points: readonly { readonly label: string; readonly x: number; readonly y: number }[],
  context: WriteContext,
): Landmarks {
  const { count, name } = context.schema, number = landmarkNumbers(points.map(({ label }) => label), context.schema);
  const values = new Array<number>(2 * count).fill(NaN);
  for (const { label, x, y } of points) {
    const index = number(label);
    if (index === undefined || index >= count) {
      throw new InputError(`label "${label}" is no landmark of ${name}`, {
        hint: `labels are numbers from 0 to ${count - 1}, or names of landmarks in faces/schemas/${name}.yaml`,
      });
    }
    if (!Number.isNaN(values[2 * index])) throw new InputError(`landmark ${index} has two points`);
    values[2 * index] = x;
    values[2 * index + 1] = y;
  }
  const missing = Array.from({ length: count }, (_, i) => i).filter((i) => Number.isNaN(values[2 * i]));
  if (missing.length) {
    throw new InputError(
      `${missing.length === 1 ? "landmark" : "landmarks"} ${missing.slice(0, 5).join(", ")}${
        missing.length > 5 ? ` and ${missing.length - 5} more have` : missing.length === 1 ? " has" : " have"
      } no point`,
      { hint: schemaHint(points.length) },
    );
  }
  return toLandmarks(values, context);
}

/** Reads a file of one image; errors of `read` name the file. */
export function inFile<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(`Cannot read ${name}: ${error.message}`, { cause: error });
  }
}

/**
 * Coordinates to write.
 *
 * @returns x0, y0, x1, y1 and so on, in thousandths of a pixel, as datasets keep them.
 */
export function coordinates(landmarks: Landmarks, origin: Origin): number[] {
  return Array.from(landmarks, (px) => Number((px + origin).toFixed(3)));
}

/** The pairs of a list. */
export function pairs(values: readonly number[]): (readonly [number, number])[] {
  return Array.from(
    { length: values.length >> 1 },
    (_, p) => [values[2 * p] ?? NaN, values[2 * p + 1] ?? NaN] as const,
  );
}

/** A name for each landmark: the schema's, or its number. */
export function landmarkNames({ count, names }: LandmarkSchema): string[] {
  return Array.from({ length: count }, (_, i) => names.get(i) ?? String(i));
}

/** A file's name without its ending. */
export function stem(file: string): string {
  return file.replace(/\.[^./]*$/, "");
}

/**
 * Paths of an image's file in the folder `name` beside the image's own.
 *
 * @param image Path of the image.
 * @param file Name of the file.
 */
export function besideFolder(image: string, name: string, file: string): string {
  const folders = image.split("/").slice(0, -1);
  return folders.length ? [...folders.slice(0, -1), name, file].join("/") : `../${name}/${file}`;
}

/** The last part of a path. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Name of the folder that an image is in; undefined for one at the top. */
export function folderOf(image: string): string | undefined {
  return image.split("/").at(-2);
}

/** Parses JSON, for formats whose file is one. */
// deno-lint-ignore no-explicit-any
export function parseJsonText(text: string): any {
  return JSON.parse(text.replace(/^\uFEFF/, ""));
}
