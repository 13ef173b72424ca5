/**
 * Images that a list of faces names, such as COCO's JSON, and where they are in a folder.
 *
 * @module
 */
import { fileNames, isFolder, readText } from "../../../formats/files.ts";
import { InputError } from "../../../formats/input_error.ts";
import { DEFAULT_SCHEMA, SCHEMAS } from "../../schema.ts";
import { baseName, type ListFormat, stem } from "../annotations/format.ts";
import { type BadFile, parseAnnotations } from "../annotations/registry.ts";
import { leavesFolder } from "../dataset.ts";
import {
  findOne,
  type FolderFiles,
  isImageName,
  isUnreadImageName,
  NameFinder,
  type PassedOver,
  plainPath,
  someOf,
} from "../folder_files.ts";
import { formatHint } from "./format_hint.ts";
import { type FaceOfImage, type FoundImages, NOT_CHOSEN } from "./found_images.ts";
import type { FolderOptions } from "./options.ts";

/**
 * Finds the images of a list.
 *
 * @param files The folder.
 * @param annotations The list, or a folder of lists.
 * @param reader Their format.
 * @throws {InputError} If a list is wrong, or no face is chosen.
 */
export async function listedImages(
  files: FolderFiles,
  annotations: string,
  reader: ListFormat,
  options: FolderOptions,
): Promise<FoundImages> {
  const { schema = SCHEMAS[DEFAULT_SCHEMA], filter = () => true } = options;
  const { dir } = files;
  const origin = options.origin ?? reader.origin ?? 0;
  const lists = await isFolder(annotations)
    ? fileNames(annotations).filter((name) => !name.startsWith(".")).map((name) => `${annotations}/${name}`)
    : [annotations];
  const bad: BadFile[] = [...files.bad], passed: PassedOver[] = [];
  const finder = new ImageFinder(files);
  const faces: { readonly image: string; readonly face: FaceOfImage }[] = [];
  const keys = new Set<string>(), unchosen = new Set<string>();
  for (const name of lists) {
    let found;
    try {
      found = parseAnnotations(await readText(name), reader, schema, { name, origin });
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      const hint = await formatHint(files, options);
      throw hint === undefined ? error : new InputError(error.message, { hint, cause: error });
    }
    bad.push(...found.bad);
    for (const { image, aliases = [], ...face } of found.faces) {
      try {
        const path = finder.find(image, aliases) ?? plainPath(image);
        const key = [path, ...face.landmarks].join();
        if (!filter(stem(path))) unchosen.add(path);
        else if (keys.has(key)) passed.push({ file: path, rule: "faces that are listed twice" });
        else faces.push({ image: path, face });
        keys.add(key);
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        bad.push({ file: image, reason: error.message });
      }
    }
  }
  passed.push(...Array.from(unchosen, (file) => ({ file, rule: NOT_CHOSEN })));
  bad.push(...finder.confused());
  const confused = new Set(bad.map(({ file }) => file));
  const images = faces.filter(({ image }) => !confused.has(image))
    .map(({ image, face }) => ({ image, read: () => [face] }));
  if (images.length + bad.length === 0) throw new InputError(`Cannot use ${annotations}: no face was chosen in it`);
  const listed = new Set([...faces.map(({ image }) => image), ...passed.map(({ file }) => file)]);
  for (const file of files.paths) {
    if (!isImageName(file) && !isUnreadImageName(file) || listed.has(file)) continue;
    passed.push({ file, rule: `images that ${baseName(plainPath(annotations))} does not list` });
  }
  const own = new Set(lists.map(plainPath)), start = plainPath(dir);
  const common = files.paths.filter((path) => own.has(`${start}/${path}`));
  return { images, bad, passed, beside: new Map(), common };
}

/** Finds the images that a list names. */
class ImageFinder {
  readonly #dir: string;
  readonly #all: NameFinder;
  readonly #byBase: ReadonlyMap<string, readonly string[]>;
  readonly #bases: NameFinder;
  /** Names that stood for an image by the last part of their paths, by image. */
  readonly #guessed = new Map<string, Set<string>>();

  constructor({ dir, paths }: FolderFiles) {
    this.#dir = dir;
    this.#all = new NameFinder(paths);
    this.#byBase = Map.groupBy(paths.filter((path) => isImageName(path) || isUnreadImageName(path)), baseName);
    this.#bases = new NameFinder([...this.#byBase.keys()]);
  }

  /**
   * The path of an image: as the list has it, or by one of its aliases, or the one image of that name in the folder.
   *
   * @throws {InputError} If it is outside of the folder, or there are several.
   */
  find(image: string, aliases: readonly string[]): string | undefined {
    if (leavesFolder(image)) throw new InputError(`it is outside of ${this.#dir}, and only images in it are read`);
    for (const path of [image, ...aliases.filter((alias) => !leavesFolder(alias))]) {
      const found = findOne(this.#all, plainPath(path));
      if (found !== undefined) return found;
    }
    const [only, ...more] = this.#bases.find(baseName(plainPath(image))).flatMap((base) =>
      this.#byBase.get(base) ?? []
    );
    if (only === undefined || more.length) return undefined;
    const names = this.#guessed.get(only) ?? new Set();
    this.#guessed.set(only, names.add(plainPath(image)));
    return only;
  }

  /** Images for which paths in different folders stood. */
  confused(): BadFile[] {
    return [...this.#guessed].filter(([, names]) => names.size > 1).map(([file, names]) => ({
      file,
      reason: `${someOf([...names])} would all be this image`,
    }));
  }
}
