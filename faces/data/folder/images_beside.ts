/**
 * Images of a folder with a file of landmarks beside each.
 *
 * @module
 */
import { readBytes } from "../../../formats/files.ts";
import { InputError } from "../../../formats/input_error.ts";
import { counted } from "../../../formats/numbers.ts";
import { DEFAULT_SCHEMA, type LandmarkSchema, SCHEMAS } from "../../schema.ts";
import { type ImageFormat, stem } from "../annotations/format.ts";
import type { BadFile } from "../annotations/registry.ts";
import { type FolderFiles, isImageName, isUnreadImageName, type PassedOver } from "../folder_files.ts";
import { READABLE } from "../image_header.ts";
import { type FoundImages, type ImageWithFaces, LINKS, NOT_CHOSEN } from "./found_images.ts";
import { landmarkFiles, readBeside } from "./landmark_files.ts";
import type { FolderOptions } from "./options.ts";

/**
 * Finds the images with a file of landmarks each.
 *
 * @param files The folder.
 * @param format Format of the files.
 * @throws {InputError} If no image is chosen.
 */
export async function imagesBeside(
  files: FolderFiles,
  format: ImageFormat,
  options: FolderOptions,
): Promise<FoundImages> {
  const { schema = SCHEMAS[DEFAULT_SCHEMA], filter = () => true } = options;
  const bad: BadFile[] = [...files.bad], passed: PassedOver[] = [];
  const candidates = files.paths.filter((path) => isImageName(path) || isUnreadImageName(path));
  const chosen = candidates.filter((path) => {
    const rule = passingRule(files, path, format, filter);
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
  if (images.length === 0 && bad.length === 0) throw noImages(files, candidates.length);
  return { images, bad, passed, beside, common: [] };
}

/** The rule by which an image is passed over; undefined for one that is chosen. */
function passingRule(
  files: FolderFiles,
  path: string,
  format: ImageFormat,
  filter: (name: string) => boolean,
): string | undefined {
  if (!(format.accepts?.(path) ?? true)) return `images that are no faces in format ${format.name}`;
  if (!filter(stem(path))) return NOT_CHOSEN;
  return isCopy(files, path) ? LINKS : undefined;
}

function noImages({ dir }: FolderFiles, candidates: number): InputError {
  const found = candidates ? `none of its ${counted(candidates, "image")} is chosen` : "there is no image in it";
  return new InputError(`Cannot use ${dir} as a folder of faces: ${found}`, {
    hint: candidates ? "include and exclude have names without endings" : `${READABLE} are read`,
  });
}

/** True for a link to an image that is in the folder under another path. */
function isCopy({ same }: FolderFiles, path: string): boolean {
  const other = same.get(path);
  return other !== undefined && isImageName(other);
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
