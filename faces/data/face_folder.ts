/**
 * Plain folders of images with landmarks, in any of the formats of `annotations/registry.ts`.
 *
 * All that is in a folder is used, passed over by a rule, or named as bad; see {@linkcode accountOf}.
 *
 * @module
 */
import { exists, fileNames, firstBytes, isFolder, isMissing, readBytes, readText } from "../../formats/files.ts";
import { type Correction, CORRECTIONS } from "../../formats/corrections.ts";
import { InputError } from "../../formats/input_error.ts";
import { boundingBox, type Landmarks } from "../landmarks.ts";
import type { Origin } from "../pts.ts";
import { convertLandmarks, convertMarks, DEFAULT_SCHEMA, type LandmarkSchema, SCHEMAS } from "../schema.ts";
import { baseName, type ImageFormat, type ListedFace, type ListFormat, stem } from "./annotations/format.ts";
import { type BadFile, DATASET_FORMATS, type FormatName, parseAnnotations } from "./annotations/registry.ts";
import { addedFaces, applyCorrections } from "./corrections.ts";
import { type Dataset, datasetOf, type DatasetRecord, leavesFolder, METADATA, openDataset } from "./dataset.ts";
import {
  findOne,
  type FolderFiles,
  isImageName,
  isUnreadImageName,
  listFolder,
  NameFinder,
  type PassedOver,
  plainPath,
  someOf,
} from "./folder_files.ts";
import { type ImageHeader, readImageSize, readImageSum } from "./image_file.ts";
import { READABLE } from "./image_header.ts";
import { type FolderIndex, type Note, readIndex } from "./index_file.ts";
import { checkLandmarks } from "./landmark_checks.ts";

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
  /** False for the landmarks before any correction by hand; by default true. */
  corrected?: boolean;
  /** Next step for a user with bad files, for the error; by default that of `dataset/import`. */
  remedy?: string;
}

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
  const originals: DatasetRecord[] = [], faults = [...found.bad];
  const passed = [...files.passed, ...found.passed.filter(({ file }) => !withAdded.has(file))];
  const ungrouped: string[] = [], unlisted: string[] = [];
  const headers = new Map<string, ImageHeader>(), sums = new Map<string, string>();
  const seen = new Map<string, number>();
  for (const { image: file_name, described, read } of found.images) {
    const name = stem(file_name);
    try {
      const { sum, ...header } = await readImageSum(`${dir}/${file_name}`);
      const row = index.rows.get(file_name);
      const faces = await read(header.width, header.height);
      for (const { landmarks, occluded, ...given } of faces) {
        refuseShares(landmarks);
        const listed = { ...described, ...row, ...given };
        const count = (seen.get(name) ?? 0) + 1; // faces of the image so far
        seen.set(name, count);
        originals.push({
          file_name,
          style: listed.style ?? style,
          group: listed.group ?? name,
          landmarks,
          source: count === 1 ? name : `${name}#${count}`,
          ...(occluded && { occluded: [...occluded] }),
        });
        if (listed.group === undefined) ungrouped.push(file_name);
      }
      if (faces.length === 0 && !withAdded.has(file_name)) {
        passed.push({ file: file_name, rule: "images in which no face is marked" });
      }
      if (!row) unlisted.push(file_name);
      headers.set(file_name, header);
      sums.set(file_name, sum);
    } catch (error) {
      faults.push({ file: file_name, reason: reasonOf(error) });
    }
  }
  const records = corrected ? applyCorrections(dir, originals) : originals;
  // A picture without landmarks is no fault where a person has added its faces.
  const bad = faults.filter(({ file }) => !withAdded.has(file));
  for (const { file_name, face, landmarks, occluded = [] } of added) {
    const name = stem(file_name), like = originals.find((record) => record.file_name === file_name);
    const described = like ?? index.rows.get(file_name);
    const record: DatasetRecord = {
      file_name,
      style: described?.style ?? style,
      group: described?.group ?? name,
      landmarks: Float32Array.from(landmarks.flat()),
      source: face === 1 ? name : `${name}#${face}`,
      ...(occluded.length > 0 && { occluded: [...occluded] }),
    };
    try {
      if (!headers.has(file_name)) {
        const { sum, ...header } = await readImageSum(`${dir}/${file_name}`);
        headers.set(file_name, header);
        sums.set(file_name, sum);
      }
      const last = records.findLastIndex((one) => one.file_name === file_name);
      records.splice(last < 0 ? records.length : last + 1, 0, record);
    } catch (error) {
      bad.push({ file: file_name, reason: reasonOf(error) });
    }
  }
  const kept = new Set(records.map(({ file_name }) => file_name));
  const rejected = new Set(originals.map(({ file_name }) => file_name).filter((file) => !kept.has(file)));
  passed.push(...Array.from(rejected, (file) => ({ file, rule: "images whose faces were rejected by hand" })));
  const total = found.images.length + found.bad.length;
  if (bad.length > 0 && (on_bad === "stop" || records.length === 0)) {
    const hint = found.images.length > 0 && records.length === 0 ? await formatHint(files, options) : undefined;
    throw badFilesError(dir, bad, total, hint ?? options.remedy);
  }
  const faces = records.flatMap(({ file_name: file, landmarks }) => {
    const header = headers.get(file);
    return header ? [{ file, landmarks, header }] : [];
  });
  const notes = [
    ...index.notes,
    ...groupNotes(index, records, { ungrouped, unlisted }),
    ...copyNotes(records, sums),
    ...profileNotes(headers),
    ...originNotes(records, options),
    ...checkLandmarks(faces, schema, options.origin ?? DATASET_FORMATS[options.format ?? "pts"].origin ?? 0),
  ];
  const sizes = new Set([...headers.values()].map(({ width, height }) => width === height ? width : 0));
  const [size_px = 0] = sizes.size === 1 ? sizes : [];
  const common = [...index.files, ...found.common, ...files.paths.filter((path) => path === CORRECTIONS)];
  const accounted = new Set([
    ...found.images.map(({ image }) => image),
    ...found.beside.values(),
    ...found.bad.map(({ file }) => file),
    ...found.passed.map(({ file }) => file),
    ...common,
  ]);
  passed.push(...files.paths.filter((path) => !accounted.has(path)).map((file) => ({ file, rule: "other files" })));
  return { ...datasetOf(dir, schema, size_px, records), bad, passed, notes, beside: found.beside, common };
}

