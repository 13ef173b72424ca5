/**
 * Writing of datasets.
 *
 * @module
 */
import { makeFolder, readBytes, writeFile } from "../../formats/files.ts";
import { TarWriter } from "../../formats/tar.ts";
import { InputError } from "../../formats/input_error.ts";
import { itemAt } from "../../engine/lookup.ts";
import { pointAt } from "../geometry.ts";
import type { Landmarks } from "../landmarks.ts";
import { formatPts } from "../pts.ts";
import { DEFAULT_SCHEMA, type LandmarkSchema } from "../schema.ts";
import { roundTo } from "../statistics.ts";
import type { Dataset, NewRecord } from "./dataset.ts";
import type { Image } from "./image.ts";
import { encodePng } from "./image_file.ts";

/** Encodes images as PNG, in any thread. */
export interface ImageEncoder {
  /** The file of an image. */
  encode(image: Image): Promise<Uint8Array>;
}

/** Options of {@linkcode DatasetWriter.create}. */
export interface DatasetWriterOptions {
  /** Makes PNG files of images; by default this thread. */
  readonly encoder?: ImageEncoder | undefined;
  /** Images of each tar archive, see `dataset.ts`; files of their own if it is not given. */
  readonly shard_images?: number | undefined;
}

/** Writes a dataset, which is whole after `close()`. */
export class DatasetWriter {
  readonly #dir: string;
  readonly #schema: LandmarkSchema;
  readonly #encode: (image: Image) => Promise<Uint8Array> | Uint8Array;
  readonly #store: SampleStore;
  #count = 0;
  #size_px = 0;

  private constructor(dir: string, schema: LandmarkSchema, { encoder, shard_images }: DatasetWriterOptions) {
    this.#dir = dir;
    this.#schema = schema;
    this.#encode = encoder ? (image) => encoder.encode(image) : encodePng;
    this.#store = shard_images === undefined ? new FileStore(dir) : new ShardStore(dir, shard_images);
  }

  /**
   * Starts a dataset.
   *
   * @param dir The folder, which is made when it is not there.
   * @param schema Schema of the landmarks.
   * @returns The writer.
   */
  static async create(
    dir: string,
    schema: LandmarkSchema,
    options: DatasetWriterOptions = {},
  ): Promise<DatasetWriter> {
    await makeFolder(dir);
    return new DatasetWriter(dir, schema, options);
  }

  /** Images so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * Adds an image. Images are in the order of the calls, which may overlap.
   *
   * @param image A square of the size of those before.
   * @param record Its landmarks, style, group and origin.
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
   * @param record Its landmarks, style, group and origin.
   * @throws {InputError} If the image's size or the landmarks do not fit.
   */
  async addFile(path: string, size_px: number, record: NewRecord): Promise<void> {
    this.#check(size_px, size_px, record);
    await this.#write(() => readBytes(path), record);
  }

  #check(width: number, height: number, { landmarks }: NewRecord): void {
    const index = this.#count;
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
    const { file_name, ...record } = itemAt(from.records, index, "the dataset");
    await this.#write(() => readBytes(`${from.dir}/${file_name}`), record);
  }

  async #write(read: () => Promise<Uint8Array>, record: NewRecord): Promise<void> {
    const { style, group, landmarks, ...rest } = record;
    const points = Array.from(
      { length: this.#schema.count },
      (_, p) => pointAt(landmarks, p).map((px) => roundTo(px, 3)),
    );
    // Lines without a schema are of the default one.
    const schema = this.#schema.name === DEFAULT_SCHEMA ? {} : { schema: this.#schema.name };
    await this.#store.add(this.#count++, read, { style, group, ...schema, landmarks: points, ...rest }, landmarks);
  }

  /** Ends the dataset: it is whole afterwards. */
  async close(): Promise<void> {
    await this.#store.close();
  }
}

/** Place of a dataset's images and their metadata. */
interface SampleStore {
  /** Adds an image; calls are in the order of the indices, and may overlap. */
  add(index: number, read: () => Promise<Uint8Array>, line: object, landmarks: Landmarks): Promise<void>;
  /** Ends the dataset. */
  close(): Promise<void>;
}

const nameOf = (index: number) => String(index).padStart(6, "0");

/** Files of their own, and `metadata.jsonl`. */
class FileStore implements SampleStore {
  readonly #lines: string[] = [];

  constructor(private readonly dir: string) {}

  async add(index: number, read: () => Promise<Uint8Array>, line: object, landmarks: Landmarks): Promise<void> {
    const name = `images/${nameOf(index)}`;
    this.#lines.push(JSON.stringify({ file_name: `${name}.png`, ...line }));
    await writeFile(`${this.dir}/${name}.png`, await read());
    await writeFile(`${this.dir}/${name}.pts`, formatPts(landmarks));
  }

  async close(): Promise<void> {
    await writeFile(`${this.dir}/metadata.jsonl`, this.#lines.map((line) => line + "\n").join(""));
  }
}

/** Tar archives, each of so many images. */
class ShardStore implements SampleStore {
  #shard: TarWriter | undefined;
  /** The entries before, as those of an archive are in order. */
  #written: Promise<void> = Promise.resolve();

  constructor(private readonly dir: string, private readonly shard_images: number) {}

  async add(index: number, read: () => Promise<Uint8Array>, line: object): Promise<void> {
    const image = read();
    this.#written = this.#written.then(async () => {
      if (index % this.shard_images === 0) {
        await this.#shard?.close();
        this.#shard = new TarWriter(`${this.dir}/${nameOf(index / this.shard_images)}.tar`);
      }
      await this.#shard?.add(`${nameOf(index)}.png`, await image);
      await this.#shard?.add(`${nameOf(index)}.json`, new TextEncoder().encode(JSON.stringify(line)));
    });
    await this.#written;
  }

  async close(): Promise<void> {
    await this.#written;
    await this.#shard?.close();
  }
}
