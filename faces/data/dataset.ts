/**
 * Faces with landmarks on disk: the folder that every data stage writes and reads, and plain folders of `.pts` files.
 *
 * A dataset is `metadata.jsonl` (the image-folder convention of Hugging Face: one line an image, with `file_name`) and
 * `images/000000.png` with `images/000000.pts` beside it. All its images are squares of one size.
 *
 * @module
 */
import { z } from "zod";
import { parseCsv } from "../../formats/csv.ts";
import { InputError } from "../../formats/input_error.ts";
import type { AppliedEdit } from "../edits.ts";
import { encodePng, type Image, readImage, readImageHeader } from "./image.ts";
import type { Landmarks } from "../landmarks.ts";
import { DEFAULT_SCHEMA, type LandmarkSchema, schemaName, SCHEMAS } from "../schema.ts";
import { formatPts, type Origin, readPts } from "../pts.ts";
import { exists } from "../../formats/files.ts";
import { inOrder, PicturePool } from "./pool.ts";
import { type ListedFace, type ListFormat, parseAnnotations, parseNpy, parseText } from "./annotations.ts";

const appliedEdit = z.object({
  edit: z.string(),
  amount: z.number(),
  draws: z.record(z.string(), z.number()).optional(),
});

const line = z.looseObject({
  file_name: z.string(),
  style: z.string(),
  group: z.string(),
  schema: schemaName.optional(),
  landmarks: z.array(z.tuple([z.number(), z.number()])),
  prompt: z.string().optional(),
  source: z.string().optional(),
  seed: z.number().optional(),
  edits: z.array(appliedEdit).optional(),
});

/** What is known of an image but for its name. */
export interface NewRecord {
  /** The domain, as in "photo" or "ink". */
  style: string;
  /** Images of one group show the same person or picture and must not be split between training and measuring. */
  group: string;
  /** `[P, 2]`, pixels of the image. */
  landmarks: Landmarks;
  /** The text it was generated from. */
  prompt?: string;
  /** Where it came from: a file name, say. */
  source?: string;
  /** The seed it was drawn with. */
  seed?: number;
  /** The landmark edits that were applied before it was drawn. */
  edits?: AppliedEdit[];
}

/** One image of a dataset. */
export interface DatasetRecord extends NewRecord {
  /** Path of the image inside the dataset's folder. */
  file_name: string;
}

/** An image with what is known of it. */
export interface Sample {
  /** The picture. */
  image: Image;
  /** `[P, 2]`, pixels of the image. */
  landmarks: Landmarks;
  /** The rest. */
  record: DatasetRecord;
}

/** A whole dataset in memory. */
export interface LoadedDataset {
  /** `[n, size_px, size_px, 3]`, 0 to 255. */
  images: Uint8Array;
  /** `[n, P, 2]`, pixels. */
  landmarks: Float32Array;
  /** One an image. */
  records: DatasetRecord[];
}

/** Faces that can be read one by one or all at once. */
export interface Dataset {
  /** The folder. */
  readonly dir: string;
  /** Schema of the landmarks. */
  readonly schema: LandmarkSchema;
  /** Side of every image, pixels; 0 for a plain folder whose images are not squares of one size. */
  readonly size_px: number;
  /** One an image. */
  readonly records: readonly DatasetRecord[];
  /**
   * Reads one image.
   *
   * @param index Into `records`.
   */
  load(index: number): Promise<Sample>;
  /**
   * Reads every image.
   *
   * @throws {InputError} If `size_px` is 0.
   */
  loadAll(): Promise<LoadedDataset>;
}

