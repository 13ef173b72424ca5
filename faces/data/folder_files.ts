/**
 * The files of a folder of images: all that is in it and below it is listed, passed over by a rule, or named as bad.
 *
 * @module
 */
import { entriesIn, exists, realPath } from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";
import type { BadFile } from "./annotations/registry.ts";

/** A file that is not used, by a rule that is no fault of the file. */
export interface PassedOver {
  /** Path inside the folder. */
  readonly file: string;
  /** The rule, in a few words. */
  readonly rule: string;
}

/** Endings of images in formats that are read, and in formats that are not. */
const READ = /\.(png|jpe?g|jpe|jfif|webp|gif|bmp|dib|tiff?)$/i;
const UNREAD = /\.(avif|heic|heif|jxl|jp2|j2k|psd|exr|hdr|p[bgpn]m|tga|dng|cr2|nef|arw)$/i;

/** True for names of images in formats that are read. */
export function isImageName(name: string): boolean {
  return READ.test(name);
}

/** True for names of images in formats that are not read. */
export function isUnreadImageName(name: string): boolean {
  return UNREAD.test(name);
}

/** Names that systems write beside files; whatever begins with a dot, such as AppleDouble's `._a.png`, is hidden too. */
const OF_SYSTEMS = new Set(["__MACOSX", "Thumbs.db", "ehthumbs.db", "desktop.ini", "@eaDir", "$RECYCLE.BIN"]);

/** Forms of a name under which files are found: as it is, with composed letters, and in whatever case. */
const FORMS: readonly ((name: string) => string)[] = [
  (name) => name,
  (name) => name.normalize("NFC"),
  (name) => name.normalize("NFC").toLowerCase(),
];

/** Finds names that are written in another Unicode form or in another case. */
export class NameFinder {
  readonly #byForm: readonly ReadonlyMap<string, readonly string[]>[];

  /** @param names The names that can be found. */
  constructor(names: readonly string[]) {
    this.#byForm = FORMS.map((form) => Map.groupBy(names, form));
  }

  /**
   * Names that a name matches: itself, else those of its letters in another Unicode form, else in another case.
   *
   * @param taken Names that are not looked at, other than the name itself.
   */
  find(name: string, taken?: ReadonlySet<string>): readonly string[] {
    for (const [k, form] of FORMS.entries()) {
      const found = this.#byForm[k]?.get(form(name)) ?? [];
      const free = k === 0 || !taken ? found : found.filter((other) => !taken.has(other));
      if (free.length) return free;
    }
    return [];
  }
}

/** Files of a folder and of those below it. */
export interface FolderFiles {
  /** The folder. */
  readonly dir: string;
  /** Paths of the files, sorted. */
  readonly paths: readonly string[];
  /** For links to files that are in the folder under another path: that path. */
  readonly same: ReadonlyMap<string, string>;
  /** Hidden files, and links to folders that are listed already. */
  readonly passed: readonly PassedOver[];
  /** Paths that cannot be read: links that lead nowhere, devices, folders without the right to read them. */
  readonly bad: readonly BadFile[];
}

/**
 * Lists a folder and those below it. Links are followed, to files and to folders, wherever they lead: who put them there
 * chose so. Files come before links to them.
 *
 * @param dir The folder.
 * @param deep False for the folder alone.
 * @returns Its files.
 */
export function listFolder(dir: string, deep = true): FolderFiles {
  if (!exists(dir)) throw new InputError(`Cannot read ${dir}: there is no such folder`, { code: "missing" });
  const paths: string[] = [], passed: PassedOver[] = [], bad: BadFile[] = [];
  const same = new Map<string, string>(), byReal = new Map<string, string>();
  const folders = new Set<string>();
  const links: { path: string; kind: "file" | "folder" }[] = [];
  const addFile = (path: string, real: string) => {
    const other = byReal.get(real);
    if (other === undefined) byReal.set(real, path);
    else same.set(path, other);
    paths.push(path);
  };
  const walk = (below: string, real: string) => {
    folders.add(real);
    let entries;
    try {
      entries = entriesIn(real);
    } catch (error) {
      if (!(error instanceof InputError) || below === "") throw error;
      bad.push({ file: below, reason: error.message });
      return;
    }
    for (const { name, kind, link } of entries) {
      const path = below + name;
      if (name.startsWith(".") || OF_SYSTEMS.has(name)) passed.push({ file: path, rule: "hidden" });
      else if (kind === "missing") bad.push({ file: path, reason: "it is a link that leads nowhere" });
      else if (kind === "other") bad.push({ file: path, reason: "it is neither a file nor a folder" });
      else if (kind === "folder" && !deep) passed.push({ file: `${path}/`, rule: "in folders below" });
      else if (link) links.push({ path, kind });
      else if (kind === "folder") walk(`${path}/`, `${real}/${name}`);
      else addFile(path, `${real}/${name}`);
    }
  };
  walk("", realPath(dir));
  // Folders that links lead to may have links in them.
  for (let link = links.shift(); link; link = links.shift()) {
    const { path, kind } = link;
    const real = realPath(`${dir}/${path}`);
    if (kind === "file") addFile(path, real);
    else if (folders.has(real)) passed.push({ file: `${path}/`, rule: "a link to a folder that is there already" });
    else walk(`${path}/`, real);
  }
  return { dir, paths: paths.sort(), same, passed, bad };
}

/**
 * The one path among others that a path matches.
 *
 * @throws {InputError} If there are several.
 */
export function findOne(finder: NameFinder, path: string, taken?: ReadonlySet<string>): string | undefined {
  const [found, ...more] = finder.find(path, taken);
  if (found !== undefined && more.length) {
    throw new InputError(`${[found, ...more].join(" and ")} differ in case or in the form of their letters only`);
  }
  return found;
}

/** A path as files of annotations have it: with `/` between folders, and without `./`. */
export function plainPath(path: string): string {
  return path.replaceAll("\\", "/").split("/").filter((part) => part !== "." && part !== "").join("/");
}

/** A few of some names, and how many there are more. */
export function someOf(names: readonly string[], shown = 5): string {
  const more = names.length - shown;
  return names.slice(0, shown).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
