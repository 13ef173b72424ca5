/**
 * Plain folders of images with landmarks, in any of the formats of `annotations/registry.ts`.
 *
 * All that is in a folder is used, passed over by a rule, or named as bad; see {@linkcode accountOf}.
 *
 * @module
 */
import { exists, isMissing } from "../../formats/files.ts";
import { type Correction, CORRECTIONS } from "../../formats/corrections.ts";
import { InputError } from "../../formats/input_error.ts";
import { counted } from "../../formats/numbers.ts";
import { boundingBox, type Landmarks } from "../landmarks.ts";
import { convertLandmarks, convertMarks, DEFAULT_SCHEMA, SCHEMAS } from "../schema.ts";
import { type ImageFormat, type ListFormat, stem } from "./annotations/format.ts";
import { type BadFile, DATASET_FORMATS } from "./annotations/registry.ts";
import { addedFaces, applyCorrections } from "./corrections.ts";
import { type Dataset, datasetOf, type DatasetRecord, METADATA, openDataset } from "./dataset.ts";
import { formatHint } from "./folder/format_hint.ts";
import type { FoundImages, ImageWithFaces } from "./folder/found_images.ts";
import { imagesBeside } from "./folder/images_beside.ts";
import { listedImages } from "./folder/listed_images.ts";
import { copyNotes, groupNotes, originNotes, profileNotes } from "./folder/notes.ts";
import type { FolderOptions } from "./folder/options.ts";
import { type FolderFiles, isImageName, isUnreadImageName, listFolder, type PassedOver } from "./folder_files.ts";
import { readImageSum } from "./image_file.ts";
import type { ImageHeader } from "./image_header.ts";
import { type FolderIndex, type Note, readIndex } from "./index_file.ts";
import { checkLandmarks } from "./landmark_checks.ts";

/** A plain folder that was opened. */
export interface FaceFolder extends Dataset {
  /** Files and faces that cannot be used, with their reasons. */
  readonly bad: readonly BadFile[];
  /** Files and faces that are passed over, with the rule. */
  readonly passed: readonly PassedOver[];
  /** Facts about the set for a person to know. */
  readonly notes: readonly Note[];
  /** Files that are used and are no images: those with landmarks by image, index files, and the file of annotations. */
  readonly beside: ReadonlyMap<string, string>;
  /** Files that are about the whole folder: `index.csv`, and the file of annotations where it is in the folder. */
  readonly common: readonly string[];
}

/**
 * Opens any folder of images with a 300-W `.pts` file of the same name next to each, or with landmarks in another format.
 * Folders below it are read too.
 *
 * A folder with `metadata.jsonl`, which is a dataset, is read as one unless a format is named.
 *
 * An `index.csv` in the folder may give `style` and `group` by `name`, see {@linkcode readIndex}. Without it every image is
 * a group of its own, named for its file.
 *
 * @param dir The folder.
 * @param options See {@linkcode FolderOptions}.
 * @returns The dataset, in the order of the names or of the file, and an account of everything else in the folder.
 * @throws {InputError} If there is no image, if files are bad and `on_bad` is "stop", or if `annotations` are missing or
 * not for this format.
 */