function dataset(
  dir: string,
  schema: LandmarkSchema,
  size_px: number,
  records: readonly DatasetRecord[],
): Dataset {
  const load = async (index: number, pool?: PicturePool): Promise<Sample> => {
    const record = records[index];
    if (!record) throw new RangeError(`Cannot read image ${index} of ${dir}: it holds ${records.length} images`);
    const path = `${dir}/${record.file_name}`;
    const image = await (pool ? pool.decode(path) : readImage(path));
    if (size_px !== 0 && (image.width !== size_px || image.height !== size_px)) {
      throw new InputError(
        `Cannot use ${path} in a dataset of ${size_px} x ${size_px} images: current value is ${image.width} x ${image.height}`,
      );
    }
    return { image, landmarks: record.landmarks, record };
  };
  const loadAll = async (): Promise<LoadedDataset> => {
    if (size_px === 0) {
      throw new InputError(`Cannot load ${dir} as one array: its images differ in size`, {
        hint: "use dataset/import",
      });
    }
    const bytes = size_px * size_px * 3;
    const images = new Uint8Array(records.length * bytes);
    const landmarks = new Float32Array(records.length * 2 * schema.count);
    using pool = new PicturePool(records.length * size_px ** 2);
    let i = 0;
    for await (const sample of inOrder(records.length, pool.width, (index) => load(index, pool))) {
      images.set(sample.image.data, i * bytes);
      landmarks.set(sample.landmarks, i++ * 2 * schema.count);
    }
    return { images, landmarks, records: [...records] };
  };
  return { dir, schema, size_px, records, load: (index) => load(index), loadAll };
}

/**
 * Opens a dataset that {@linkcode DatasetWriter} wrote. Images are read when they are asked for.
 *
 * @param dir The folder with `metadata.jsonl`.
 * @returns The dataset.
 * @throws {InputError} Naming the line of `metadata.jsonl`, if one cannot be understood, or if there is no image.
 *
 * @example
 * ```ts
 * import { openDataset } from "../faces/dataset.ts";
 * async function sizes(dir: string) {
 *   const { records, size_px } = await openDataset(dir);
 *   return [records.length, size_px];
 * }
 * ```
 */
export async function openDataset(dir: string): Promise<Dataset> {
  const path = `${dir}/metadata.jsonl`;
  const records: DatasetRecord[] = [];
  let schema: LandmarkSchema | undefined;
  for (const [i, text] of (await Deno.readTextFile(path)).split("\n").entries()) {
    if (text.trim() === "") continue;
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch (error) {
      throw new InputError(`Cannot read ${path}:${i + 1}: ${(error as Error).message}`);
    }
    const parsed = line.safeParse(json);
    if (!parsed.success) {
      const issue = parsed.error.issues[0]!;
      throw new InputError(`Cannot read ${path}:${i + 1}: ${issue.path.join(".") || "the line"}: ${issue.message}`);
    }
    const { landmarks, schema: name = DEFAULT_SCHEMA, ...rest } = parsed.data;
    schema ??= SCHEMAS[name];
    if (name !== schema.name) {
      throw new InputError(
        `Cannot read ${path}:${i + 1}: its schema is ${name}, that of the first line is ${schema.name}`,
      );
    }
    if (landmarks.length !== schema.count) {
      throw new InputError(
        `Cannot read ${path}:${i + 1}: landmarks: there are ${landmarks.length} and ${name} has ${schema.count}`,
      );
    }
    records.push({ ...rest, landmarks: Float32Array.from(landmarks.flat()) } as DatasetRecord);
  }
  if (!schema) throw new InputError(`Cannot use ${dir} as a dataset: ${path} names no image`);
  const { width, height } = await headerOf(`${dir}/${records[0]!.file_name}`);
  if (width !== height) {
    throw new InputError(
      `Cannot use ${dir} as a dataset: images must be square, current value is ${width} x ${height}`,
    );
  }
  return dataset(dir, schema, width, records);
}

async function headerOf(path: string) {
  // A JPEG's size may come after metadata of any length, so the whole file is read.
  return readImageHeader(await Deno.readFile(path), path);
}

/** Writes a dataset. `metadata.jsonl` comes last, with `close()`: a folder without it is unfinished. */
export class DatasetWriter {
  readonly #dir: string;
  readonly #schema: LandmarkSchema;
  readonly #lines: string[] = [];
  readonly #encode: (image: Image) => Promise<Uint8Array> | Uint8Array;
  #size_px = 0;

