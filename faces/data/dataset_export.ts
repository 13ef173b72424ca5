/**
 * Writing of datasets in the formats of other tools.
 *
 * @module
 */
import {
  exists,
  fileNames,
  folderNames,
  isFolder,
  readBytes,
  replaceFiles,
  writeFile,
  writeFolderAtomic,
} from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";
import type { Origin } from "../pts.ts";
import { quoted } from "./annotations/csv.ts";
import {
  baseName,
  byImage,
  type FaceToWrite,
  type ImageFormat,
  type Lack,
  type ListFormat,
  stem,
  type WriteContext,
} from "./annotations/format.ts";
import { DATASET_FORMATS, EXPORT_NAMES, type FormatName } from "./annotations/registry.ts";
import type { LandmarkSchema } from "../schema.ts";
import type { Dataset } from "./dataset.ts";

/** Formats of pictures with any number of faces. */
const MANY = EXPORT_NAMES.filter((name) => {
  const format: ImageFormat | ListFormat = DATASET_FORMATS[name];
  return !format.perImage || format.joins;
});

/** Options of an export. */
export interface ExportOptions {
  /** Format of the landmarks. */
  readonly format: FormatName;
  /** Coordinate of the centre of the first pixel; by default that of the format's own tools. */
  readonly origin?: Origin | undefined;
  /** Replaces files of the same names in a folder that is there; by default such a folder is refused. */
  readonly overwrite?: boolean | undefined;
}

/** Result of an export, with the properties that the format has no place for. */
export interface ExportedDataset {
  /** Number of images. */
  readonly images: number;
  /** Folder of the images in the one that was written; empty if it is the same. */
  readonly folder: string;
  /** The one file with all landmarks, where the format has one. */
  readonly annotations?: string;
  /** Coordinate of the centre of the first pixel. */
  readonly origin: Origin;
  /** Properties of faces that the format has no place for; style and group are in `index.csv` then. */
  readonly lacks: readonly Lack[];
  /** Other properties of the dataset's records, which are in no file. */
  readonly left_out: readonly string[];
}

/**
 * Writes a dataset as another tool keeps it: its images as they are, and the landmarks. Where the format has no place for
 * styles and groups, they go to an `index.csv` beside the images, which `dataset/import` reads.
 *
 * @param dataset The dataset.
 * @param out The folder to write, which is there whole or not at all.
 * @param options Format and origin.
 * @returns What was written.
 * @throws {InputError} If the format is for reading alone, if the folder is not empty, or if two images have one name.
 */
export async function exportDataset(dataset: Dataset, out: string, options: ExportOptions): Promise<ExportedDataset> {
  const { schema, size_px, records } = dataset;
  const pictures = records.map(({ file_name, landmarks, style, group, occluded }): FaceOfPicture => ({
    image: baseName(file_name),
    path: `${dataset.dir}/${file_name}`,
    width: size_px,
    height: size_px,
    landmarks,
    style,
    group,
    ...(occluded && { occluded }),
  }));
  const lost = (["source", "prompt", "seed", "edits"] as const).filter((key) =>
    records.some((record) => record[key] !== undefined)
  );
  const written = await exportFaces(pictures, schema, out, options);
  return { ...written, left_out: [...lost, ...written.left_out] };
}

/** A face of a picture of any size. */
export interface FaceOfPicture extends FaceToWrite {
  /** The picture's file. */
  readonly path: string;
}

/**
 * Writes pictures as they are, with the landmarks of all their faces in their own coordinates, see {@linkcode exportDataset}.
 *
 * @param faces The faces, those of one picture with the same image and path.
 * @param schema Schema of the landmarks.
 * @param out The folder to write, which is there whole or not at all.
 * @param options Format and origin.
 * @returns What was written.
 * @throws {InputError} As {@linkcode exportDataset}, and if a picture has several faces where the format has one.
 */
