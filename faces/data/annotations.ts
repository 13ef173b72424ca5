/**
 * Landmarks of many images in one file: WFLW's lists, COCO's and FFHQ's JSON, and CSV; and bare text or a NumPy array
 * beside an image.
 *
 * Every face that cannot be used is named, with its place in the file.
 *
 * @module
 */
import { parseCsv } from "../../formats/csv.ts";
import { InputError } from "../../formats/input_error.ts";
import type { BadFile } from "./dataset.ts";
import type { Landmarks } from "../landmarks.ts";
import { convertLandmarks, type LandmarkSchema, SCHEMAS } from "../schema.ts";
import type { Origin } from "../pts.ts";

/** Files with many faces: see {@linkcode parseAnnotations}. */
export type ListFormat = "wflw" | "coco" | "ffhq" | "csv";

/** A face of such a file. */
export interface ListedFace {
  /** Path of the image, as the file has it. */
  readonly image: string;
  /** `[P, 2]`, pixels, counted from 0. */
  readonly landmarks: Landmarks;
  /** What the file calls the style, if it does. */
  readonly style?: string;
  /** What the file calls the group, if it does. */
  readonly group?: string;
}

/** What a file holds. */
export interface Annotations {
  /** The faces, in the order of the file. */
  readonly faces: ListedFace[];
  /** Faces that cannot be used; `file` is their place, as in `list.txt:3`. */
  readonly bad: BadFile[];
}

const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, k) => first + k);

/** Reads faces and says why one is bad by throwing. */
type Parser = (
  text: string,
  each: (place: string | number, read: () => ListedFace) => void,
  origin: Origin,
  schema: LandmarkSchema,
) => void;

const PARSERS: Readonly<Record<ListFormat, Parser>> = {
  // The landmarks, a box of 4 numbers, 6 attributes, the image's name.
  wflw(text, each, origin, schema) {
    const { wflw98 } = SCHEMAS;
    const NUMBERS = 2 * wflw98.count + 4 + 6;
    text.split("\n").forEach((line, i) => {
      if (line.trim() === "") return;
      each(i + 1, () => {
        const fields = line.trim().split(/\s+/);
        if (fields.length !== NUMBERS + 1) {
          throw new InputError(`there are ${fields.length} fields instead of ${NUMBERS + 1}`);
        }
        const landmarks = toLandmarks(fields.slice(0, 2 * wflw98.count).map(Number), origin, wflw98);
        return { image: fields[NUMBERS]!, landmarks: convertLandmarks(landmarks, wflw98, schema) };
      });
    });
  },
  // `annotations` with `keypoints`, or with `face_kpts` as COCO-WholeBody has them: x, y and visibility each.
  coco(text, each, origin, schema) {
    const { images, annotations }: Record<string, unknown> = JSON.parse(text) ?? {};
    if (!Array.isArray(images) || !Array.isArray(annotations)) {
      throw new InputError('"images" and "annotations" are expected');
    }
    const names = new Map(images.map((image) => [image?.id, image?.file_name]));
    annotations.forEach((annotation, i) => {
      // Without a face there is nothing to read, and nothing wrong.
      if (annotation?.face_valid === false) return;
      each(`annotations[${i}]`, () => {
        const { image_id, ...points } = (annotation ?? {}) as Record<string, unknown>;
        const given = points["face_kpts"] ?? points["keypoints"];
        const image = names.get(image_id);
        if (typeof image !== "string") throw new InputError(`there is no image with id ${JSON.stringify(image_id)}`);
        if (!Array.isArray(given) || given.length !== 3 * schema.count) {
          throw new InputError(`${3 * schema.count} numbers in "keypoints" or "face_kpts" are expected`);
        }
        const hidden = range(0, schema.count - 1).filter((p) => given[3 * p + 2] === 0);
        if (hidden.length) throw new InputError(`landmarks ${hidden.slice(0, 5).join(", ")} are not labelled`);
        return { image, landmarks: toLandmarks(given.filter((_, k) => k % 3 < 2), origin, schema) };
      });
    });
  },
  // ffhq-dataset-v2.json: the aligned images, by number.
  ffhq(text, each, origin, schema) {
    for (
      const [key, entry] of Object.entries<{ image?: Record<string, unknown> }>(JSON.parse(text) ?? {})
    ) {
      each(`"${key}"`, () => {
        const { file_path, face_landmarks } = entry?.image ?? {};
        if (typeof file_path !== "string" || !Array.isArray(face_landmarks)) {
          throw new InputError('"image" with "file_path" and "face_landmarks" is expected');
        }
        return { image: file_path, landmarks: toLandmarks(face_landmarks.flat(), origin, schema) };
      });
    }
  },
  // A header; x0, y0 and so on (or x_0 ...) in any order, the image as `name`, `file` or `image`, `style`, `group`.
  csv(text, each, origin, schema) {
    const [first, ...rows] = parseCsv(text);
    const header = (first?.fields ?? []).map((field) => field.toLowerCase());
    const image = header.findIndex((field) => ["name", "file", "file_name", "image"].includes(field));
    const columns = range(0, schema.count - 1).flatMap((p) =>
      ["x", "y"].map((axis) => header.findIndex((field) => field === `${axis}${p}` || field === `${axis}_${p}`))
    );
    const missing = columns.findIndex((column) => column < 0);
    if (image < 0) throw new InputError('line 1: there is no column "name", "file" or "image"');
    if (missing >= 0) {
      throw new InputError(`line 1: there is no column "${missing % 2 ? "y" : "x"}${Math.floor(missing / 2)}"`);
    }
    for (const { line, fields } of rows) {
      each(line, () => {
        if (fields.length !== header.length) {
          throw new InputError(`there are ${fields.length} fields instead of ${header.length}`);
        }
        const values = columns.map((column) => fields[column] === "" ? NaN : Number(fields[column]));
        const [style, group] = ["style", "group"].map((key) => fields[header.indexOf(key)]);
        return {
          image: fields[image]!,
          landmarks: toLandmarks(values, origin, schema),
          ...(style && { style }),
          ...(group && { group }),
        };
      });
    }
  },
};