  private constructor(dir: string, schema: LandmarkSchema, encoder: Pick<PicturePool, "encode"> | undefined) {
    this.#dir = dir;
    this.#schema = schema;
    this.#encode = encoder ? (image) => encoder.encode(image) : encodePng;
  }

  /**
   * Starts a dataset.
   *
   * @param dir The folder, which is made when it is not there.
   * @param schema Schema of the landmarks.
   * @param encoder Makes PNG files of images; this thread unless given.
   * @returns The writer.
   */
  static async create(
    dir: string,
    schema: LandmarkSchema,
    encoder?: Pick<PicturePool, "encode">,
  ): Promise<DatasetWriter> {
    await Deno.mkdir(`${dir}/images`, { recursive: true });
    return new DatasetWriter(dir, schema, encoder);
  }

  /** Images so far. */
  get count(): number {
    return this.#lines.length;
  }

  /**
   * Adds an image. Images are in the order of the calls, which may overlap.
   *
   * @param image A square of the size of those before.
   * @param record What is known of it.
   * @throws {InputError} If the image's size or the landmarks do not fit.
   */
  async add(image: Image, record: NewRecord): Promise<void> {
    this.#check(image.width, image.height, record);
    await this.#write(async () => await this.#encode(image), record);
  }

  /**
   * Adds an image that is a PNG file already, as it is. Images are in the order of the calls, which may overlap.
   *
   * @param path The file.
   * @param size_px Its side.
   * @param record What is known of it.
   * @throws {InputError} If the image's size or the landmarks do not fit.
   */
  async addFile(path: string, size_px: number, record: NewRecord): Promise<void> {
    this.#check(size_px, size_px, record);
    await this.#write(() => Deno.readFile(path), record);
  }

  #check(width: number, height: number, { landmarks }: NewRecord): void {
    const index = this.#lines.length;
    this.#size_px ||= width;
    if (width !== this.#size_px || height !== this.#size_px) {
      throw new InputError(
        `Cannot add image ${index} to ${this.#dir}: its size is ${width} x ${height}, ` +
          `${this.#size_px} x ${this.#size_px} is expected`,
      );
    }
    if (landmarks.length !== 2 * this.#schema.count || !landmarks.every(Number.isFinite)) {
      throw new InputError(
        `Cannot add image ${index} to ${this.#dir}: landmarks must be ${2 * this.#schema.count} finite numbers`,
      );
    }
  }

  /**
   * Adds an image of another dataset without decoding it. Images are in the order of the calls, which may overlap.
   *
   * @param from A dataset that {@linkcode DatasetWriter} wrote.
   * @param index Into its records.
   * @throws {InputError} If its images have another size than those before.
   */
  async copy(from: Dataset, index: number): Promise<void> {
    this.#size_px ||= from.size_px;
    if (from.size_px !== this.#size_px) {
      throw new InputError(
        `Cannot add images of ${from.dir} to ${this.#dir}: their side is ${from.size_px} pixels, ` +
          `${this.#size_px} is expected`,
      );
    }
    if (from.schema.name !== this.#schema.name) {
      throw new InputError(
        `Cannot add images of ${from.dir} to ${this.#dir}: their landmarks are of ${from.schema.name}, ` +
          `${this.#schema.name} is expected`,
      );
    }
    const { file_name, ...record } = from.records[index]!;
    await this.#write(() => Deno.readFile(`${from.dir}/${file_name}`), record);
  }

  async #write(read: () => Promise<Uint8Array>, record: NewRecord): Promise<void> {
    const { style, group, landmarks, ...rest } = record;
    const name = `images/${String(this.#lines.length).padStart(6, "0")}`;
    const round = (value: number) => Math.round(value * 1000) / 1000;
    const points = Array.from(
      { length: this.#schema.count },
      (_, i) => [round(landmarks[2 * i]!), round(landmarks[2 * i + 1]!)],
    );
    // Lines without a schema are of the default one.
    const schema = this.#schema.name === DEFAULT_SCHEMA ? {} : { schema: this.#schema.name };
    this.#lines.push(JSON.stringify({ file_name: `${name}.png`, style, group, ...schema, landmarks: points, ...rest }));
    await Deno.writeFile(`${this.#dir}/${name}.png`, await read());
    await Deno.writeTextFile(`${this.#dir}/${name}.pts`, formatPts(landmarks));
  }

  /** Writes `metadata.jsonl`. */
  async close(): Promise<void> {
    await Deno.writeTextFile(`${this.#dir}/metadata.jsonl`, this.#lines.map((line) => line + "\n").join(""));
  }
}