/** Faces that were added by hand to the pictures of a folder which are chosen. */
function addedIn({ dir, paths }: FolderFiles, { filter = () => true }: FolderOptions): Correction[] {
  const there = new Set(paths.filter((path) => isImageName(path) && filter(stem(path))));
  return [...addedFaces(dir)].flatMap(([file_name, faces]) => there.has(file_name) ? faces : []);
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
    throw new InputError(`Cannot use ${dir} as a folder of faces: none of its ${all.records.length} images is chosen`);
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

/** A note on files that are named as those of 300-W, which count from 1, and are read as if they counted from 0. */
function originNotes(records: readonly DatasetRecord[], { format = "pts", origin }: FolderOptions): Note[] {
  if (format !== "pts" || origin === 1) return [];
  const of300w =
    /(^|\/)(0[12]_(Indoor|Outdoor)|(helen|lfpw)\/(train|test)set|afw|ibug)\/|(^|\/)(in|out)door_\d{3}\.[a-z]+$/i;
  const files = records.map(({ file_name }) => file_name).filter((name) => of300w.test(name));
  return files.length === 0 ? [] : [{
    code: "landmarks_origin",
    message:
      `${files.length} images are named as in 300-W, whose files count from 1: if these do too, set format: 300w; ` +
      `they were read as counted from 0: ${someOf(files)}`,
    files,
  }];
}

/** Notes on groups that were not given by any file: they decide on which side of a split a person is. */
function groupNotes(
  { files, rows }: FolderIndex,
  records: readonly DatasetRecord[],
  { ungrouped, unlisted }: { readonly ungrouped: readonly string[]; readonly unlisted: readonly string[] },
): Note[] {
  const notes: Note[] = [];
  const alone = new Set(ungrouped);
  const missing = files.length && rows.size ? unlisted.filter((file) => alone.has(file)) : [];
  const known = new Set(missing);
  if (missing.length) {
    notes.push({
      code: "index_missing",
      message: `${known.size} of ${new Set(records.map(({ file_name }) => file_name)).size} images have no row in ` +
        `index.csv and are groups of their own: ${someOf(missing)}`,
      files: missing,
    });
  }
  const others = ungrouped.filter((file) => !known.has(file));
  if (others.length === 0) return notes;
  const all = others.length === records.length;
  notes.push({
    code: "groups",
    message:
      `no group is given for ${all ? "any image" : `${others.length} of ${records.length} faces`}: each image is ` +
      `a group of its own, and images of one person may come to both sides of a split${
        all ? "" : `, as in ${someOf(others)}`
      }`,
    files: all ? [] : others,
  });
  return notes;
}

/** Notes on images that are the same to the byte, in different groups. */
function copyNotes(records: readonly DatasetRecord[], sums: ReadonlyMap<string, string>): Note[] {
  const first = new Map<string, DatasetRecord>(), copies: string[] = [];
  for (const record of records) {
    const sum = sums.get(record.file_name) ?? "", other = first.get(sum);
    if (!other) first.set(sum, record);
    else if (other.group !== record.group) copies.push(`${record.file_name} of ${other.file_name}`);
  }
  return copies.length === 0 ? [] : [{
    code: "copies",
    message:
      `${copies.length} images are copies of others in another group, which may come to both sides of a split: ` +
      someOf(copies),
    files: copies,
  }];
}

/** Notes on colour profiles, which are not applied. */
function profileNotes(headers: ReadonlyMap<string, ImageHeader>): Note[] {
  const odd = [...headers].flatMap(([file, { profile }]) => profile === undefined ? [] : [{ file, profile }]);
  return [...Map.groupBy(odd, ({ profile }) => profile)].map(([profile, images]) => ({
    code: "colours",
    message: `${images.length} ${images.length === 1 ? "image has" : "images have"} the colour profile "${profile}"; ` +
      `colours are taken as sRGB: ${someOf(images.map(({ file }) => file))}`,
    files: images.map(({ file }) => file),
  }));
}

/** Files of a folder by what became of them. Each is in one list. */
export interface Account {
  /** Images that are used, files with their landmarks, and those about the whole folder. */
  readonly used: readonly string[];
  /** Files that are passed over, with the rule. */
  readonly passed: readonly PassedOver[];
  /** Files and faces that cannot be used. */
  readonly bad: readonly BadFile[];
}

/**
 * Says what became of the files of a folder.
 *
 * @param folder The folder.
 * @param later Images that were found to be bad after the folder was opened.
 * @returns Each file in one list.
 */
export function accountOf(
  { records, bad, passed, beside, common }: FaceFolder,
  later: readonly BadFile[] = [],
): Account {
  const failed = new Set(later.map(({ file }) => file));
  const used = new Set(records.map(({ file_name }) => file_name).filter((image) => !failed.has(image)));
  for (const image of [...used]) {
    const file = beside.get(image);
    if (file !== undefined) used.add(file);
  }
  for (const file of common) used.add(file);
  const left = [...new Set(beside.values())].filter((file) => !used.has(file))
    .map((file) => ({ file, rule: "landmarks of an image that is left out" }));
  return { used: [...used], passed: [...passed, ...left], bad: [...bad, ...later] };
}

/** One line on the files of a folder: how many are used, passed over and named as bad. */
export function accountLine({ used, passed, bad }: Account): string {
  const rules = [...Map.groupBy(passed, ({ rule }) => rule)].map(([rule, files]) => `${files.length} ${rule}`);
  const named = bad.length ? `${bad.length} left out and named in bad.jsonl` : "none left out";
  return `${used.length} files used, ${passed.length} passed over${
    rules.length ? ` (${rules.join(", ")})` : ""
  }, ${named}`;
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

/** Images to read, and what became of the other files of a folder. */
interface FoundImages {
  readonly images: ImageWithFaces[];
  readonly bad: BadFile[];
  readonly passed: PassedOver[];
  /** Files with landmarks, by image. */
  readonly beside: ReadonlyMap<string, string>;
  /** Files about all images. */
  readonly common: readonly string[];
}

async function facesIn(files: FolderFiles, options: FolderOptions): Promise<FoundImages> {
  const { format = "pts", annotations } = options;
  const reader: ImageFormat | ListFormat = DATASET_FORMATS[format];
  if (reader.perImage) {
    if (annotations === undefined) return await besideImages(files, reader, options);
    throw new InputError(`Cannot use ${annotations} as ${format}: this format has a file beside each image`);
  }
  if (annotations === undefined) {
    throw new InputError(
      `Cannot read ${files.dir} as ${format}: annotations, the file with the landmarks, is not given`,
    );
  }
  return await listedFaces(files, annotations, reader, options);
}

const NOT_CHOSEN = "not chosen by include, exclude or list";
const LINKS = "links to files that are there already";

async function listedFaces(
  files: FolderFiles,
  annotations: string,
  reader: ListFormat,
  options: FolderOptions,
): Promise<FoundImages> {
  const { schema = SCHEMAS[DEFAULT_SCHEMA], filter = () => true } = options;
  const { dir } = files;
  const origin = options.origin ?? reader.origin ?? 0;
  const lists = await isFolder(annotations)
    ? fileNames(annotations).filter((name) => !name.startsWith(".")).map((name) => `${annotations}/${name}`)
    : [annotations];
  const bad: BadFile[] = [...files.bad], passed: PassedOver[] = [];
  const finder = new ImageFinder(files);
  const faces: { readonly image: string; readonly face: FaceOfImage }[] = [];
  const keys = new Set<string>(), unchosen = new Set<string>();
  for (const name of lists) {
    let found;
    try {
      found = parseAnnotations(await readText(name), reader, schema, { name, origin });
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      const hint = await formatHint(files, options);
      throw hint === undefined ? error : new InputError(error.message, { hint, cause: error });
    }
    bad.push(...found.bad);
    for (const { image, aliases = [], ...face } of found.faces) {
      try {
        const path = finder.find(image, aliases) ?? plainPath(image);
        const key = [path, ...face.landmarks].join();
        if (!filter(stem(path))) unchosen.add(path);
        else if (keys.has(key)) passed.push({ file: path, rule: "faces that are listed twice" });
        else faces.push({ image: path, face });
        keys.add(key);
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        bad.push({ file: image, reason: error.message });
      }
    }
  }
  passed.push(...Array.from(unchosen, (file) => ({ file, rule: NOT_CHOSEN })));
  bad.push(...finder.confused());
  const confused = new Set(bad.map(({ file }) => file));
  const images = faces.filter(({ image }) => !confused.has(image))
    .map(({ image, face }) => ({ image, read: () => [face] }));
  if (images.length + bad.length === 0) throw new InputError(`Cannot use ${annotations}: no face was chosen in it`);
  const listed = new Set([...faces.map(({ image }) => image), ...passed.map(({ file }) => file)]);
  for (const file of files.paths) {
    if (!isImageName(file) && !isUnreadImageName(file) || listed.has(file)) continue;
    passed.push({ file, rule: `images that ${baseName(plainPath(annotations))} does not list` });
  }
  const own = new Set(lists.map(plainPath)), start = plainPath(dir);
  const common = files.paths.filter((path) => own.has(`${start}/${path}`));
  return { images, bad, passed, beside: new Map(), common };
}

/** Finds the images that a list names. */
class ImageFinder {
  readonly #dir: string;
  readonly #all: NameFinder;
  readonly #byBase: ReadonlyMap<string, readonly string[]>;
  readonly #bases: NameFinder;
  /** Names that stood for an image by the last part of their paths, by image. */
  readonly #guessed = new Map<string, Set<string>>();

  constructor({ dir, paths }: FolderFiles) {
    this.#dir = dir;
    this.#all = new NameFinder(paths);
    this.#byBase = Map.groupBy(paths.filter((path) => isImageName(path) || isUnreadImageName(path)), baseName);
    this.#bases = new NameFinder([...this.#byBase.keys()]);
  }

  /**
   * The path of an image: as the list has it, or by one of its aliases, or the one image of that name in the folder.
   *
   * @throws {InputError} If it is outside of the folder, or there are several.
   */
  find(image: string, aliases: readonly string[]): string | undefined {
    if (leavesFolder(image)) throw new InputError(`it is outside of ${this.#dir}, and only images in it are read`);
    for (const path of [image, ...aliases.filter((alias) => !leavesFolder(alias))]) {
      const found = findOne(this.#all, plainPath(path));
      if (found !== undefined) return found;
    }
    const [only, ...more] = this.#bases.find(baseName(plainPath(image))).flatMap((base) =>
      this.#byBase.get(base) ?? []
    );
    if (only === undefined || more.length) return undefined;
    const names = this.#guessed.get(only) ?? new Set();
    this.#guessed.set(only, names.add(plainPath(image)));
    return only;
  }

  /** Images for which paths in different folders stood. */
  confused(): BadFile[] {
    return [...this.#guessed].filter(([, names]) => names.size > 1).map(([file, names]) => ({
      file,
      reason: `${someOf([...names])} would all be this image`,
    }));
  }
}

