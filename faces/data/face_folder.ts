/**
 * Plain folders of images with landmarks, in any of the formats of `annotations/registry.ts`.
 *
 * @module
 */
import { parseCsv } from "../../formats/csv.ts";
import { exists, fileNames, isMissing, readBytes, readText } from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";
import { itemAt } from "../../engine/lookup.ts";
import type { Landmarks } from "../landmarks.ts";
import type { Origin } from "../pts.ts";
import { DEFAULT_SCHEMA, type LandmarkSchema, SCHEMAS } from "../schema.ts";
import { type ImageFormat, type ListedFace, type ListFormat, stem } from "./annotations/format.ts";
import { type BadFile, DATASET_FORMATS, type FormatName, parseAnnotations } from "./annotations/registry.ts";
import { type Dataset, datasetOf, type DatasetRecord } from "./dataset.ts";
import { readImageSize } from "./image_file.ts";

/** Options of a plain folder. */
export interface FolderOptions {
  /** Schema of the landmarks; by default `ibug68`. WFLW's lists are converted to it. */
  schema?: LandmarkSchema;
  /** Format of the landmarks; by default `pts`. */
  format?: FormatName;
  /** The one file, where the format has one. */
  annotations?: string;
  /** 1 when the landmarks count pixels from 1, as 300-W's own do; by default 0. */
  origin?: Origin;
  /** Style of images that have none of their own; by default "photo". */
  style?: string;
  /** Returns true for the images to take, by name without ending; by default all. */
  filter?: (name: string) => boolean;
  /** "stop" (unless given): throw when a file is bad, naming all of them. "skip": list them in `bad`. */
  on_bad?: "stop" | "skip";
}

/**
 * Opens any folder of images (PNG, JPEG) with a 300-W `.pts` file of the same name next to each, or with landmarks in
 * another format.
 *
 * An `index.csv` in the folder may give `style` and `group` by `name` (the file's name without ending). Without it every
 * image is a group of its own, named for its file.
 *
 * @param dir The folder.
 * @param options See {@linkcode FolderOptions}.
 * @returns The dataset, in the order of the names or of the file, and the files and faces that were set aside.
 * @throws {InputError} If there is no image, if files are bad and `on_bad` is "stop", or if `annotations` are missing or
 * not for this format.
 */
export async function openFolder(dir: string, options: FolderOptions = {}): Promise<Dataset & { bad: BadFile[] }> {
  const { schema = SCHEMAS[DEFAULT_SCHEMA], style = "photo", on_bad = "stop" } = options;
  const found = await facesIn(dir, options);
  const index = await readIndex(`${dir}/index.csv`);
  const records: DatasetRecord[] = [], bad = [...found.bad];
  const sizes = new Set<string>();
  const seen = new Map<string, number>();
  let size_px = 0;
  for (const { image: file_name, landmarks, ...given } of found.faces) {
    const name = stem(file_name);
    try {
      const { width, height } = await readImageSize(`${dir}/${file_name}`);
      sizes.add(`${width} x ${height}`);
      size_px = width === height ? width : 0;
      const listed = { ...index.get(name), ...given };
      const count = (seen.get(name) ?? 0) + 1; // faces of the image so far
      seen.set(name, count);
      records.push({
        file_name,
        style: listed.style ?? style,
        group: listed.group ?? name,
        landmarks: landmarks instanceof Float32Array ? landmarks : await landmarks(),
        source: count === 1 ? name : `${name}#${count}`,
      });
    } catch (error) {
      if (isMissing(error)) {
        bad.push({ file: file_name, reason: "there is no such image" });
      } else if (error instanceof InputError) {
        bad.push({ file: file_name, reason: error.message });
      } else throw error;
    }
  }
  const total = found.faces.length + found.bad.length;
  if (bad.length > 0 && (on_bad === "stop" || records.length === 0)) throw badFilesError(dir, bad, total);
  return { ...datasetOf(dir, schema, sizes.size === 1 ? size_px : 0, records), bad };
}

