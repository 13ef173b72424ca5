/**
 * The pictures that `detect` is given: files, folders, patterns and standard input; and boxes of faces.
 *
 * @module
 */

import { basename, dirname, extname, join, resolve, sep } from "node:path";
import { parseCsv } from "../formats/csv.ts";
import { exists, fileNames, filesBelow, folderNames, isFolder, readText } from "../formats/files.ts";
import { InputError } from "../formats/input_error.ts";
import { isImageName, isUnreadImageName } from "../faces/data/folder_files.ts";
import { READABLE } from "../faces/data/image_header.ts";
import type { FacePlace } from "../faces/place.ts";
import { STANDARD_INPUT, UsageError } from "./command.ts";

/** A picture to look at. */
export interface Source {
  /** Path of the file, or `-`. */
  readonly file: string;
  /** Path below the folder that was named; of a file that was named itself, its own name. */
  readonly path: string;
  /** Path of its results below their folder: `path` without its ending. */
  readonly name: string;
}

/**
 * True for files of folders that are looked at: in formats that are not read too, which are named as such. Files that are
 * named are read whatever their ending is.
 */
const isPicture = (name: string) => isImageName(name) || isUnreadImageName(name);

/**
 * The pictures of arguments, in the order of these and sorted within folders and patterns.
 *
 * @param args Files, folders with all that is below them, patterns with `*`, `?`, `**` and `[...]`, or `-`.
 * @param out Folder of the results; nothing below it is taken from a folder or pattern.
 * @throws {UsageError} If there is nothing at a path.
 * @throws {InputError} If a folder has no picture, or two pictures would have the same results.
 */
export async function sourcesOf(args: readonly string[], out?: string): Promise<Source[]> {
  const isResult = (file: string) => out !== undefined && `${resolve(file)}${sep}`.startsWith(`${resolve(out)}${sep}`);
  const sources: Source[] = [];
  for (const arg of args) {
    if (arg === STANDARD_INPUT) sources.push({ file: arg, path: arg, name: "stdin" });
    else if (exists(arg)) {
      if (await isFolder(arg)) {
        const files = filesBelow(arg).filter((file) => isPicture(file) && !isResult(join(arg, file)));
        if (!files.length) {
          throw new InputError(`Cannot detect in ${arg}: there is no image in it`, { hint: `${READABLE} are read` });
        }
        sources.push(...files.map((path) => sourceAt(join(arg, path), path)));
      } else sources.push(sourceAt(arg, basename(arg)));
    } else if (WILD.test(arg)) sources.push(...await matching(arg, isResult));
    else throw new UsageError(`Cannot detect in ${arg}: there is no such file or folder`);
  }
  const seen = new Set<string>();
  return sources.filter(({ file }) => {
    const path = resolve(file), isNew = !seen.has(path);
    seen.add(path);
    return isNew;
  });
}

const sourceAt = (file: string, path: string): Source => ({
  file,
  path,
  name: path.slice(0, path.length - extname(path).length),
});

/** Characters that make a pattern of an argument. */
const WILD = /[*?[\]]/;

/** Files that match a pattern; their paths are those below the last folder before its first wild part. */
async function matching(pattern: string, isResult: (file: string) => boolean): Promise<Source[]> {
  const parts = pattern.split("/"), first = parts.findIndex((part) => WILD.test(part));
  const base = parts.slice(0, first).join("/"), dir = base || (pattern.startsWith("/") ? "/" : ".");
  const files = exists(dir) ? (await expand(dir, parts.slice(first))).filter((path) => !isResult(join(dir, path))) : [];
  if (!files.length) throw new InputError(`Cannot detect in "${pattern}": no file matches the pattern`);
  return [...new Set(files)].sort().map((path) => sourceAt(base ? `${base}/${path}` : path, path));
}

/** Paths of the files below a folder that match the parts of a pattern. */
async function expand(dir: string, [part = "", ...rest]: readonly string[]): Promise<string[]> {
  const below = async (folders: readonly string[], parts: readonly string[]) =>
    (await Promise.all(
      folders.map(async (name) => (await expand(`${dir}/${name}`, parts)).map((path) => `${name}/${path}`)),
    )).flat();
  // As in a shell, hidden files and folders are named by patterns that start with a dot only.
  const folders = (await folderNames(dir)).filter((name) => part.startsWith(".") || !name.startsWith("."));
  if (part === "**") {
    return [...await expand(dir, rest.length ? rest : ["*"]), ...await below(folders, [part, ...rest])];
  }
  const expression = new RegExp(
    `^${part.replace(/[\\^$.+()|{}]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".").replaceAll("[!", "[^")}$`,
    "s",
  );
  if (rest.length) return await below(folders.filter((name) => expression.test(name)), rest);
  return fileNames(dir).filter((name) => expression.test(name) && (part.startsWith(".") || !name.startsWith(".")));
}