/** A file that could not be used, and why. */
export interface BadFile {
  /** Inside the folder. */
  file: string;
  /** One line. */
  reason: string;
}

/** How a plain folder is read. */
export interface FolderOptions {
  /** Schema of the landmarks; `ibug68` unless given. WFLW's lists are converted to it. */
  schema?: LandmarkSchema;
  /**
   * Where the landmarks are: a `.pts` file (unless given) or a `.txt` file beside each image; a `.npy` file beside it or
   * in the folder `landmarks` beside its own; or one file of many faces.
   */
  format?: "pts" | "text" | "npy" | ListFormat;
  /** The one file, where the format has one. */
  annotations?: string;
  /** 1 when the landmarks count pixels from 1, as 300-W's own do; 0 unless given. */
  origin?: Origin;
  /** Style of images that have none of their own; "photo" unless given. */
  style?: string;
  /** Which images to take, by name without ending; all unless given. */
  filter?: (name: string) => boolean;
  /** "stop" (unless given): throw when a file is bad, naming all of them. "skip": list them in `bad`. */
  on_bad?: "stop" | "skip";
}

/**
 * Opens any folder of images (PNG, JPEG) with a 300-W `.pts` file of the same name beside each, or with landmarks in
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
      const { width, height } = await headerOf(`${dir}/${file_name}`);
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
      if (error instanceof Deno.errors.NotFound) {
        bad.push({ file: file_name, reason: "there is no such image" });
      } else if (error instanceof InputError) {
        bad.push({ file: file_name, reason: error.message });
      } else throw error;
    }
  }
  const total = found.faces.length + found.bad.length;
  if (bad.length > 0 && (on_bad === "stop" || records.length === 0)) throw badFilesError(dir, bad, total);
  return { ...dataset(dir, schema, sizes.size === 1 ? size_px : 0, records), bad };
}

/** A face whose landmarks may still have to be read. */
interface FaceFile extends Omit<ListedFace, "landmarks"> {
  readonly landmarks: Landmarks | (() => Promise<Landmarks>);
}

async function facesIn(dir: string, options: FolderOptions): Promise<{ faces: FaceFile[]; bad: BadFile[] }> {
  const { schema = SCHEMAS[DEFAULT_SCHEMA], format = "pts", annotations, origin = 0, filter = () => true } = options;
  if (format !== "pts" && format !== "text" && format !== "npy") {
    if (annotations === undefined) {
      throw new InputError(`Cannot read ${dir} as ${format}: annotations, the file with the landmarks, is not given`);
    }
    const { faces, bad } = parseAnnotations(await Deno.readTextFile(annotations), format, schema, {
      name: annotations,
      origin,
    });
    const chosen = faces.filter(({ image }) => filter(stem(image)));
    if (chosen.length + bad.length === 0) throw new InputError(`Cannot use ${annotations}: no face was chosen in it`);
    return { faces: chosen, bad };
  }
  if (annotations !== undefined) {
    throw new InputError(`Cannot use ${annotations} as ${format}: this format has a file beside each image`);
  }
  const names: string[] = [];
  for await (const entry of Deno.readDir(dir)) {
    if (entry.isFile && /\.(png|jpe?g)$/i.test(entry.name) && filter(stem(entry.name))) names.push(entry.name);
  }
  if (names.length === 0) {
    throw new InputError(`Cannot use ${dir} as a folder of faces: no PNG or JPEG was chosen in it`);
  }
  const faces = names.sort().map((image): FaceFile => {
    const files = placesOf(image, format);
    const landmarks = async () => {
      const file = files.find((file) => exists(`${dir}/${file}`));
      if (file === undefined) throw new InputError(`there is no ${files.join(", ")} beside it`);
      const path = `${dir}/${file}`;
      if (format === "pts") return await readPts(path, schema, origin);
      if (format === "npy") return parseNpy(await Deno.readFile(path), schema, { name: path, origin });
      return parseText(await Deno.readTextFile(path), schema, { name: path, origin });
    };
    return { image, landmarks };
  });
  return { faces, bad: [] };
}