/** A face whose landmarks may still have to be read. */
interface FaceFile extends Omit<ListedFace, "landmarks"> {
  readonly landmarks: Landmarks | (() => Promise<Landmarks>);
}

async function facesIn(dir: string, options: FolderOptions): Promise<{ faces: FaceFile[]; bad: BadFile[] }> {
  const { format = "pts", annotations } = options;
  const reader: ImageFormat | ListFormat = DATASET_FORMATS[format];
  if (reader.perImage) {
    if (annotations === undefined) return { faces: besideImages(dir, reader, options), bad: [] };
    throw new InputError(`Cannot use ${annotations} as ${format}: this format has a file beside each image`);
  }
  if (annotations === undefined) {
    throw new InputError(`Cannot read ${dir} as ${format}: annotations, the file with the landmarks, is not given`);
  }
  const { schema = SCHEMAS[DEFAULT_SCHEMA], origin = 0, filter = () => true } = options;
  const { faces, bad } = parseAnnotations(await readText(annotations), reader, schema, { name: annotations, origin });
  const chosen = faces.filter(({ image }) => filter(stem(image)));
  if (chosen.length + bad.length === 0) throw new InputError(`Cannot use ${annotations}: no face was chosen in it`);
  return { faces: chosen, bad };
}

function besideImages(dir: string, format: ImageFormat, options: FolderOptions): FaceFile[] {
  const { schema = SCHEMAS[DEFAULT_SCHEMA], origin = 0, filter = () => true } = options;
  const names = fileNames(dir).filter((name) => /\.(png|jpe?g)$/i.test(name) && filter(stem(name)));
  if (names.length === 0) {
    throw new InputError(`Cannot use ${dir} as a folder of faces: no PNG or JPEG was chosen in it`);
  }
  return names.map((image) => {
    const files = format.files(image);
    const landmarks = async () => {
      const file = files.find((file) => exists(`${dir}/${file}`));
      if (file === undefined) throw new InputError(`there is no ${files.join(", ")} beside it`);
      const name = `${dir}/${file}`;
      return format.parse(await readBytes(name), { name, origin, schema });
    };
    return { image, landmarks };
  });
}

/**
 * The error that names bad files, at most twenty of them.
 *
 * @param dir Their folder.
 * @param bad Files and reasons.
 * @param total How many files were looked at.
 * @returns To be thrown.
 */
export function badFilesError(dir: string, bad: readonly BadFile[], total: number): InputError {
  const SHOWN = 20;
  const lines = bad.slice(0, SHOWN).map(({ file, reason }) => `  ${file}: ${reason}`);
  if (bad.length > SHOWN) lines.push(`  ... and ${bad.length - SHOWN} more`);
  return new InputError(`Cannot use ${dir}: ${bad.length} of ${total} files are bad`, {
    hint: `mend them or set on_bad to "skip"\n${lines.join("\n")}`,
  });
}

/** Rows of `index.csv` by name; no rows when there is no such file. */
async function readIndex(path: string): Promise<Map<string, { style?: string; group?: string }>> {
  if (!exists(path)) return new Map();
  const [first, ...rows] = parseCsv(await readText(path), path);
  const header = first?.fields ?? [];
  const name = header.indexOf("name"), style = header.indexOf("style"), group = header.indexOf("group");
  if (name < 0) throw new InputError(`Cannot read ${path}:1: there is no column "name", current value is "${header}"`);
  return new Map(rows.map(({ line, fields }) => {
    if (fields.length !== header.length) {
      throw new InputError(
        `Cannot read ${path}:${line}: there are ${fields.length} fields instead of ${header.length}`,
      );
    }
    return [itemAt(fields, name, "the fields of a line"), {
      ...(fields[style] && { style: fields[style] }),
      ...(fields[group] && { group: fields[group] }),
    }];
  }));
}
