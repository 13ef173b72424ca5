/**
 * The format that the files of a folder fit, for the error of one that they do not fit.
 *
 * @module
 */
import { firstBytes, isFolder } from "../../../formats/files.ts";
import { InputError } from "../../../formats/input_error.ts";
import { DEFAULT_SCHEMA, SCHEMAS } from "../../schema.ts";
import type { ImageFormat, ListFormat } from "../annotations/format.ts";
import { DATASET_FORMATS } from "../annotations/registry.ts";
import { type FolderFiles, isImageName } from "../folder_files.ts";
import { readImageSize } from "../image_file.ts";
import { landmarkFiles, readBeside } from "./landmark_files.ts";
import type { FolderOptions } from "./options.ts";

/** Images that are looked at to find the format of a folder. */
const SAMPLE = 3;
/** Bytes of a file of many faces that are looked at. */
const START = 1 << 16;

/** A hint that names the formats which a folder's files fit, other than the one given; undefined if there is none. */
export async function formatHint(
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
