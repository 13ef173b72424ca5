/**
 * Faces to correct: of a dataset, of a folder of images with landmarks, or of a folder of results of `detect`.
 *
 * @module
 */
import { resolve } from "node:path";
import { z } from "zod";
import { exists, isFolder, readText } from "../formats/files.ts";
import { InputError } from "../formats/input_error.ts";
import type { FormatName } from "../faces/data/annotations/registry.ts";
import { numberFaces } from "../faces/data/corrections.ts";
import { type DatasetRecord, isDataset, openDataset } from "../faces/data/dataset.ts";
import { stem } from "../faces/data/annotations/format.ts";
import { openFolder } from "../faces/data/face_folder.ts";
import { isImageName, listFolder } from "../faces/data/folder_files.ts";
import { readImageSize } from "../faces/data/image_file.ts";
import { DEFAULT_SCHEMA, type LandmarkSchema, type SchemaName, SCHEMAS } from "../faces/schema.ts";
import type { Origin } from "../faces/pts.ts";
import { emptyPictures, type SourcePicture } from "./_correct_pictures.ts";
import { distanceDoubt, type PairReview, readReview, spreadDoubt } from "./_correct_review.ts";
import { UsageError } from "./command.ts";

/** A face before any correction. */
export interface SourceFace {
  /** Path of its image inside the folder, or of the picture as `detect` was given it. */
  readonly file_name: string;
  /** Number of the face in the image, from 1. */
  readonly face: number;
  /** The image's file. */
  readonly path: string;
  /** `[P, 2]`, pixels of the image. */
  readonly landmarks: Float32Array;
  /** Landmarks that are hidden in the picture, by index. */
  readonly occluded?: readonly number[];
  /** Style; empty for faces of `detect`. */
  readonly style: string;
  /** Group; empty for faces of `detect`. */
  readonly group: string;
  /** Doubt, percent, where a detector found the landmarks. */
  readonly doubt?: number;
  /** Probability that it is a face, where a finder found it. */
  readonly score?: number;
  /** Uncertainty of each landmark, `[P]`, pixels, where a detector found it. */
  readonly uncertainty_px?: readonly number[];
  /** Finding of `dataset/review`, if it is a pair that was reviewed. */
  readonly review?: PairReview;
  /** True for a face that is there only by correction; its landmarks are those that it was added with. */
  readonly added?: true;
}

/** A folder of faces to correct. */
export interface FaceSource {
  /** The folder, in which `corrections.jsonl` is written. */
  readonly dir: string;
  /** Kind of the folder, in words. */
  readonly kind: "dataset" | "folder of images" | "results of detect";
  /** Schema of the landmarks. */
  readonly schema: LandmarkSchema;
  /** All faces, in the order of the folder; behind them pictures without a face, see {@linkcode emptyPictures}. */
  readonly faces: readonly SourceFace[];
  /** Pictures to which faces can be added; none of a dataset, whose images are crops of one face. */
  readonly pictures: readonly SourcePicture[];
}

/** Choices for folders of images. */
export interface SourceOptions {
  /** Format of the landmarks; by default pts. */
  readonly format?: FormatName | undefined;
  /** The one file with all landmarks, where the format has one. */
  readonly annotations?: string | undefined;
  /** Schema of the landmarks; by default ibug68. */
  readonly schema?: SchemaName | undefined;
  /** Coordinate of the centre of the first pixel; by default that of the format. */
  readonly origin?: Origin | undefined;
  /** Folder that `dataset/review` wrote of the dataset; by default the dataset's own, if it is one. */
  readonly review?: string | undefined;
}

/** Name of the file of rows that `detect` writes. */
const ROWS = "faces.jsonl";

/**
 * Opens a folder of faces, as it is before any correction.
 *
 * @param dir A dataset, a folder of images with landmarks, or the `--out` folder of `detect`.
 * @throws {UsageError} If there is no such folder.
 * @throws {InputError} If it has no face, or a file of it cannot be understood.
 */
