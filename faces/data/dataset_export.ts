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
  type FaceToWrite,
  type ImageFormat,
  type Lack,
  type ListFormat,
  stem,
} from "./annotations/format.ts";
import { DATASET_FORMATS, EXPORT_NAMES, type FormatName } from "./annotations/registry.ts";
import type { Dataset } from "./dataset.ts";

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
  const format: ImageFormat | ListFormat = DATASET_FORMATS[options.format];
  if (!format.write) {
    throw new InputError(`Cannot write format ${format.name}, which is for reading alone`, {
      hint: `formats that are written: ${EXPORT_NAMES.join(", ")}`,
    });
  }
  const path = out.replace(/(?<=.)\/+$/, "");
  const isThere = exists(path);
  if (isThere && !await isFolder(path)) throw new InputError(`Cannot write to ${out} as it is a file`);
  const [first] = isThere ? [...fileNames(path), ...await folderNames(path)] : [];
  if (first !== undefined && !options.overwrite) {
    throw new InputError(`Cannot write to ${out} as it is not empty: it has "${first}"`, {
      hint: "name a new folder, or ask to overwrite files of the same names",
    });
  }
  const { schema, size_px, records } = dataset;
  const origin = options.origin ?? format.origin ?? 0;
  const folder = format.perImage ? format.folders?.images ?? "" : "";
  const within = (name: string) => folder === "" ? name : `${folder}/${name}`;
  const faces = records.map(({ file_name, landmarks, style, group, occluded }): FaceToWrite => {
    return { image: baseName(file_name), size_px, landmarks, style, group, ...(occluded && { occluded }) };
  });
  const images = new Map(records.map(({ file_name }) => [baseName(file_name), file_name]));
  if (images.size < records.length) {
    throw new InputError(`Cannot write ${dataset.dir} to one folder: two of its images have one name`);
  }
  const lacks = format.lacks ?? [];
  const texts = new Map<string, string | Uint8Array>(Object.entries(format.extra?.({ schema, origin }) ?? {}));
  if (format.perImage) {
    for (const face of faces) {
      const [beside = face.image] = format.files(face.image);
      const file = format.folders ? `${format.folders.annotations}/${baseName(beside)}` : beside;
      texts.set(file, format.write(face, { schema, origin }));
    }
  } else if (format.file !== undefined) texts.set(format.file, format.write(faces, { schema, origin }));
  if (lacks.includes("style") || lacks.includes("group")) {
    const rows = faces.map(({ image, style, group }) => [stem(image), style, group].map(quoted).join());
    texts.set(within("index.csv"), ["name,style,group", ...rows, ""].join("\n"));
  }
  const fill = async (dir: string) => {
    for (const [name, file_name] of images) {
      await writeFile(`${dir}/${within(name)}`, await readBytes(`${dataset.dir}/${file_name}`));
    }
    for (const [name, content] of texts) await writeFile(`${dir}/${name}`, content);
  };
  await (first === undefined ? writeFolderAtomic(path, fill) : replaceFiles(path, fill));
  const lost = (["source", "prompt", "seed", "edits"] as const).filter((key) =>
    records.some((record) => record[key] !== undefined)
  );
  const hides = records.some(({ occluded = [] }) => occluded.length > 0);
  const left_out = [...lost, ...(hides && !format.hides ? ["occluded"] : [])];
  return {
    images: records.length,
    folder,
    ...(!format.perImage && format.file !== undefined && { annotations: format.file }),
    origin,
    lacks,
    left_out,
  };
}