async function besideImages(files: FolderFiles, format: ImageFormat, options: FolderOptions): Promise<FoundImages> {
  const { schema = SCHEMAS[DEFAULT_SCHEMA], filter = () => true } = options;
  const bad: BadFile[] = [...files.bad], passed: PassedOver[] = [];
  const candidates = files.paths.filter((path) => isImageName(path) || isUnreadImageName(path));
  const chosen = candidates.filter((path) => {
    const rule = !(format.accepts?.(path) ?? true)
      ? `images that are no faces in format ${format.name}`
      : !filter(stem(path))
      ? NOT_CHOSEN
      : isCopy(files, path)
      ? LINKS
      : undefined;
    if (rule !== undefined) passed.push({ file: path, rule });
    return rule === undefined;
  });
  const fileOf = landmarkFiles(files, candidates.filter((path) => format.accepts?.(path) ?? true), format);
  const beside = new Map<string, string>();
  const images: ImageWithFaces[] = [];
  const sharing = Map.groupBy(chosen.filter((path) => !isUnreadImageName(path)), (path) => fileOf.get(path) ?? path);
  for (const image of chosen) {
    const file = fileOf.get(image);
    const [other, ...more] = (file === undefined ? [] : sharing.get(file) ?? []).filter((path) => path !== image);
    if (other !== undefined && isUnreadImageName(image)) {
      passed.push({ file: image, rule: "images in a format that is not read, beside one that is" });
      continue;
    }
    if (file instanceof InputError) bad.push({ file: image, reason: file.message });
    else if (other !== undefined) {
      bad.push({ file: image, reason: `${[other, ...more].join(" and ")} has the same file of landmarks, ${file}` });
    } else {
      images.push({
        image,
        ...(format.describe && { described: format.describe(image) }),
        read: (width, height) =>
          readBeside(files.dir, image, file, format, { schema, width, height, origin: options.origin }),
      });
    }
    if (typeof file === "string") beside.set(image, file);
  }
  // The landmarks of images that are passed over.
  const read = new Set(beside.values());
  for (const { file: image, rule } of [...passed]) {
    const file = fileOf.get(image);
    if (typeof file === "string" && !read.has(file)) passed.push({ file, rule });
    if (typeof file === "string") read.add(file);
  }
  const claimed = new Set([...fileOf.values()].filter((file) => typeof file === "string"));
  await addOrphans(files, claimed, format, options, bad, passed);
  if (images.length === 0 && bad.length === 0) {
    const found = candidates.length ? `none of its ${candidates.length} images is chosen` : "there is no image in it";
    throw new InputError(`Cannot use ${files.dir} as a folder of faces: ${found}`, {
      hint: candidates.length ? "include and exclude have names without endings" : `${READABLE} are read`,
    });
  }
  return { images, bad, passed, beside, common: [] };
}