export async function openSource(dir: string, options: SourceOptions = {}): Promise<FaceSource> {
  if (!exists(dir) || !await isFolder(dir)) throw new UsageError(`Cannot correct ${dir}: there is no such folder`);
  const { format, annotations, schema, origin } = options;
  if (format === undefined && await isDataset(dir)) {
    const { records, schema } = await openDataset(dir, { corrected: false });
    const reviews = await readReview(dir, records, options.review);
    const faces = facesOf(dir, records).map((face, k) => withReview(face, reviews?.[k]));
    return { dir, kind: "dataset", schema, faces, pictures: [] };
  }
  if (options.review !== undefined) {
    throw new UsageError(`Cannot use a review for ${dir}: it is no dataset that could be reviewed`);
  }
  if (format === undefined && exists(`${dir}/${ROWS}`)) return await detectedFaces(dir);
  const folder = await openFolder(dir, {
    ...(format && { format }),
    ...(annotations !== undefined && { annotations }),
    ...(schema && { schema: SCHEMAS[schema] }),
    ...(origin !== undefined && { origin }),
    corrected: false,
    on_bad: "skip",
    remedy: `pictures without landmarks: deno task detect ${dir} --out FOUND, then deno task correct FOUND`,
  });
  const faces = facesOf(dir, folder.records), byFile = new Map(faces.map((face) => [face.file_name, face]));
  const pictures = listFolder(dir).paths.filter(isImageName).map((file_name): SourcePicture => {
    const { style = "photo", group = stem(file_name) } = byFile.get(file_name) ?? {};
    return { file_name, path: `${dir}/${file_name}`, style, group };
  });
  return withPictures({ dir, kind: "folder of images", schema: folder.schema, faces, pictures });
}

/** A folder with the pictures that have no face, where they can be read. */
async function withPictures(source: FaceSource): Promise<FaceSource> {
  const { pictures, faces, schema: { count } } = source, empty: SourceFace[] = [];
  for (const face of emptyPictures(pictures, faces, count)) {
    try {
      await readImageSize(face.path);
      empty.push(face);
    } catch (error) {
      if (!(error instanceof InputError)) throw error; // it is no picture that could be shown
    }
  }
  return { ...source, faces: [...faces, ...empty] };
}

function withReview(face: SourceFace, review: PairReview | undefined): SourceFace {
  return review ? { doubt: distanceDoubt(face.landmarks, review.found), ...face, review } : face;
}

function facesOf(dir: string, records: readonly DatasetRecord[]): SourceFace[] {
  const numbers = numberFaces(records);
  return records.map(({ file_name, landmarks, style, group, doubt, score, uncertainty_px, occluded }, k) => ({
    file_name,
    face: numbers[k]!.face,
    path: `${dir}/${file_name}`,
    landmarks,
    style,
    group,
    ...(occluded && { occluded }),
    ...(doubt !== undefined && { doubt }),
    ...(score !== undefined && { score }),
    ...(uncertainty_px !== undefined && { uncertainty_px }),
  }));
}

const row = z.looseObject({
  file: z.string(),
  faces: z.array(z.looseObject({
    score: z.number().nullable(),
    landmarks: z.array(z.tuple([z.number(), z.number()])),
    uncertainty_px: z.array(z.number()),
  })).optional(),
});

async function detectedFaces(dir: string): Promise<FaceSource> {
  const path = `${dir}/${ROWS}`, faces: SourceFace[] = [], pictures: SourcePicture[] = [];
  let schema: LandmarkSchema | undefined;
  for (const [k, text] of (await readText(path)).split("\n").entries()) {
    if (text.trim() === "") continue;
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch (error) {
      throw new InputError(`Cannot read ${path}:${k + 1}: ${(error as Error).message}`, { code: "format" });
    }
    const parsed = row.safeParse(json);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      throw new InputError(`Cannot read ${path}:${k + 1}: ${issue?.path.join(".")}: ${issue?.message}`, {
        code: "format",
      });
    }
    const { file, faces: found } = parsed.data;
    if (!found) continue; // the file is no picture
    pictures.push({ file_name: file, path: file, style: "", group: "" });
    for (const [n, { score, landmarks, uncertainty_px }] of found.entries()) {
      schema ??= Object.values(SCHEMAS).find(({ count }) => count === landmarks.length);
      if (schema?.count !== landmarks.length || uncertainty_px.length !== landmarks.length) {
        throw new InputError(`Cannot read ${path}:${k + 1}: ${landmarks.length} landmarks are of no schema`);
      }
      const points = Float32Array.from(landmarks.flat());
      faces.push({
        file_name: file,
        face: n + 1,
        path: file,
        landmarks: points,
        style: "",
        group: "",
        doubt: spreadDoubt(uncertainty_px, points),
        ...(score !== null && { score }),
        uncertainty_px,
      });
    }
  }
  if (!pictures.length) throw new InputError(`Cannot correct ${dir}: ${ROWS} has no picture`);
  const missing = pictures.find(({ path }) => !exists(path));
  if (missing) {
    throw new InputError(`Cannot correct ${dir}: its picture ${resolve(missing.path)} is missing`, {
      code: "missing",
      hint: "detect noted the paths of the pictures: put them back, or run detect again",
    });
  }
  schema ??= SCHEMAS[DEFAULT_SCHEMA];
  return await withPictures({ dir, kind: "results of detect", schema, faces, pictures });
}