export async function exportFaces(
  faces: readonly FaceOfPicture[],
  schema: LandmarkSchema,
  out: string,
  options: ExportOptions,
): Promise<ExportedDataset> {
  const format: ImageFormat | ListFormat = DATASET_FORMATS[options.format];
  if (!format.write) {
    throw new InputError(`Cannot write format ${format.name}, which is for reading alone`, {
      hint: `formats that are written: ${EXPORT_NAMES.join(", ")}`,
    });
  }
  const path = out.replace(/(?<=.)\/+$/, "");
  const isEmpty = await checkOut(out, path, options.overwrite ?? false);
  const origin = options.origin ?? format.origin ?? 0;
  const folder = format.perImage ? format.folders?.images ?? "" : "";
  const within = (name: string) => folder === "" ? name : `${folder}/${name}`;
  const images = new Map(faces.map((face) => [face.image, face.path]));
  if (images.size < new Set(faces.map((face) => face.path)).size) {
    throw new InputError(`Cannot write ${faces.length} faces to one folder: two of their images have one name`);
  }
  const texts = textsOf(faces, format, { schema, origin }, within);
  const fill = async (dir: string) => {
    for (const [name, file] of images) await writeFile(`${dir}/${within(name)}`, await readBytes(file));
    for (const [name, content] of texts) await writeFile(`${dir}/${name}`, content);
  };
  await (isEmpty ? writeFolderAtomic(path, fill) : replaceFiles(path, fill));
  const hides = faces.some(({ occluded = [] }) => occluded.length > 0);
  const left_out = hides && !format.hides ? ["occluded"] : [];
  return {
    images: images.size,
    folder,
    ...(!format.perImage && format.file !== undefined && { annotations: format.file }),
    origin,
    lacks: format.lacks ?? [],
    left_out,
  };
}

/**
 * Tests if a folder is missing or empty.
 *
 * @throws {InputError} If it is a file, or has files that may not be overwritten.
 */
async function checkOut(out: string, path: string, overwrite: boolean): Promise<boolean> {
  const isThere = exists(path);
  if (isThere && !await isFolder(path)) throw new InputError(`Cannot write to ${out} as it is a file`);
  const [first] = isThere ? [...fileNames(path), ...await folderNames(path)] : [];
  if (first !== undefined && !overwrite) {
    throw new InputError(`Cannot write to ${out} as it is not empty: it has "${first}"`, {
      hint: "name a new folder, or ask to overwrite files of the same names",
    });
  }
  return first === undefined;
}

/**
 * Content of the files that stand beside the pictures, by name.
 *
 * @param format One that writes.
 * @param within Gives the path of a file beside the pictures.
 * @throws {InputError} If a picture has several faces where the format has one.
 */
function textsOf(
  faces: readonly FaceOfPicture[],
  format: ImageFormat | ListFormat,
  context: WriteContext,
  within: (name: string) => string,
): Map<string, string | Uint8Array> {
  const lacks = format.lacks ?? [];
  const texts = new Map<string, string | Uint8Array>(Object.entries(format.extra?.(context) ?? {}));
  if (format.perImage) {
    for (const [image, own] of byImage(faces)) {
      const [beside = image] = format.files(image), [face, ...more] = own;
      const file = format.folders ? `${format.folders.annotations}/${baseName(beside)}` : beside;
      if (more.length && !format.joins) {
        throw new InputError(
          `Cannot write ${image} as ${format.name}: it has ${own.length} faces, and the format has one`,
          { hint: `formats with any number: ${MANY.join(", ")}` },
        );
      }
      const one = (face: FaceToWrite) => format.write!(face, context);
      texts.set(file, more.length ? own.map(one).join("") : one(face));
    }
  } else if (format.file !== undefined) texts.set(format.file, format.write!(faces, context));
  if (lacks.includes("style") || lacks.includes("group")) {
    const rows = byImage(faces).map(([image, [{ style, group }]]) => [stem(image), style, group].map(quoted).join());
    texts.set(within("index.csv"), ["name,style,group", ...rows, ""].join("\n"));
  }
  return texts;
}