/** True for a link to an image that is in the folder under another path. */
function isCopy({ same }: FolderFiles, path: string): boolean {
  const other = same.get(path);
  return other !== undefined && isImageName(other);
}

/** The file with the landmarks of each image that has one; an error where several may be it. */
function landmarkFiles(
  { dir, paths }: FolderFiles,
  images: readonly string[],
  format: ImageFormat,
): Map<string, string | InputError> {
  const there = new Set(paths), result = new Map<string, string | InputError>();
  for (const image of images) {
    const file = format.files(image).find((file) =>
      there.has(file) || file.startsWith("../") && exists(`${dir}/${file}`)
    );
    if (file !== undefined) result.set(image, file);
  }
  const finder = new NameFinder(paths);
  const taken = new Set([...result.values()].filter((file) => typeof file === "string"));
  for (const image of images) {
    if (result.has(image)) continue;
    try {
      const file = format.files(image).map((name) => findOne(finder, name, taken)).find((file) => file !== undefined);
      if (file !== undefined) result.set(image, file);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      result.set(image, error);
    }
  }
  return result;
}

const endingOf = (path: string) => path.replace(/^.*\./, ".").toLowerCase();

/** Adds files with landmarks for which there is no image; text files that have no landmarks are other files. */
async function addOrphans(
  { dir, paths, same }: FolderFiles,
  claimed: ReadonlySet<string>,
  format: ImageFormat,
  { schema = SCHEMAS[DEFAULT_SCHEMA], filter = () => true }: FolderOptions,
  bad: BadFile[],
  passed: PassedOver[],
): Promise<void> {
  const examples = ["a.png", ...paths.filter(isImageName)];
  const endings = new Set(examples.flatMap((image) => format.files(image)).map(endingOf));
  for (const file of paths) {
    if (claimed.has(file) || isImageName(file) || !endings.has(endingOf(file))) continue;
    if (format.others?.files.test(file)) passed.push({ file, rule: format.others.rule });
    else if (!filter(stem(file))) passed.push({ file, rule: NOT_CHOSEN });
    else if (claimed.has(same.get(file) ?? "")) passed.push({ file, rule: LINKS });
    else if (!file.toLowerCase().endsWith(".txt") || await hasLandmarks(`${dir}/${file}`, format, schema)) {
      bad.push({ file, reason: "there is no image beside these landmarks" });
    }
  }
}

