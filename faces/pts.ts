/**
 * The text format of 300-W landmark files (`.pts`).
 *
 * @module
 */
import { readText } from "../formats/files.ts";
import { InputError } from "../formats/input_error.ts";
import { pointAt } from "./geometry.ts";
import type { Landmarks } from "./landmarks.ts";
import { type LandmarkSchema, schemaHint } from "./schema.ts";

/**
 * Origin of a file's coordinates, which is that of the top-left pixel's centre: 0; 0.5 where they are measured from the
 * image's corner, as CVAT and Label Studio do; 1 in 300-W's own files.
 */
export type Origin = 0 | 0.5 | 1;

/**
 * Reads a `.pts` file: `version:` and `n_points:` in front, one `x y` a line between braces, any white space.
 *
 * @param text The file.
 * @param schema Schema of the landmarks.
 * @param options `name` names the file in errors; `origin` is 0 unless the file counts pixels from 1.
 * @returns Landmarks counted from 0, `[P, 2]`.
 * @throws {InputError} Naming file and line, if it is not such a file or has another number of points.
 *
 * @example
 * ```ts
 * import { formatPts, parsePts } from "./faces/pts.ts";
 * import { SCHEMAS } from "./faces/schema.ts";
 * const landmarks = parsePts(formatPts(new Float32Array(2 * SCHEMAS.ibug68.count)), SCHEMAS.ibug68);
 * ```
 */
export function parsePts(
  text: string,
  { name: schema, count }: LandmarkSchema,
  options: { name?: string; origin?: Origin } = {},
): Landmarks {
  const { name = "landmarks", origin = 0 } = options;
  const fail = (line: number, what: string) =>
    new InputError(
      `Cannot read ${name}:${line}: ${what}, hint: ${count} lines "x y" between { and } are expected, of ${schema}`,
    );
  const values: number[] = [];
  let line = 1, announced = count, announcedAt = 1, opened = false, closed = false;
  for (const [token] of text.matchAll(/\n|[{}]|[^\s{}:]+[^\S\n]*:[^\S\n]*[^\s{}]*|[^\s{}]+/g)) {
    if (token === "\n") line++;
    else if (token === "{" && !opened) opened = true;
    else if (token === "}" && opened && !closed) closed = true;
    else if (!opened) {
      const [, key, value] = /^([^\s:]+)\s*:\s*(.*)$/.exec(token) ?? [];
      if (key === undefined) throw fail(line, `"${token}" stands before the {`);
      if (key === "n_points") [announced, announcedAt] = [Number(value), line];
    } else {
      const value = closed ? NaN : Number(token);
      if (!Number.isFinite(Math.fround(value))) {
        throw fail(line, closed ? `"${token}" stands after the }` : `"${token}" is no number`);
      }
      values.push(value - origin);
    }
  }
  if (!closed) throw fail(line, opened ? "the } is missing" : "there is no {");
  if (values.length !== 2 * count) {
    const other = schemaHint(values.length / 2);
    throw fail(line, `there are ${values.length} numbers instead of ${2 * count}${other ? ` (${other})` : ""}`);
  }
  if (announced !== count) throw fail(announcedAt, `n_points is ${announced} instead of ${count}`);
  return Float32Array.from(values);
}

/**
 * Writes landmarks as a `.pts` file, counted from 0, thousandths of a pixel.
 *
 * @param landmarks `[P, 2]`, pixels.
 * @returns The file.
 */
export function formatPts(landmarks: Landmarks): string {
  const lines = ["version: 1", `n_points: ${landmarks.length / 2}`, "{"];
  for (let p = 0; p < landmarks.length / 2; p++) {
    lines.push(pointAt(landmarks, p).map((px) => px.toFixed(3)).join(" "));
  }
  return lines.join("\n") + "\n}\n";
}

/**
 * Reads a `.pts` file from disk.
 *
 * @param path The file.
 * @param schema Schema of the landmarks.
 * @param origin 0 unless the file counts pixels from 1.
 * @returns Landmarks counted from 0, `[P, 2]`.
 * @throws As {@linkcode parsePts}, and what reading a file throws.
 */
export async function readPts(path: string, schema: LandmarkSchema, origin: Origin = 0): Promise<Landmarks> {
  return parsePts(await readText(path), schema, { name: path, origin });
}
