/**
 * Datasets: the folder of faces with landmarks that every data stage writes and reads.
 *
 * A dataset is `metadata.jsonl` (the image-folder convention of Hugging Face: one line an image, with `file_name`) and
 * `images/000000.png` with `images/000000.pts` next to it; or, for very many images, tar archives of `000000.png` with
 * `000000.json`, the shards of WebDataset (https://github.com/webdataset/webdataset). All its images are squares of one size.
 *
 * @module
 */
import { z } from "zod";
import { exists, isFolder, isMissing, namesIn, readText } from "../../formats/files.ts";
import { counted } from "../../formats/numbers.ts";
import { readEntry, readTarDirectory } from "../../formats/tar.ts";
import { InputError } from "../../formats/input_error.ts";
import { itemAt } from "../../engine/lookup.ts";
import type { AppliedEdit } from "../edits.ts";
import { applyCorrections } from "./corrections.ts";
import type { Image, Squares } from "./image.ts";
import { readImage, readImageSize } from "./image_file.ts";
import type { Landmarks } from "../landmarks.ts";
import { DEFAULT_SCHEMA, type LandmarkSchema, schemaName, SCHEMAS } from "../schema.ts";
import { inOrder, PicturePool } from "./pool.ts";

/** Name of the file with a line for each image. */
export const METADATA = "metadata.jsonl";

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
  uncertainty_px: z.array(z.number()).optional(),
  doubt: z.number().optional(),
  score: z.number().optional(),
  occluded: z.array(z.int().min(0)).optional(),
});

/** Metadata of an image except its name. */
export interface NewRecord {
  /** The domain, as in "photo" or "ink". */
  style: string;
  /** Images of one group show the same person or are made from the same image. They must not be split between training and measuring. */
  group: string;
  /** `[P, 2]`, pixels of the image. */
  landmarks: Landmarks;
  /** The text it was generated from. */
  prompt?: string;
  /** Origin, such as a file name. */
  source?: string;
  /** The seed it was drawn with. */
  seed?: number;
  /** The landmark edits that were applied before it was drawn. */
  edits?: AppliedEdit[];
  /** Uncertainty of each landmark, `[P]`, pixels of the image, where a detector found them. */
  uncertainty_px?: number[];
  /** Mean of these, percent of the diagonal of the landmarks' box. */
  doubt?: number;
  /** Probability that it is a face, where a finder found it. */
  score?: number;
  /** Landmarks that are hidden in the picture, by index, where a person said so. */
  occluded?: number[];
}

/** One image of a dataset. */
export interface DatasetRecord extends NewRecord {
  /** Path of the image inside the dataset's folder. */
  file_name: string;
}

/** An image with its record. */
export interface Sample {
  /** The pixels. */
  image: Image;
  /** `[P, 2]`, pixels of the image. */
  landmarks: Landmarks;
  /** The rest. */
  record: DatasetRecord;
}

/** Faces in memory. */
export interface Faces extends Squares {
  /** `[n, P, 2]`, pixels. */
  readonly landmarks: Float32Array;
  /** Schema of the landmarks. */
  readonly schema: LandmarkSchema;
}