async function hasLandmarks(name: string, format: ImageFormat, given: LandmarkSchema): Promise<boolean> {
  const schema = format.schema === undefined ? given : SCHEMAS[format.schema];
  try {
    return format.parse(await readBytes(name), { name, origin: 0, schema, width: 1, height: 1 }).length > 0;
  } catch (error) {
    if (error instanceof InputError) return false;
    throw error;
  }
}

/** Reads the file with the landmarks of an image. */
async function readBeside(
  dir: string,
  image: string,
  file: string | undefined,
  format: ImageFormat,
  { schema, origin = format.origin ?? 0, ...size }: {
    readonly schema: LandmarkSchema;
    readonly origin?: Origin | undefined;
    readonly width: number;
    readonly height: number;
  },
): Promise<FaceOfImage[]> {
  if (file === undefined) throw new InputError(`there is no ${format.files(image).join(", ")} beside it`);
  const name = `${dir}/${file}`;
  const own = format.schema === undefined ? schema : SCHEMAS[format.schema];
  const faces: Landmarks[] = format.parse(await readBytes(name), { name, origin, schema: own, ...size });
  return faces.map((landmarks) => ({ landmarks: convertLandmarks(landmarks, own, schema) }));
}

/** Images that are looked at to find the format of a folder. */
const SAMPLE = 3;
/** Bytes of a file of many faces that are looked at. */
const START = 1 << 16;

