/**
 * Files with the landmarks of one image each, beside the images of a folder.
 *
 * @module
 */
import { exists, readBytes } from "../../../formats/files.ts";
import { InputError } from "../../../formats/input_error.ts";
import type { Landmarks } from "../../landmarks.ts";
import type { Origin } from "../../pts.ts";
import { convertLandmarks, type LandmarkSchema, SCHEMAS } from "../../schema.ts";
import type { ImageFormat } from "../annotations/format.ts";
import { findOne, type FolderFiles, NameFinder } from "../folder_files.ts";
import type { FaceOfImage } from "./found_images.ts";

/** The file with the landmarks of each image that has one; an error where several may be it. */
export function landmarkFiles(
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

/**
 * Reads the file with the landmarks of an image.
 *
 * @throws {InputError} If there is no file, or it is wrong.
 */
export async function readBeside(
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