/** Ending of the name of the results of a picture's second face: `NAME_face2`. */
export const faceSuffix = (index: number): string => index === 0 ? "" : `_face${index + 1}`;

/**
 * Checks that every picture has results of its own in a folder, and that the folder is none of theirs.
 *
 * @throws {InputError} Naming the two pictures, or the folder.
 */
export function checkNames(sources: readonly Source[], out: string): void {
  const names = new Map<string, string>();
  for (const { file, name } of sources) {
    // File systems may not distinguish capitals.
    const key = name.toLowerCase(), other = names.get(key);
    if (other !== undefined) {
      throw new InputError(
        `Cannot write the results of ${other} and ${file} to one folder: both would be ${name}.pts`,
        { hint: "rename one, or name their common folder instead of the files" },
      );
    }
    names.set(key, file);
    if (file !== STANDARD_INPUT && resolve(dirname(file)) === resolve(out)) {
      throw new InputError(`Cannot write to ${out}: it holds the images`, { hint: "--out with another folder" });
    }
  }
  for (const { file, name } of sources) {
    const [, whole] = /^(.*)_face\d+$/.exec(name.toLowerCase()) ?? [];
    const other = whole === undefined ? undefined : names.get(whole);
    if (other !== undefined) {
      throw new InputError(
        `Cannot write the results of ${other} and ${file} to one folder: another face of the first could be ${name}.pts`,
        { hint: "rename one" },
      );
    }
  }
}

/** A box of a face as it was given. */
export interface GivenBox {
  /** `x,y,width,height`, for messages. */
  readonly text: string;
  /** The place. */
  readonly place: FacePlace;
}

/**
 * Reads a box, brows to chin and ear to ear.
 *
 * @param text `x,y,width,height` in pixels from the left top corner of the picture.
 * @param where Option, or file and line, for messages.
 * @throws {InputError} If it is no box in pixels.
 */
export function parseBox(text: string, where: string): GivenBox {
  const numbers = text.split(",").map((part) => part.trim() === "" ? NaN : Number(part));
  const areFour = (list: number[]): list is [number, number, number, number] =>
    list.length === 4 && list.every(Number.isFinite);
  if (!areFour(numbers) || numbers[2] <= 0 || numbers[3] <= 0) {
    throw new InputError(`Cannot read ${where} "${text}" as a box: x,y,width,height in pixels is expected`);
  }
  const [x, y, width, height] = numbers;
  if (numbers.every((value) => Math.abs(value) <= 1)) {
    throw new InputError(`Cannot use ${where} "${text}" as a box: it is not larger than a pixel`, {
      hint: "are these fractions? multiply them by the picture's width and height",
    });
  }
  const place = { x: x + width / 2 - 0.5, y: y + height / 2 - 0.5, side: Math.max(width, height), angle: 0 };
  return { text, place };
}

/** Reads rows `name,x,y,width,height`, one for each face; a first one that names the columns may be there. */
export async function readBoxes(path: string): Promise<Map<string, GivenBox[]>> {
  const boxes = new Map<string, GivenBox[]>();
  for (const [i, { line, fields: [name = "", ...box] }] of parseCsv(await readText(path), path).entries()) {
    if (i === 0 && ["name", "file", "image"].includes(name.toLowerCase())) continue;
    if (!box.length) throw new InputError(`Cannot read ${path}:${line}: name,x,y,width,height is expected`);
    boxes.set(name, [...boxes.get(name) ?? [], parseBox(box.join(","), `${path}:${line}`)]);
  }
  return boxes;
}

/**
 * The places of boxes in a picture.
 *
 * @throws {InputError} If the centre of a box is outside the picture.
 */
export function placesIn(
  boxes: readonly GivenBox[],
  { width, height }: { width: number; height: number },
): FacePlace[] {
  for (const { text, place: { x, y } } of boxes) {
    if (x < -0.5 || y < -0.5 || x > width - 0.5 || y > height - 0.5) {
      throw new InputError(`Cannot use box ${text}: its centre is outside the picture, which is ${width} x ${height}`);
    }
  }
  return boxes.map(({ place }) => place);
}