/** A hint that names the formats which a folder's files fit, other than the one given; undefined if there is none. */
async function formatHint(
  files: FolderFiles,
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
  const { dir, paths } = files;
  const images = paths.filter(isImageName);
  for (const one of all) {
    if (!one.perImage) continue;
    const sample = images.filter((image) => one.accepts?.(image) ?? true).slice(0, SAMPLE);
    const fileOf = landmarkFiles(files, sample, one);
    const fits = await Promise.all(sample.map(async (image) => {
      const own = one.schema === undefined ? schema ?? SCHEMAS[DEFAULT_SCHEMA] : SCHEMAS[one.schema];
      try {
        const size = await readImageSize(`${dir}/${image}`), file = fileOf.get(image);
        if (file === undefined || file instanceof InputError) return false;
        return (await readBeside(dir, image, file, one, { schema: own, ...size })).length > 0;
      } catch (error) {
        if (error instanceof InputError) return false;
        throw error;
      }
    }));
    if (fits.length && fits.every(Boolean)) {
      return `its files fit format ${one.name}${one.schema === undefined ? "" : `, whose schema is ${one.schema}`}`;
    }
  }
  for (const path of paths.filter((path) => /\.(json|xml|csv|tsv|txt)$/i.test(path)).slice(0, 20)) {
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
