/**
 * Plain folders of images with landmarks, in any of the formats of `annotations/registry.ts`.
 *
 * @module
 */
import { parseCsv } from "../../formats/csv.ts";
import {
  exists,
  fileNames,
  filesBelow,
  firstBytes,
  isFolder,
  isMissing,
  readBytes,
  readText,
} from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";
import { itemAt } from "../../engine/lookup.ts";
import type { Origin } from "../pts.ts";
import { convertLandmarks, DEFAULT_SCHEMA, type LandmarkSchema, SCHEMAS } from "../schema.ts";
import { baseName, type ImageFormat, type ListedFace, type ListFormat, stem } from "./annotations/format.ts";
import { type BadFile, DATASET_FORMATS, type FormatName, parseAnnotations } from "./annotations/registry.ts";
import { type Dataset, datasetOf, type DatasetRecord, leavesFolder } from "./dataset.ts";
import { readImageSize } from "./image_file.ts";

/** Options of a plain folder. */
export interface FolderOptions {
  /** Schema of the landmarks; by default `ibug68`. WFLW's lists are converted to it. */
  schema?: LandmarkSchema;
  /** Format of the landmarks; by default `pts`. */
  format?: FormatName;
  /** The one file, where the format has one, or a folder of such files. */
  annotations?: string;
  /** Coordinate of the centre of the first pixel; by default that of the format. */
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
  for (const { image: file_name, described, read } of found.images) {
    const name = stem(file_name);
    try {
      const { width, height } = await readImageSize(`${dir}/${file_name}`);
      sizes.add(`${width} x ${height}`);
      size_px = width === height ? width : 0;
      for (const { landmarks, ...given } of await read(width, height)) {
        const listed = { ...described, ...index.get(name), ...given };
        const count = (seen.get(name) ?? 0) + 1; // faces of the image so far
        seen.set(name, count);
        records.push({
          file_name,
          style: listed.style ?? style,
          group: listed.group ?? name,
          landmarks,
          source: count === 1 ? name : `${name}#${count}`,
        });
      }
    } catch (error) {
      if (isMissing(error)) {
        bad.push({ file: file_name, reason: "there is no such image" });
      } else if (error instanceof InputError) {
        bad.push({ file: file_name, reason: error.message });
      } else throw error;
    }
  }
  const total = found.images.length + found.bad.length;
  if (bad.length > 0 && (on_bad === "stop" || records.length === 0)) {
    throw badFilesError(dir, bad, total, records.length === 0 ? await formatHint(dir, options) : undefined);
  }
  return { ...datasetOf(dir, schema, sizes.size === 1 ? size_px : 0, records), bad };
}

/** Face of an image: what its file says. */
type FaceOfImage = Omit<ListedFace, "image" | "aliases">;

/** An image, and how its faces are read. */
interface ImageWithFaces {
  readonly image: string;
  /** Style and group by the image's path, which `index.csv` may change. */
  readonly described?: Pick<ListedFace, "style" | "group">;
  /** Reads the faces of the image, whose size is given. */
  read(width: number, height: number): readonly FaceOfImage[] | Promise<readonly FaceOfImage[]>;
}

async function facesIn(dir: string, options: FolderOptions): Promise<{ images: ImageWithFaces[]; bad: BadFile[] }> {
  const { format = "pts", annotations } = options;
  const reader: ImageFormat | ListFormat = DATASET_FORMATS[format];
  if (reader.perImage) {
    if (annotations === undefined) return { images: besideImages(dir, reader, options), bad: [] };
    throw new InputError(`Cannot use ${annotations} as ${format}: this format has a file beside each image`);
  }
  if (annotations === undefined) {
    throw new InputError(`Cannot read ${dir} as ${format}: annotations, the file with the landmarks, is not given`);
  }
  return await listedFaces(dir, annotations, reader, options);
}

async function listedFaces(
  dir: string,
  annotations: string,
  reader: ListFormat,
  options: FolderOptions,
): Promise<{ images: ImageWithFaces[]; bad: BadFile[] }> {
  const { schema = SCHEMAS[DEFAULT_SCHEMA], filter = () => true } = options;
  const origin = options.origin ?? reader.origin ?? 0;
  const files = await isFolder(annotations)
    ? fileNames(annotations).filter((name) => !name.startsWith(".")).map((name) => `${annotations}/${name}`)
    : [annotations];
  const images: ImageWithFaces[] = [], bad: BadFile[] = [];
  const byName = imagesByName(dir);
  for (const name of files) {
    let found;
    try {
      found = parseAnnotations(await readText(name), reader, schema, { name, origin });
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      const hint = await formatHint(dir, options);
      throw hint === undefined ? error : new InputError(error.message, { hint, cause: error });
    }
    bad.push(...found.bad);
    for (const { image, aliases = [], ...face } of found.faces) {
      if (leavesFolder(image)) {
        bad.push({ file: image, reason: `it is outside of ${dir}` });
        continue;
      }
      const path = [image, ...aliases].find((path) => exists(`${dir}/${path}`)) ?? byName(image) ?? image;
      if (filter(stem(path))) images.push({ image: path, read: () => [face] });
    }
  }
  if (images.length + bad.length === 0) throw new InputError(`Cannot use ${annotations}: no face was chosen in it`);
  return { images, bad };
}

