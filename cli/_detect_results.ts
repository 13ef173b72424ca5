/**
 * The folder of the results of `detect`: rows, files for each picture, and tables of all.
 *
 * `faces.jsonl` has a row for each picture that is done, written after the files of that picture; `detect.json` has the
 * settings. A run that is started again with the same settings keeps the rows and goes on. Tables and the contact sheet
 * are made from the rows when all pictures are done.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { join } from "node:path";
import { exists, makeFolder, readBytes, removeIfExists, writeAtomic, writeFile } from "../formats/files.ts";
import { InputError } from "../formats/input_error.ts";
import { counted } from "../formats/numbers.ts";
import { landmarkNames } from "../faces/data/annotations/format.ts";
import type { Image } from "../faces/data/image.ts";
import { encodeJpeg, readImage, writePng } from "../faces/data/image_file.ts";
import { readImageHeader } from "../faces/data/image_header.ts";
import { contactSheet, contourPath, overlayFaces } from "../faces/draw.ts";
import { formatPts } from "../faces/pts.ts";
import type { LandmarkSchema } from "../faces/schema.ts";
import { roundTo } from "../faces/statistics.ts";
import type { PictureRow } from "../models/detectors/face_rows.ts";
import { faceSuffix, type Source } from "./_detect_inputs.ts";
import { flagOf, STANDARD_INPUT } from "./command.ts";

/** A row of the results: a picture, or a file that is none. */
export type Row = PictureRow | { readonly file: string; readonly error: string };

/** Formats of the results, with a description. */
export const RESULT_FORMATS = {
  pts: "NAME.pts, NAME_face2.pts ..., a 300-W file for each face",
  json: "NAME.json, the row of the picture",
  svg: "NAME.svg, the picture with the landmarks as shapes over it",
  png: "NAME.png, the landmarks drawn over the picture, at most 2,048 pixels long",
  csv: "faces.csv, a line for each face",
  coco: "coco.json, all faces as COCO keypoints",
  sheet: "contact.png, up to 60 of the pictures with their landmarks",
} as const;

/** Name of a format of the results. */
export type ResultFormat = keyof typeof RESULT_FORMATS;

/** Files of all pictures together. */
const TABLES: Partial<Record<ResultFormat, string>> = { csv: "faces.csv", coco: "coco.json", sheet: "contact.png" };
/** The file of the rows, and that of the settings. */
const ROWS = "faces.jsonl", SETTINGS = "detect.json";
/** Longer side of overlays, pixels, at most; pictures on the contact sheet, at most, and the side of its cells. */
const OVERLAY_PX = 2048, SHEET = 60, CELL_PX = 320;

/** Settings of a folder of results. */
export interface ResultOptions {
  /** Files to write beside the rows. */
  readonly formats: readonly ResultFormat[];
  /** All that the rows depend on but the pictures; plain data. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Schema of the landmarks. */
  readonly schema: LandmarkSchema;
  /** True to start over where there are results. */
  readonly overwrite: boolean;
  /** False where rows depend on the ones before, so that a run that was not finished starts over. */
  readonly resumes: boolean;
}

/** See the module. */
export class ResultFolder {
  readonly #dir: string;
  readonly #options: ResultOptions;
  readonly #done: ReadonlySet<string>;
  /** Paths for the tables, by file. */
  readonly #paths: ReadonlyMap<string, string>;
  /** Standard input cannot be read twice. */
  #standardInput: Image | undefined;

  private constructor(
    dir: string,
    sources: readonly Source[],
    options: ResultOptions,
    done: ReadonlySet<string>,
  ) {
    this.#dir = dir;
    this.#options = options;
    this.#done = done;
    this.#paths = new Map(sources.map(({ file, path }) => [file, path]));
  }