export async function openFolder(dir: string, options: FolderOptions = {}): Promise<FaceFolder> {
  if (options.format === undefined && exists(`${dir}/${METADATA}`)) return await datasetAsFolder(dir, options);
  const { schema = SCHEMAS[DEFAULT_SCHEMA], style = "photo", on_bad = "stop", corrected = true } = options;
  const files = listFolder(dir);
  const found = await facesIn(files, options);
  const added = corrected ? addedIn(files, options) : [];
  const withAdded = new Set(added.map(({ file_name }) => file_name));
  const index = await readIndex(files, files.paths.filter((path) => isImageName(path) || isUnreadImageName(path)));
  const read = await readFaces(dir, found.images, index, style);
  const records = corrected ? applyCorrections(dir, read.records) : read.records;
  // A picture without landmarks is no fault where a person has added its faces.
  const bad = [...found.bad, ...read.faults].filter(({ file }) => !withAdded.has(file));
  bad.push(...await insertAdded(dir, records, added, read, index, style));
  const kept = new Set(records.map(({ file_name }) => file_name));
  const rejected = new Set(read.records.map(({ file_name }) => file_name).filter((file) => !kept.has(file)));
  const total = found.images.length + found.bad.length;
  if (bad.length > 0 && (on_bad === "stop" || records.length === 0)) {
    const hint = found.images.length > 0 && records.length === 0 ? await formatHint(files, options) : undefined;
    throw badFilesError(dir, bad, total, hint ?? options.remedy);
  }
  const faces = records.flatMap(({ file_name: file, landmarks }) => {
    const header = read.headers.get(file);
    return header ? [{ file, landmarks, header }] : [];
  });
  const notes = [
    ...index.notes,
    ...groupNotes(index, records, read),
    ...copyNotes(records, read.headers),
    ...profileNotes(read.headers),
    ...originNotes(records, options),
    ...checkLandmarks(faces, schema, options.origin ?? DATASET_FORMATS[options.format ?? "pts"].origin ?? 0),
  ];
  const sizes = new Set([...read.headers.values()].map(({ width, height }) => width === height ? width : 0));
  const [size_px = 0] = sizes.size === 1 ? sizes : [];
  const common = [...index.files, ...found.common, ...files.paths.filter((path) => path === CORRECTIONS)];
  const accounted = new Set([
    ...found.images.map(({ image }) => image),
    ...found.beside.values(),
    ...found.bad.map(({ file }) => file),
    ...found.passed.map(({ file }) => file),
    ...common,
  ]);
  const byRule = (rule: string, paths: Iterable<string>) => Array.from(paths, (file) => ({ file, rule }));
  const passed = [
    ...files.passed,
    ...found.passed.filter(({ file }) => !withAdded.has(file)),
    ...byRule("images in which no face is marked", read.empty.filter((file) => !withAdded.has(file))),
    ...byRule("images whose faces were rejected by hand", rejected),
    ...byRule("other files", files.paths.filter((path) => !accounted.has(path))),
  ];
  return { ...datasetOf(dir, schema, size_px, records), bad, passed, notes, beside: found.beside, common };
}

/** The images of a folder with faces of the format, and an account of its other files. */
async function facesIn(files: FolderFiles, options: FolderOptions): Promise<FoundImages> {
  const { format = "pts", annotations } = options;
  const reader: ImageFormat | ListFormat = DATASET_FORMATS[format];
  if (reader.perImage) {
    if (annotations === undefined) return await imagesBeside(files, reader, options);
    throw new InputError(`Cannot use ${annotations} as ${format}: this format has a file beside each image`);
  }
  if (annotations === undefined) {
    throw new InputError(
      `Cannot read ${files.dir} as ${format}: annotations, the file with the landmarks, is not given`,
    );
  }
  return await listedImages(files, annotations, reader, options);
}

/** Faces that were read from the images of a folder, and facts about the images. */
interface FacesRead {
  /** Faces, in the order of the images. */
  readonly records: DatasetRecord[];
  /** Images that cannot be used. */
  readonly faults: BadFile[];
  /** Images in which no face is marked. */
  readonly empty: string[];
  /** Image of each face whose group no file gives. */
  readonly ungrouped: string[];
  /** Images without a row in `index.csv`. */
  readonly unlisted: string[];
  /** Headers of the images that can be used. */
  readonly headers: Map<string, ImageHeader & { readonly sum: string }>;
}

/** Reads the faces of images; those without a style of their own have the one given. */
async function readFaces(
  dir: string,
  images: readonly ImageWithFaces[],
  { rows }: FolderIndex,
  style: string,
): Promise<FacesRead> {
  const result: FacesRead = { records: [], faults: [], empty: [], ungrouped: [], unlisted: [], headers: new Map() };
  const seen = new Map<string, number>();
  for (const { image: file_name, described, read } of images) {
    const name = stem(file_name), row = rows.get(file_name);
    try {
      const header = await readImageSum(`${dir}/${file_name}`);
      const faces = await read(header.width, header.height);
      for (const { landmarks, occluded, ...given } of faces) {
        refuseShares(landmarks);
        const listed = { ...described, ...row, ...given };
        const count = (seen.get(name) ?? 0) + 1; // faces of the image so far
        seen.set(name, count);
        result.records.push({
          file_name,
          style: listed.style ?? style,
          group: listed.group ?? name,
          landmarks,
          source: count === 1 ? name : `${name}#${count}`,
          ...(occluded && { occluded: [...occluded] }),
        });
        if (listed.group === undefined) result.ungrouped.push(file_name);
      }
      if (faces.length === 0) result.empty.push(file_name);
      if (!row) result.unlisted.push(file_name);
      result.headers.set(file_name, header);
    } catch (error) {
      result.faults.push({ file: file_name, reason: reasonOf(error) });
    }
  }
  return result;
}