/** Files, relative to an image's folder, that may hold its landmarks; CariFace's are called `images/1.jpg` and `landmarks/1.jpg.npy`. */
function placesOf(image: string, format: "pts" | "text" | "npy"): string[] {
  if (format !== "npy") return [`${stem(image)}.${format === "pts" ? "pts" : "txt"}`];
  const names = [`${stem(image)}.npy`, `${image}.npy`];
  return [...names, ...names.map((name) => `../landmarks/${name}`)];
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

function stem(file: string): string {
  return file.replace(/\.[^.]*$/, "");
}

/** Rows of `index.csv` by name; no rows when there is no such file. */
async function readIndex(path: string): Promise<Map<string, { style?: string; group?: string }>> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Map();
    throw error;
  }
  const [first, ...rows] = parseCsv(text, path);
  const header = first?.fields ?? [];
  const name = header.indexOf("name"), style = header.indexOf("style"), group = header.indexOf("group");
  if (name < 0) throw new InputError(`Cannot read ${path}:1: there is no column "name", current value is "${header}"`);
  return new Map(rows.map(({ line, fields }) => {
    if (fields.length !== header.length) {
      throw new InputError(
        `Cannot read ${path}:${line}: there are ${fields.length} fields instead of ${header.length}`,
      );
    }
    return [fields[name]!, {
      ...(fields[style] && { style: fields[style] }),
      ...(fields[group] && { group: fields[group] }),
    }];
  }));
}

/** Two sets of indices, each in ascending order. */
export interface Split {
  /** Indices of records to train on. */
  train: number[];
  /** Indices of records to measure on. */
  holdout: number[];
}

/**
 * Splits records so that no group is on both sides.
 *
 * Groups are put in an order that depends on their names and the seed alone, and are held back until the fraction is
 * reached, so that adding images moves few others.
 *
 * @param records Anything with a group.
 * @param fraction Share of the images to hold back, above 0 and below 1.
 * @param seed Another seed is another split.
 * @returns Indices of both parts; neither is empty.
 * @throws {InputError} If the fraction is out of range or there is but one group.
 */
export function splitByGroup(records: readonly { group: string }[], fraction: number, seed: number): Split {
  if (!(fraction > 0 && fraction < 1)) {
    throw new InputError(`Cannot split by fraction: current value is ${fraction}`, { hint: "above 0 and below 1" });
  }
  const sizes = new Map<string, number>();
  for (const { group } of records) sizes.set(group, (sizes.get(group) ?? 0) + 1);
  if (sizes.size < 2) {
    throw new InputError(`Cannot split ${records.length} images of ${sizes.size} group: at least 2 groups are needed`);
  }
  const order = [...sizes.keys()].map((group) => ({ group, key: hash(`${seed}/${group}`) }))
    .sort((a, b) => a.key - b.key || (a.group < b.group ? -1 : 1));
  order.pop(); // the last group is never held back: both sides have one
  const holdout = new Set<string>();
  let count = 0;
  for (const { group } of order) {
    if (count > 0 && count >= Math.round(fraction * records.length)) break;
    holdout.add(group);
    count += sizes.get(group)!;
  }
  const split: Split = { train: [], holdout: [] };
  records.forEach(({ group }, i) => (holdout.has(group) ? split.holdout : split.train).push(i));
  return split;
}

/** FNV-1a, finished as MurmurHash3 does: 32 well-mixed bits of a text. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) h = Math.imul(h ^ byte, 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
