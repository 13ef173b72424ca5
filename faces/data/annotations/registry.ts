/**
 * Formats of annotated landmarks. A new one is a file in this folder and a row here: options, types and documentation
 * follow.
 *
 * @module
 */
import { InputError } from "../../../formats/input_error.ts";
import type { Origin } from "../../pts.ts";
import { convertLandmarks, convertMarks, type LandmarkSchema, SCHEMAS } from "../../schema.ts";
import { artface } from "./artface.ts";
import { coco } from "./coco.ts";
import { csv } from "./csv.ts";
import { cvat } from "./cvat.ts";
import { faceblit } from "./faceblit.ts";
import { facesynthetics } from "./facesynthetics.ts";
import { ffhq } from "./ffhq.ts";
import type { ImageFormat, ListedFace, ListFormat } from "./format.ts";
import { helen } from "./helen.ts";
import { imglab } from "./imglab.ts";
import { labelStudio } from "./label_studio.ts";
import { ljson } from "./ljson.ts";
import { manga } from "./manga.ts";
import { metfaces } from "./metfaces.ts";
import { cariface, npy } from "./npy.ts";
import { pts, w300 } from "./pts.ts";
import { star } from "./star.ts";
import { text } from "./text.ts";
import { webcaricature } from "./webcaricature.ts";
import { wflw } from "./wflw.ts";
import { yoloPose } from "./yolo_pose.ts";

/** Every format, by its name; the first is the default. */
export const DATASET_FORMATS = {
  pts,
  "300w": w300,
  text,
  npy,
  ljson,
  yolo_pose: yoloPose,
  artface,
  cariface,
  webcaricature,
  facesynthetics,
  faceblit,
  manga,
  coco,
  csv,
  cvat,
  label_studio: labelStudio,
  imglab,
  star,
  wflw,
  ffhq,
  metfaces,
  helen,
} as const satisfies Record<string, ImageFormat | ListFormat>;

/** Name of a format. */
export type FormatName = keyof typeof DATASET_FORMATS;

/** Names of the formats. */
export const FORMAT_NAMES = Object.keys(DATASET_FORMATS) as [FormatName, ...FormatName[]];

/** Names of the formats that are written too. */
export const EXPORT_NAMES: FormatName[] = FORMAT_NAMES.filter((name) => "write" in DATASET_FORMATS[name]);

/** A sentence on the formats that are written, for options. */
export function exportFormatsDoc(): string {
  return EXPORT_NAMES.map((name) => `${name}: ${DATASET_FORMATS[name].doc}`).join("; ");
}

/** A sentence on the formats, for options. */
export function formatsDoc(): string {
  const list = (perImage: boolean) =>
    Object.values<ImageFormat | ListFormat>(DATASET_FORMATS).filter((format) => format.perImage === perImage)
      .map(({ name, doc }) => `${name}: ${doc}`).join("; ");
  return `${list(true)}; or one file, named by annotations, ${list(false)}`;
}

/** A file or a face that could not be used, and why. */
export interface BadFile {
  /** Path inside the folder, or place in a file, as in `list.txt:3`. */
  file: string;
  /** One line. */
  reason: string;
}

/** Content of a file of many faces. */
export interface Annotations {
  /** The faces, in the order of the file. */
  readonly faces: ListedFace[];
  /** Faces that cannot be used. */
  readonly bad: BadFile[];
}

/**
 * Reads a file of many faces.
 *
 * @param text The file.
 * @param format Its format.
 * @param schema Schema wanted; landmarks of a format with its own are converted to it.
 * @param options `name` is the file's name for errors; `origin` is the format's own unless it is given.
 * @returns Faces and bad ones.
 * @throws {InputError} If it is no such file at all.
 */
export function parseAnnotations(
  text: string,
  format: ListFormat,
  schema: LandmarkSchema,
  options: { name?: string; origin?: Origin } = {},
): Annotations {
  const { name = "annotations", origin = format.origin ?? 0 } = options;
  const own = format.schema === undefined ? schema : SCHEMAS[format.schema];
  const faces: ListedFace[] = [], bad: BadFile[] = [];
  const each = (place: string | number, read: () => ListedFace) => {
    try {
      const { landmarks, occluded, ...face } = read();
      faces.push({
        ...face,
        landmarks: convertLandmarks(landmarks, own, schema),
        ...(occluded && { occluded: convertMarks(occluded, own, schema) }),
      });
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      bad.push({ file: `${name}:${place}`, reason: error.message });
    }
  };
  try {
    format.parse(text.replace(/\r\n?/g, "\n"), each, { name, origin, schema: own });
  } catch (error) {
    if (!(error instanceof InputError || error instanceof SyntaxError)) throw error;
    throw new InputError(`Cannot read ${name} as ${format.name}: ${error.message}`);
  }
  return { faces, bad };
}
