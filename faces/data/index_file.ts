/**
 * `index.csv`: style and group of the images of a folder.
 *
 * @module
 */
import { parseCsv } from "../../formats/csv.ts";
import { readText } from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";
import { counted } from "../../formats/numbers.ts";
import { suggest } from "../../formats/yaml_tree.ts";
import { baseName, stem } from "./annotations/format.ts";
import { type FolderFiles, NameFinder, plainPath, someOf } from "./folder_files.ts";

/** A note about a set of images for the user: no error. */
export interface Note {
  /** Kind of the note, for programs. */
  readonly code: NoteCode;
  /** One sentence. */
  readonly message: string;
  /** Files that it is about. */
  readonly files: readonly string[];
}

/** Kinds of notes. */
export type NoteCode =
  | "groups"
  | "index_columns"
  | "index_rows"
  | "index_missing"
  | "index_other"
  | "copies"
  | "colours"
  | "patterns"
  | "landmarks_mirrored"
  | "landmarks_swapped"
  | "landmarks_planar"
  | "landmarks_bottom_up"
  | "landmarks_on_side"
  | "landmarks_upside_down"
  | "landmarks_outside"
  | "landmarks_origin";

/** The sentence of a note, with a word in front that says how much it matters. */
export function noteLine({ code, message }: Note): string {
  return `${code.startsWith("landmarks_") ? "warning" : "note"}: ${message}`;
}

/** Style and group that a row gives. */
export interface IndexRow {
  /** Style, if the row has one. */
  readonly style?: string;
  /** Group, if the row has one. */
  readonly group?: string;
}

/** Contents of the index files of a folder. */
export interface FolderIndex {
  /** Paths of the index files. */
  readonly files: readonly string[];
  /** Rows by the image's path. */
  readonly rows: ReadonlyMap<string, IndexRow>;
  /** Columns that are not used, rows that fit no image, groups of nearly the same name. */
  readonly notes: readonly Note[];
}

const NAME_COLUMNS = ["name", "file_name", "filename", "file", "image"];
const USED_COLUMNS = ["style", "group"];

/**
 * Reads the index files of a folder and of those below it; each is about the images beside it and below.
 *
 * A row names an image by its path, with its ending or without it, in any case and Unicode form; or by its name alone,
 * if there is one image of that name.
 *
 * @param files The folder.
 * @param images Paths of its images.
 * @returns Rows and notes.
 * @throws {InputError} If a table is wrong: no column of names, a misspelt one, two rows for one image that differ, or a
 * name that several images have.
 */
export async function readIndex(files: FolderFiles, images: readonly string[]): Promise<FolderIndex> {
  const found = files.paths.filter((path) => baseName(path).toLowerCase() === "index.csv");
  const rows = new Map<string, IndexRow>(), notes: Note[] = [];
  for (const file of found) {
    const folder = file.slice(0, file.length - baseName(file).length);
    const inside = images.filter((image) => image.startsWith(folder)).map((image) => image.slice(folder.length));
    const table = await readTable(`${files.dir}/${file}`);
    for (const [image, row] of matchRows(table, inside)) rows.set(folder + image, row);
    notes.push(...table.notes);
  }
  const groups = Map.groupBy(
    new Set([...rows.values()].flatMap(({ group }) => group ?? [])),
    (group) => group.normalize("NFC").toLowerCase(),
  );
  for (const alike of [...groups.values()].filter(({ length }) => length > 1)) {
    notes.push({
      code: "groups",
      message: `groups ${alike.map((group) => `"${group}"`).join(" and ")} differ in case only, and are not one group`,
      files: found,
    });
  }
  return { files: found, rows, notes };
}

/** A table that is read, before its rows are matched with images. */
interface Table {
  readonly path: string;
  readonly rows: readonly { readonly line: number; readonly name: string; readonly row: IndexRow }[];
  readonly notes: Note[];
}