/** Faces that were added by hand to the pictures of a folder which are chosen. */
function addedIn({ dir, paths }: FolderFiles, { filter = () => true }: FolderOptions): Correction[] {
  const there = new Set(paths.filter((path) => isImageName(path) && filter(stem(path))));
  return [...addedFaces(dir)].flatMap(([file_name, faces]) => there.has(file_name) ? faces : []);
}

/** Inserts faces that were added by hand behind those of the same image; returns images that cannot be used. */
async function insertAdded(
  dir: string,
  records: DatasetRecord[],
  added: readonly Correction[],
  { records: originals, headers }: Pick<FacesRead, "records" | "headers">,
  { rows }: FolderIndex,
  style: string,
): Promise<BadFile[]> {
  const bad: BadFile[] = [];
  for (const { file_name, face, landmarks, occluded = [] } of added) {
    const name = stem(file_name);
    const described = originals.find((record) => record.file_name === file_name) ?? rows.get(file_name);
    const record: DatasetRecord = {
      file_name,
      style: described?.style ?? style,
      group: described?.group ?? name,
      landmarks: Float32Array.from(landmarks.flat()),
      source: face === 1 ? name : `${name}#${face}`,
      ...(occluded.length > 0 && { occluded: [...occluded] }),
    };
    try {
      if (!headers.has(file_name)) headers.set(file_name, await readImageSum(`${dir}/${file_name}`));
      const last = records.findLastIndex((one) => one.file_name === file_name);
      records.splice(last < 0 ? records.length : last + 1, 0, record);
    } catch (error) {
      bad.push({ file: file_name, reason: reasonOf(error) });
    }
  }
  return bad;
}

/** A dataset as a folder: its own styles and groups stay, and its landmarks are converted to the schema that is asked for. */
async function datasetAsFolder(
  dir: string,
  { schema = SCHEMAS[DEFAULT_SCHEMA], filter = () => true, corrected = true }: FolderOptions,
): Promise<FaceFolder> {
  const files = listFolder(dir), all = await openDataset(dir, { corrected });
  const records = all.records.filter(({ file_name }) => filter(stem(file_name)))
    .map((record) => ({
      ...record,
      landmarks: convertLandmarks(record.landmarks, all.schema, schema),
      ...(record.occluded && { occluded: convertMarks(record.occluded, all.schema, schema) }),
    }));
  if (records.length === 0) {
    throw new InputError(
      `Cannot use ${dir} as a folder of faces: none of its ${counted(all.records.length, "image")} is chosen`,
    );
  }
  const images = new Set(records.map(({ file_name }) => file_name));
  const there = new Set(files.paths);
  const beside = new Map(
    [...images].map((image) => [image, `${stem(image)}.pts`] as const)
      .filter(([, file]) => there.has(file)),
  );
  const common = [METADATA, CORRECTIONS].filter((name) => there.has(name));
  const used = new Set([...images, ...beside.values(), ...common]);
  const passed = [
    ...files.passed,
    ...files.paths.filter((path) => !used.has(path)).map((file) => ({ file, rule: "other files" })),
  ];
  return { ...datasetOf(dir, schema, all.size_px, records), bad: files.bad, passed, notes: [], beside, common };
}

/** The reason for which an image cannot be used; a bug is thrown on. */
function reasonOf(error: unknown): string {
  if (isMissing(error)) return "there is no such image";
  if (error instanceof InputError) return error.message;
  throw error;
}

/** Refuses landmarks that are all in a pixel or two, though not all at one place, which cropping explains better. */
function refuseShares(landmarks: Landmarks): void {
  const { width, height } = boundingBox(landmarks), side = Math.max(width, height);
  if (side >= 2 || side === 0) return;
  throw new InputError(
    `its landmarks span ${width.toFixed(2)} x ${height.toFixed(2)} pixels: are they shares of the image's sides?`,
  );
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
  return new InputError(`Cannot use ${dir}: ${bad.length} of ${counted(total, "file")} are bad`, {
    hint: `${hint ?? 'mend them or set on_bad to "skip"'}\n${lines.join("\n")}`,
  });
}