/** A whole dataset in memory. */
export interface LoadedDataset extends Faces {
  /** One an image. */
  readonly records: DatasetRecord[];
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

/** A dataset by its records, for readers of other kinds of folders. */
export function datasetOf(
  dir: string,
  schema: LandmarkSchema,
  size_px: number,
  records: readonly DatasetRecord[],
): Dataset {
  const load = async (index: number, pool?: PicturePool): Promise<Sample> => {
    const record = records[index];
    if (!record) {
      throw new RangeError(`Cannot read image ${index} of ${dir}: it holds ${counted(records.length, "image")}`);
    }
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
    return { images, size_px, landmarks, schema, records: [...records] };
  };
  return { dir, schema, size_px, records, load: (index) => load(index), loadAll };
}

/** True for a path that may lead out of the folder that it is relative to, or that no file can have. */
export function leavesFolder(path: string): boolean {
  return path.includes("\0") || /^([a-z]:)?[\\/]/i.test(path) || path.split(/[\\/]/).includes("..");
}

/**
 * Opens a dataset that a `DatasetWriter` wrote, with its corrections by hand. Images are read on demand.
 *
 * @param dir The folder with `metadata.jsonl`, or with shards.
 * @param options `corrected`: false for the landmarks before any correction; by default true.
 * @returns The dataset.
 * @throws {InputError} Naming the line of `metadata.jsonl`, if one cannot be understood, if there is no image, or as
 * {@linkcode applyCorrections}.
 *
 * @example
 * ```ts
 * import { openDataset } from "./faces/data/dataset.ts";
 * async function sizes(dir: string) {
 *   const { records, size_px } = await openDataset(dir);
 *   return [records.length, size_px];
 * }
 * ```
 */
export async function openDataset(dir: string, { corrected = true }: { corrected?: boolean } = {}): Promise<Dataset> {
  const path = `${dir}/${METADATA}`;
  const lines = !exists(path) && await isDataset(dir) ? linesOfShards(dir) : linesOf(path);
  const records: DatasetRecord[] = [];
  let schema: LandmarkSchema | undefined;
  for await (const { place, text, file_name } of lines) {
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch (error) {
      throw new InputError(`Cannot read ${place}: ${(error as Error).message}`);
    }
    const parsed = line.safeParse(file_name === undefined ? json : { ...Object(json), file_name });
    if (!parsed.success) {
      const issue = itemAt(parsed.error.issues, 0, "the problems of a line");
      throw new InputError(`Cannot read ${place}: ${issue.path.join(".") || "the line"}: ${issue.message}`);
    }
    const { landmarks, schema: name = DEFAULT_SCHEMA, ...rest } = parsed.data;
    schema ??= SCHEMAS[name];
    if (name !== schema.name) {
      throw new InputError(`Cannot read ${place}: its schema is ${name}, that of the first image is ${schema.name}`);
    }
    if (leavesFolder(rest.file_name)) {
      throw new InputError(`Cannot read ${place}: its image ${rest.file_name} is outside of the folder`);
    }
    if (landmarks.flat().some((px) => !Number.isFinite(Math.fround(px)))) {
      throw new InputError(`Cannot read ${place}: landmarks: a number is too large`);
    }
    if (landmarks.length !== schema.count) {
      throw new InputError(
        `Cannot read ${place}: landmarks: there are ${landmarks.length} and ${name} has ${schema.count}`,
      );
    }
    records.push({ ...rest, landmarks: Float32Array.from(landmarks.flat()) } as DatasetRecord);
  }
  const [first] = records;
  if (!schema || !first) throw new InputError(`Cannot use ${dir} as a dataset: it names no image`);
  const { width, height } = await readImageSize(`${dir}/${first.file_name}`).catch((error) => {
    if (error instanceof InputError || !/^E[A-Z]/.test((error as { code?: string }).code ?? "")) throw error;
    const problem = isMissing(error) ? "is missing" : `cannot be read: ${(error as Error).message}`;
    throw new InputError(`Cannot use ${dir} as a dataset: its image ${first.file_name} ${problem}`, {
      code: isMissing(error) ? "missing" : "disk",
      hint: "copy the whole folder",
      cause: error,
    });
  });
  if (width !== height) {
    throw new InputError(
      `Cannot use ${dir} as a dataset: images must be square, current value is ${width} x ${height}`,
    );
  }
  const left = corrected ? applyCorrections(dir, records) : records;
  if (left.length === 0) throw new InputError(`Cannot use ${dir} as a dataset: all its faces were rejected by hand`);
  return datasetOf(dir, schema, width, left);
}

/** The metadata of an image as text. */
interface MetadataLine {
  /** Place for errors. */
  readonly place: string;
  /** A JSON object. */
  readonly text: string;
  /** The image's path, where the text has none. */
  readonly file_name?: string;
}

async function* linesOf(path: string): AsyncGenerator<MetadataLine> {
  for (const [i, text] of (await readText(path)).split("\n").entries()) {
    if (text.trim() !== "") yield { place: `${path}:${i + 1}`, text };
  }
}

/** True if a folder is a dataset: it has `metadata.jsonl`, or tar shards. */
export async function isDataset(dir: string): Promise<boolean> {
  return exists(`${dir}/${METADATA}`) || (await shardsIn(dir)).length > 0;
}

async function shardsIn(dir: string): Promise<string[]> {
  return exists(dir) && await isFolder(dir) ? (await namesIn(dir)).filter((name) => name.endsWith(".tar")) : [];
}

/** Samples of shards: a `.json` and an image of the same name, in the order of the archives. */
async function* linesOfShards(dir: string): AsyncGenerator<MetadataLine> {
  for (const shard of await shardsIn(dir)) {
    const path = `${dir}/${shard}`;
    const entries = readTarDirectory(path);
    for (const [name, entry] of entries) {
      if (!name.endsWith(".json")) continue;
      const key = name.slice(0, -".json".length);
      const image = IMAGE_ENDINGS.map((ending) => `${key}.${ending}`).find((image) => entries.has(image));
      if (!image) throw new InputError(`Cannot read ${path}/${name}: there is no image of the same name beside it`);
      const text = new TextDecoder().decode(await readEntry(path, entry));
      yield { place: `${path}/${name}`, text, file_name: `${shard}/${image}` };
    }
  }
}

/** Endings of the images of shards. */
const IMAGE_ENDINGS = ["png", "jpg", "jpeg", "webp"];