/**
 * Reads a file of many faces.
 *
 * - `wflw`: a face a line, 98 points, box, attributes and image, as WFLW's `list_98pt_rect_attr_*.txt`;
 * - `coco`: JSON with `keypoints`, or COCO-WholeBody's `face_kpts`;
 * - `ffhq`: `ffhq-dataset-v2.json`, the aligned images;
 * - `csv`: a header with `name`, `x0`, `y0`, `x1` and so on, and `style` and `group` if wanted.
 *
 * @param text The file.
 * @param format Which of them.
 * @param schema Schema of the landmarks wanted; those of `wflw` are converted to it.
 * @param options `name` says in errors which file it is; `origin` is 0 unless it counts pixels from 1.
 * @returns Faces and bad ones.
 * @throws {InputError} If it is no such file at all.
 */
export function parseAnnotations(
  text: string,
  format: ListFormat,
  schema: LandmarkSchema,
  options: { name?: string; origin?: Origin } = {},
): Annotations {
  const { name = "annotations", origin = 0 } = options;
  const faces: ListedFace[] = [], bad: BadFile[] = [];
  try {
    PARSERS[format](
      text,
      (place, read) => {
        try {
          faces.push(read());
        } catch (error) {
          if (!(error instanceof InputError)) throw error;
          bad.push({ file: `${name}:${place}`, reason: error.message });
        }
      },
      origin,
      schema,
    );
  } catch (error) {
    if (!(error instanceof InputError || error instanceof SyntaxError)) throw error;
    throw new InputError(`Cannot read ${name} as ${format}: ${error.message}`);
  }
  return { faces, bad };
}

/**
 * Reads the text of one face as Caricature-Data has it: x and y of each landmark, and nothing else.
 *
 * Source: QianyiWu/Caricature-Data, Caricature_w_landmark/1.txt.
 *
 * @param text The file.
 * @param schema Schema of the landmarks.
 * @param options As of {@linkcode parseAnnotations}.
 * @returns `[P, 2]`, counted from 0.
 * @throws {InputError} If it has another number of numbers.
 */