async function readTable(path: string): Promise<Table> {
  const [first, ...lines] = parseCsv(await readText(path), path);
  const header = (first?.fields ?? []).map((field) => field.toLowerCase());
  const fail = (line: number, problem: string, hint?: string): never => {
    throw new InputError(`Cannot read ${path}:${line}: ${problem}`, { code: "format", hint });
  };
  const nameColumn = NAME_COLUMNS.find((column) => header.includes(column));
  if (nameColumn === undefined) {
    const separator = header.length === 1 ? /[;\t|]/.exec(header[0] ?? "")?.[0] : undefined;
    return fail(
      1,
      `there is no column "name", current value is "${header}"`,
      separator && `fields are separated by commas, not by ${separator === "\t" ? "tabs" : `"${separator}"`}`,
    );
  }
  const twice = header.find((column, k) => header.indexOf(column) < k);
  if (twice !== undefined) fail(1, `column "${twice}" is there twice`);
  const absent = USED_COLUMNS.filter((column) => !header.includes(column));
  const unused = header.filter((column) => column !== nameColumn && !USED_COLUMNS.includes(column));
  for (const column of unused) {
    const near = absent.find((name) => name[0] === column[0] && suggest(column, [name]) !== undefined);
    if (near !== undefined) fail(1, `there is no column "${column}"`, `did you mean "${near}"?`);
  }
  const notes: Note[] = unused.length === 0 ? [] : [{
    code: "index_columns",
    message: `of ${path}, ${unused.length === 1 ? "column" : "columns"} ${someOf(unused)} ${
      unused.length === 1 ? "is" : "are"
    } not used: name, style and group are`,
    files: [path],
  }];
  const at = header.indexOf(nameColumn), style = header.indexOf("style"), group = header.indexOf("group");
  const rows = lines.map(({ line, fields }) => {
    if (fields.length !== header.length) {
      fail(line, `there are ${fields.length} fields instead of ${header.length}`);
    }
    const name = plainPath(fields[at] ?? "");
    if (name === "") fail(line, "the name is empty");
    return {
      line,
      name,
      row: { ...(fields[style] && { style: fields[style] }), ...(fields[group] && { group: fields[group] }) },
    };
  });
  return { path, rows, notes };
}

/** Rows by image; notes about rows that fit none are added to the table's. */
function matchRows({ path, rows, notes }: Table, images: readonly string[]): Map<string, IndexRow> {
  // From the whole path to the name alone, which says less.
  const keys = [(image: string) => image, stem, baseName, (image: string) => stem(baseName(image))];
  const tiers = keys.map((key) => {
    const byKey = Map.groupBy(images, key);
    return { byKey, names: new NameFinder([...byKey.keys()]) };
  });
  const imagesOf = (name: string): readonly string[] => {
    for (const { byKey, names } of tiers) {
      const found = names.find(name).flatMap((key) => byKey.get(key) ?? []);
      if (found.length) return found;
    }
    return [];
  };
  const result = new Map<string, IndexRow>(), lineOf = new Map<string, number>();
  const unmatched: string[] = [];
  for (const { line, name, row } of rows) {
    const found = imagesOf(name);
    if (found.length === 0) unmatched.push(name);
    if (new Set(found.map(stem)).size > 1) {
      throw new InputError(`Cannot read ${path}:${line}: "${name}" may be ${someOf(found)}`, {
        hint: "give paths relative to the folder",
      });
    }
    for (const image of found) {
      const earlier = result.get(image);
      if (earlier && (earlier.style !== row.style || earlier.group !== row.group)) {
        throw new InputError(
          `Cannot read ${path}:${line}: ${image} has another style or group in line ${lineOf.get(image)}`,
        );
      }
      result.set(image, row);
      lineOf.set(image, line);
    }
  }
  if (unmatched.length) {
    if (unmatched.length === rows.length && images.length) {
      throw new InputError(
        `Cannot use ${path}: none of its ${counted(rows.length, "name")} is of an image in the folder`,
        {
          hint: `it has ${someOf(unmatched, 2)}; the folder has ${someOf(images, 2)}`,
        },
      );
    }
    const verb = unmatched.length === 1 ? "row fits" : "rows fit";
    notes.push({
      code: "index_rows",
      message: `${unmatched.length} ${verb} no image: ${someOf(unmatched)} (${path})`,
      files: unmatched,
    });
  }
  return result;
}