  /**
   * Opens the folder, which is made when it is missing.
   *
   * @param sources The pictures to come.
   * @throws {InputError} If it has results of other settings, or files that the results would replace, unless `overwrite`.
   */
  static async open(dir: string, sources: readonly Source[], options: ResultOptions): Promise<ResultFolder> {
    const { formats, settings, overwrite, resumes } = options;
    const path = join(dir, SETTINGS), text = `${JSON.stringify(settings, null, 2)}\n`;
    let done: ReadonlySet<string> = new Set();
    if (overwrite || !exists(path)) {
      if (!overwrite) checkFree(dir, sources, formats);
      await makeFolder(dir);
      removeIfExists(join(dir, ROWS));
      writeAtomic(path, text);
    } else {
      checkSettings(dir, path, settings);
      if (resumes || await isComplete(dir, sources)) done = await keepRows(dir);
      else removeIfExists(join(dir, ROWS));
    }
    return new ResultFolder(dir, sources, options, done);
  }

  /** True for a picture whose row is there from an earlier run. */
  has({ file }: Source): boolean {
    return this.#done.has(file);
  }

  /** All rows, those of earlier runs too. */
  rows(): AsyncGenerator<Row> {
    return rowsIn(this.#dir);
  }

  /** Writes the files of a picture, and then its row. */
  async add(
    source: Source,
    row: Row,
    picture?: { readonly image: Image; readonly bytes?: Uint8Array | undefined },
  ): Promise<void> {
    if (!("error" in row) && picture) await this.#write(source, row, picture);
    await Deno.writeTextFile(join(this.#dir, ROWS), `${JSON.stringify(row)}\n`, { append: true });
  }

  async #write(
    { file, name }: Source,
    row: PictureRow,
    { image, bytes }: { readonly image: Image; readonly bytes?: Uint8Array | undefined },
  ): Promise<void> {
    const { formats, schema } = this.#options;
    if (file === STANDARD_INPUT) this.#standardInput = image;
    const at = (ending: string) => join(this.#dir, name + ending);
    const points = row.faces.map(({ landmarks }) => Float32Array.from(landmarks.flat()));
    for (const format of formats) {
      switch (format) {
        case "pts":
          for (const [k, face] of points.entries()) await writeFile(at(`${faceSuffix(k)}.pts`), formatPts(face));
          // Of an earlier run that found more faces.
          for (let k = points.length; exists(at(`${faceSuffix(k)}.pts`)); k++) {
            removeIfExists(at(`${faceSuffix(k)}.pts`));
          }
          break;
        case "json":
          await writeFile(at(".json"), `${JSON.stringify(row)}\n`);
          break;
        case "svg":
          await writeFile(at(".svg"), overlaySvg(row, schema, linkTo(bytes ?? await readBytes(file), image)));
          break;
        case "png":
          await writePng(at(".png"), overlayFaces(image, points, schema, OVERLAY_PX));
      }
    }
  }

  /** The pictures of all rows, with the paths that tables have. */
  async *#pictures(): AsyncGenerator<Listed> {
    for await (const row of this.rows()) {
      if (!("error" in row)) yield { ...row, path: this.#paths.get(row.file) ?? row.file };
    }
  }

  /** Writes the files of all pictures together. */
  async close(): Promise<void> {
    const { formats, schema } = this.#options;
    for (const format of formats) {
      const path = join(this.#dir, TABLES[format] ?? "");
      if (format === "csv") await writeParts(path, csvParts(this.#pictures(), schema));
      if (format === "coco") await writeParts(path, cocoParts(() => this.#pictures(), schema));
      if (format === "sheet") await this.#writeSheet(path);
    }
  }

  async #writeSheet(sheet: string): Promise<void> {
    let count = 0;
    for await (const _ of this.#pictures()) count++;
    const cells: Image[] = [], labels: string[] = [];
    let index = 0;
    for await (const { file, path, faces } of this.#pictures()) {
      if (index++ % Math.max(1, Math.ceil(count / SHEET)) !== 0) continue;
      const image = file === STANDARD_INPUT ? this.#standardInput : await readImage(file).catch(ifUnreadable);
      if (!image) continue; // it was there when its row was made
      const points = faces.map(({ landmarks }) => Float32Array.from(landmarks.flat()));
      cells.push(overlayFaces(image, points, this.#options.schema, CELL_PX));
      labels.push(`${faces.length} ${path}`);
    }
    if (cells.length) await writePng(sheet, contactSheet(cells, 10, { cell_px: CELL_PX, labels }));
  }
}

function ifUnreadable(error: unknown): undefined {
  if (!(error instanceof InputError || error instanceof Deno.errors.NotFound)) throw error;
}

/** Throws if a file is there that the results would replace. */
function checkFree(dir: string, sources: readonly Source[], formats: readonly ResultFormat[]): void {
  const names = [ROWS, ...formats.flatMap((format) => TABLES[format] ?? [])];
  for (const format of formats) {
    if (TABLES[format] === undefined) names.push(...sources.map(({ name }) => `${name}.${format}`));
  }
  const there = names.filter((name) => exists(join(dir, name)));
  if (!there.length) return;
  const more = there.length > 1 ? ` and ${counted(there.length - 1, "more file")}` : "";
  throw new InputError(`Cannot write ${join(dir, there[0]!)}${more}: there is such a file`, {
    hint: "--out with another folder, or --overwrite",
  });
}

/** Subject of a setting that is not the value of its option. */
const SETTING_NAMES: Readonly<Record<string, string>> = {
  images: "the list of pictures",
  detector: "the digest of the weights of --detector",
  finder: "the digest of the weights of --finder",
  scores: "the digest of config.json of --finder",
  boxes: "the digest of the file of --boxes",
};

/** Name of a setting as it is typed. */
const settingName = (key: string): string => SETTING_NAMES[key] ?? flagOf(key);

/** Throws if the rows of a folder were made with other settings. */
function checkSettings(dir: string, path: string, settings: Readonly<Record<string, unknown>>): void {
  let before: Record<string, unknown>;
  try {
    before = Object(JSON.parse(Deno.readTextFileSync(path)));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    before = {};
  }
  const text = (value: unknown) => value === undefined ? "not given" : JSON.stringify(value);
  for (const key of new Set([...Object.keys(settings), ...Object.keys(before)])) {
    if (text(before[key]) === text(settings[key])) continue;
    throw new InputError(
      `Cannot go on in ${dir}: its results have other settings: ${settingName(key)} is ${
        text(before[key])
      } there, and now ${text(settings[key])}`,
      { hint: "--out with another folder, or --overwrite" },
    );
  }
}

/** Rows of a folder; what was cut short is no row. */
async function* rowsIn(dir: string): AsyncGenerator<Row> {
  const path = join(dir, ROWS);
  if (!exists(path)) return;
  using file = await Deno.open(path);
  let rest = "";
  const decoder = new TextDecoder(), bytes = new Uint8Array(1 << 16);
  for (let read = await file.read(bytes); read !== null; read = await file.read(bytes)) {
    const lines = (rest + decoder.decode(bytes.subarray(0, read), { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const row = parseRow(line);
      if (row) yield row;
    }
  }
}

function parseRow(line: string): Row | undefined {
  try {
    const row = JSON.parse(line);
    return typeof row?.file === "string" ? row : undefined;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}

/** Leaves the rows of pictures that are done; those of bad files are to be tried again. */
async function keepRows(dir: string): Promise<Set<string>> {
  const done = new Set<string>();
  async function* kept(): AsyncGenerator<string> {
    for await (const row of rowsIn(dir)) {
      if ("error" in row || done.has(row.file)) continue;
      done.add(row.file);
      yield `${JSON.stringify(row)}\n`;
    }
  }
  await writeParts(join(dir, ROWS), kept());
  return done;
}

/** True if every picture has a row. */
async function isComplete(dir: string, sources: readonly Source[]): Promise<boolean> {
  const files = new Set(sources.map(({ file }) => file));
  for await (const row of rowsIn(dir)) if (!("error" in row)) files.delete(row.file);
  return files.size === 0;
}

/** Writes a text part by part; the file is the old or the whole new one at any moment. */
async function writeParts(path: string, parts: AsyncIterable<string>): Promise<void> {
  const unfinished = `${path}.tmp`;
  {
    using file = await Deno.open(unfinished, { write: true, create: true, truncate: true });
    const encoder = new TextEncoder();
    for await (const part of parts) {
      const bytes = encoder.encode(part);
      for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
    }
  }
  await Deno.rename(unfinished, path);
}

/** A picture in a table. */
interface Listed extends PictureRow {
  /** Path below the folder that was named. */
  readonly path: string;
}

/** Columns of the table before the coordinates. */
const COLUMNS = ["file", "face", "x", "y", "width", "height", "score", "angle"];

async function* csvParts(pictures: AsyncIterable<Listed>, { count }: LandmarkSchema): AsyncGenerator<string> {
  const points = Array.from({ length: count }, (_, p) => p);
  const header = [...COLUMNS, ...points.flatMap((p) => [`x${p}`, `y${p}`]), ...points.map((p) => `uncertainty${p}_px`)];
  yield `${header.join(",")}\n`;
  for await (const { path, faces } of pictures) {
    for (const [k, { box, score, angle, landmarks, uncertainty_px }] of faces.entries()) {
      const fields = [path, k + 1, ...box, score ?? "", angle, ...landmarks.flat(), ...uncertainty_px];
      yield `${fields.map(csvField).join(",")}\n`;
    }
  }
}

const csvField = (value: string | number) =>
  typeof value === "string" && /[",\r\n]|^\s|\s$/.test(value) ? `"${value.replaceAll('"', '""')}"` : String(value);

/** COCO's JSON; images first, so that the rows are read twice. */
async function* cocoParts(pictures: () => AsyncIterable<Listed>, schema: LandmarkSchema): AsyncGenerator<string> {
  let images = 0, annotations = 0;
  yield '{"images":[';
  for await (const { path, width, height } of pictures()) {
    yield `${images ? "," : ""}\n${JSON.stringify({ id: images++, file_name: path, width, height })}`;
  }
  yield '\n],"annotations":[';
  let image_id = 0;
  for await (const { faces } of pictures()) {
    for (const { box, score, landmarks } of faces) {
      const annotation = {
        id: annotations,
        image_id,
        category_id: 1,
        keypoints: landmarks.flatMap((point) => [...point, 2]),
        num_keypoints: schema.count,
        bbox: box,
        area: roundTo((box[2] ?? 0) * (box[3] ?? 0), 3),
        iscrowd: 0,
        ...(score !== null && { score }),
      };
      yield `${annotations++ ? "," : ""}\n${JSON.stringify(annotation)}`;
    }
    image_id++;
  }
  const skeleton = schema.contours.flatMap(({ points, closed }) =>
    [...points.keys()].slice(closed ? 0 : 1).map((k) => [(points.at(k - 1) ?? 0) + 1, (points[k] ?? 0) + 1])
  );
  const category = { id: 1, name: "face", supercategory: "person", keypoints: landmarkNames(schema), skeleton };
  yield `\n],"categories":[${JSON.stringify(category)}]}\n`;
}

/** The picture inside an SVG: the file itself where browsers show it as it is. */
function linkTo(bytes: Uint8Array, image: Image): string {
  const { format, orientation, cmyk } = readImageHeader(bytes);
  const shown = ["png", "jpeg", "webp", "gif"].includes(format) && orientation === 1 && cmyk === undefined;
  const [kind, data] = shown ? [format, bytes] : ["jpeg", encodeJpeg(image, 92)];
  return `data:image/${kind};base64,${Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64")}`;
}

function overlaySvg({ width, height, faces }: PictureRow, schema: LandmarkSchema, href: string): string {
  const faceParts = faces.map(({ box, landmarks, uncertainty_px, score }, k) => {
    const unit = roundTo(Math.max(box[2] ?? 0, box[3] ?? 0) / 160, 3);
    const title = `face ${k + 1}${score === null ? "" : `, score ${score}`}`;
    const dots = landmarks.map(([x, y], p) =>
      `<circle cx="${x}" cy="${y}" r="${unit}"><title>${p}, ±${uncertainty_px[p]} px</title></circle>`
    );
    return `<g><title>${title}</title><path d="${
      contourPath(landmarks.flat(), schema)
    }" fill="none" stroke="#0b6e3e" ` +
      `stroke-width="${unit}" stroke-linejoin="round"/><g fill="#7dffb2">${dots.join("")}</g></g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
    `viewBox="-0.5 -0.5 ${width} ${height}">\n` +
    `<image x="-0.5" y="-0.5" width="${width}" height="${height}" href="${href}"/>\n${faceParts.join("\n")}\n</svg>\n`;
}