export function parseText(
  text: string,
  schema: LandmarkSchema,
  options: { name?: string; origin?: Origin } = {},
): Landmarks {
  const { name = "landmarks", origin = 0 } = options;
  try {
    return toLandmarks(text.trim().split(/[\s,]+/).map(Number), origin, schema);
  } catch (error) {
    throw new InputError(`Cannot read ${name}: ${(error as Error).message}`);
  }
}

const NPY = "\x93NUMPY";
/** Readers of NumPy's element types. */
const NPY_TYPES: Readonly<Record<string, readonly [bytes: number, read: (view: DataView, at: number) => number]>> = {
  "<f4": [4, (view, at) => view.getFloat32(at, true)],
  "<f8": [8, (view, at) => view.getFloat64(at, true)],
  "<i4": [4, (view, at) => view.getInt32(at, true)],
  "<i8": [8, (view, at) => Number(view.getBigInt64(at, true))],
};

/**
 * Reads one face as CariFace has it: a NumPy array of x and y of each landmark, f4, f8, i4 or i8.
 *
 * @param bytes The `.npy` file.
 * @param schema Schema of the landmarks.
 * @param options As of {@linkcode parseAnnotations}.
 * @returns `[P, 2]`, counted from 0.
 * @throws {InputError} If it is no such array.
 *
 * Source: numpy.lib.format, versions 1 to 3; Juyong/CaricatureFace, datagen.py.
 */
export function parseNpy(
  bytes: Uint8Array<ArrayBuffer>,
  schema: LandmarkSchema,
  options: { name?: string; origin?: Origin } = {},
): Landmarks {
  const { name = "landmarks", origin = 0 } = options;
  const fail = (problem: string): never => {
    throw new InputError(`Cannot read ${name}: ${problem}`);
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = [...bytes.subarray(0, 6)].map((byte) => String.fromCharCode(byte)).join("");
  if (magic !== NPY || bytes.length < 12) return fail("it is no NumPy file");
  const start = bytes[6] === 1 ? 10 : 12;
  const end = start + (bytes[6] === 1 ? view.getUint16(8, true) : view.getUint32(8, true));
  const header = new TextDecoder().decode(bytes.subarray(start, end));
  const descr = /'descr': *'([^']*)'/.exec(header)?.[1] ?? "";
  const shape = /'shape': *\(([^)]*)\)/.exec(header)?.[1] ?? "";
  const [size, read] = NPY_TYPES[descr] ??
    fail(`its elements are "${descr}", not ${Object.keys(NPY_TYPES).join(", ")}`);
  if (shape.replaceAll(" ", "") !== `${schema.count},2`) {
    return fail(`its shape is (${shape}) instead of (${schema.count}, 2)`);
  }
  if (bytes.length !== end + 2 * schema.count * size) {
    return fail(`it has ${bytes.length} bytes instead of ${end + 2 * schema.count * size}`);
  }
  const columns = header.includes("'fortran_order': True");
  const values = Array.from({ length: 2 * schema.count }, (_, k) => {
    const place = columns ? (k % 2) * schema.count + (k >> 1) : k;
    return read(view, end + place * size);
  });
  try {
    return toLandmarks(values, origin, schema);
  } catch (error) {
    return fail((error as Error).message);
  }
}

function toLandmarks(values: readonly unknown[], origin: Origin, { count }: LandmarkSchema): Landmarks {
  if (values.length !== 2 * count) {
    throw new InputError(`there are ${values.length} numbers instead of ${2 * count}`);
  }
  const wrong = values.findIndex((value) => typeof value !== "number" || !Number.isFinite(value));
  if (wrong >= 0) throw new InputError(`landmark ${Math.floor(wrong / 2)} is no pair of numbers`);
  return Float32Array.from(values as number[], (value) => value - origin);
}