/** Finds the one image of a name in the folders below; its listing is made at the first question. */
function imagesByName(dir: string): (path: string) => string | undefined {
  let paths: ReadonlyMap<string, readonly string[]> | undefined;
  return (path) => {
    paths ??= Map.groupBy(imagesBelow(dir), baseName);
    const [only, ...more] = paths.get(baseName(path)) ?? [];
    return more.length ? undefined : only;
  };
}

/** Paths of the images in a folder and those below it. */
function imagesBelow(dir: string): string[] {
  return filesBelow(dir).filter((path) => /\.(png|jpe?g)$/i.test(path));
}

function besideImages(dir: string, format: ImageFormat, options: FolderOptions): ImageWithFaces[] {
  const { schema = SCHEMAS[DEFAULT_SCHEMA], filter = () => true } = options;
  const names = imagesBelow(dir).filter((path) => (format.accepts?.(path) ?? true) && filter(stem(path)));
  if (names.length === 0) {
    throw new InputError(`Cannot use ${dir} as a folder of faces: no PNG or JPEG was chosen in it`);
  }
  return names.map((image) => ({
    image,
    ...(format.describe && { described: format.describe(image) }),
    read: (width, height) => readBeside(dir, image, format, { schema, width, height, origin: options.origin }),
  }));
}

/** Reads the file with the landmarks of an image. */
async function readBeside(
  dir: string,
  image: string,
  format: ImageFormat,
  { schema, origin = format.origin ?? 0, ...size }: {
    readonly schema: LandmarkSchema;
    readonly origin?: Origin | undefined;
    readonly width: number;
    readonly height: number;
  },
): Promise<FaceOfImage[]> {
  const files = format.files(image);
  const file = files.find((file) => exists(`${dir}/${file}`));
  if (file === undefined) throw new InputError(`there is no ${files.join(", ")} beside it`);
  const name = `${dir}/${file}`;
  const own = format.schema === undefined ? schema : SCHEMAS[format.schema];
  const faces = format.parse(await readBytes(name), { name, origin, schema: own, ...size });
  return faces.map((landmarks) => ({ landmarks: convertLandmarks(landmarks, own, schema) }));
}

/** Images that are looked at to find the format of a folder. */
const SAMPLE = 3;
/** Bytes of a file of many faces that are looked at. */
const START = 1 << 16;

/** A hint that names the formats which a folder's files fit, other than the one given; undefined if there is none. */
async function formatHint(
  dir: string,
  { format = "pts", annotations, schema }: FolderOptions,
): Promise<string | undefined> {
  const all = Object.values<ImageFormat | ListFormat>(DATASET_FORMATS).filter(({ name }) => name !== format);
  const listed = async (path: string) => {
    const start = new TextDecoder().decode(await firstBytes(path, START));
    return all.flatMap((one) => !one.perImage && one.matches(start) ? [one.name] : []);
  };
  if (annotations !== undefined) {
    const [name] = await isFolder(annotations) ? [] : await listed(annotations);
    return name && `it looks like format ${name}`;
  }
  const images = imagesBelow(dir);
  for (const one of all) {
    if (!one.perImage) continue;
    const sample = images.filter((image) => one.accepts?.(image) ?? true).slice(0, SAMPLE);
    const fits = await Promise.all(sample.map(async (image) => {
      const own = one.schema === undefined ? schema ?? SCHEMAS[DEFAULT_SCHEMA] : SCHEMAS[one.schema];
      try {
        const size = await readImageSize(`${dir}/${image}`);
        return (await readBeside(dir, image, one, { schema: own, ...size })).length > 0;
      } catch (error) {
        if (error instanceof InputError) return false;
        throw error;
      }
    }));
    if (fits.length && fits.every(Boolean)) {
      return `its files fit format ${one.name}${one.schema === undefined ? "" : `, whose schema is ${one.schema}`}`;
    }
  }
  for (const path of filesBelow(dir).filter((path) => /\.(json|xml|csv|tsv|txt)$/i.test(path)).slice(0, 20)) {
    const [name] = path === "index.csv" ? [] : await listed(`${dir}/${path}`);
    if (name !== undefined) return `${path} looks like format ${name}: name it in annotations`;
  }
}

/**
 * The error that names bad files, at most twenty of them.
 *
 * @param dir Their folder.
 * @param bad Files and reasons.
 * @param total How many files were looked at.
 * @param hint Likely cause of all of them.
 * @returns To be thrown.
 */
export function badFilesError(dir: string, bad: readonly BadFile[], total: number, hint?: string): InputError {
  const SHOWN = 20;
  const lines = bad.slice(0, SHOWN).map(({ file, reason }) => `  ${file}: ${reason}`);
  if (bad.length > SHOWN) lines.push(`  ... and ${bad.length - SHOWN} more`);
  return new InputError(`Cannot use ${dir}: ${bad.length} of ${total} files are bad`, {
    hint: `${hint ?? 'mend them or set on_bad to "skip"'}\n${lines.join("\n")}`,
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
