/**
 * Formats of annotated landmarks: each is a file that parses it, and one row of `registry.ts`.
 *
 * @module
 */
import { InputError } from "../../../formats/input_error.ts";
import type { Landmarks } from "../../landmarks.ts";
import type { Origin } from "../../pts.ts";
import type { LandmarkSchema, SchemaName } from "../../schema.ts";

/** Conventions by which the landmarks of a file are read. */
export interface AnnotationContext {
  /** Path of the file, for errors. */
  readonly name: string;
  /** Schema of the landmarks in the file. */
  readonly schema: LandmarkSchema;
  /** Coordinate of the centre of the first pixel in the file. */
  readonly origin: Origin;
}

/** Landmarks of one face in a file next to its image. */
export interface ImageFormat {
  /** Name, for options. */
  readonly name: string;
  /** Description, for the documentation of options. */
  readonly doc: string;
  /** True if each image has a file of its own. */
  readonly perImage: true;
  /** Files that may hold an image's landmarks, relative to its folder; the first that exists is read. */
  files(image: string): readonly string[];
  /**
   * Reads a file.
   *
   * @returns `[P, 2]`, counted from 0.
   * @throws {InputError} If it is no such file, with its name.
   */
  parse(bytes: Uint8Array<ArrayBuffer>, context: AnnotationContext): Landmarks;
}

/** A face of a file of many. */
export interface ListedFace {
  /** Path of the image, as the file has it. */
  readonly image: string;
  /** `[P, 2]`, pixels, counted from 0. */
  readonly landmarks: Landmarks;
  /** Style, if the file names it. */
  readonly style?: string;
  /** Group, if the file names it. */
  readonly group?: string;
}

/** One file with the landmarks of many faces. */
export interface ListFormat {
  /** Name, for options. */
  readonly name: string;
  /** Description, for the documentation of options. */
  readonly doc: string;
  /** True if each image has a file of its own. */
  readonly perImage: false;
  /** Schema of the landmarks, where the format has one of its own. */
  readonly schema?: SchemaName;
  /**
   * Reads a file.
   *
   * @param each To be called for each face with its place, a line or a path in the file, and what reads it; that throws an
   * `InputError` when the face cannot be used, and the other faces are read all the same.
   * @throws {InputError} If it is no such file at all.
   */
  parse(text: string, each: (place: string | number, read: () => ListedFace) => void, context: AnnotationContext): void;
}

/**
 * Checks the numbers of a face.
 *
 * @param values x0, y0, x1, y1 and so on.
 * @returns `[P, 2]`, counted from 0.
 * @throws {InputError} If their number is another than the schema's, or one is not finite.
 */
export function toLandmarks(
  values: readonly unknown[],
  context: Pick<AnnotationContext, "schema" | "origin">,
): Landmarks {
  const { schema: { count }, origin } = context;
  if (values.length !== 2 * count) {
    throw new InputError(`there are ${values.length} numbers instead of ${2 * count}`);
  }
  const wrong = values.findIndex((value) => typeof value !== "number" || !Number.isFinite(value));
  if (wrong >= 0) throw new InputError(`landmark ${Math.floor(wrong / 2)} is no pair of numbers`);
  return Float32Array.from(values as number[], (value) => value - origin);
}

/** A file's name without its ending. */
export function stem(file: string): string {
  return file.replace(/\.[^.]*$/, "");
}
