/**
 * Reading and writing of small files: missing ones, atomic writes.
 *
 * @module
 */
import { DiskError, readError, writeError } from "./disk_error.ts";
import { FOREIGN_BYTES, foreignKind } from "./foreign.ts";
import { InputError } from "./input_error.ts";
import { findEntry, readEntry } from "./tar.ts";
import { decodeText } from "./text.ts";

/** Reads from a path; errors that a user can mend become `InputError`s. */
export async function reading<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw readError(error, path);
  }
}

/** As {@linkcode reading}, without giving up the turn; the system's own error would not name the path. */
export function readingSync<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw readError(error, path);
  }
}

/** True if there is something at a path. */
export function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw readError(error, path);
  }
}

/** The text of a file, undefined where there is none. */
export function readTextIfExists(path: string): string | undefined {
  return exists(path) ? readingSync(path, () => Deno.readTextFileSync(path)) : undefined;
}

/**
 * The text of a file.
 *
 * @throws {InputError} As {@linkcode decodeText}, and what reading a file throws.
 */
export async function readText(path: string): Promise<string> {
  return decodeText(await reading(path, () => Deno.readFile(path)), path);
}

/** The bytes of a file, or of an entry of a tar archive, see `tar.ts`. */
export async function readBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  return await reading(path, async () => {
    const found = findEntry(path);
    return found ? await readEntry(found.archive, found.entry) : await Deno.readFile(path);
  });
}

/** Writes a file, text or bytes, for which the folder is made; it is there whole or as it was before. */
export async function writeFile(path: string, content: string | Uint8Array): Promise<void> {
  await writing(path, async () => {
    makeFolderOf(path);
    await Deno.writeFile(`${path}.tmp`, typeof content === "string" ? new TextEncoder().encode(content) : content);
    await Deno.rename(`${path}.tmp`, path);
  });
}

/**
 * Writes a path by way of `PATH.tmp`, which is removed where that fails.
 *
 * @throws {DiskError} If the system refuses; it names the path.
 */
export async function writing<T>(path: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    removeUnfinished(path);
    throw writeError(error, path);
  }
}

/** Removes the rest of a file or folder that could not be written; the first error is the one to report. */
function removeUnfinished(path: string): void {
  try {
    removeIfExists(`${path}.tmp`);
  } catch { /* it may lie where nothing can be removed */ }
}

/** True if an entry of a folder is a folder, or a link to one. A link that leads nowhere is a file, which cannot be read. */
function isFolderEntry(dir: string, { name, isDirectory, isSymlink }: Deno.DirEntry): boolean {
  if (!isSymlink) return isDirectory;
  try {
    return Deno.statSync(`${dir}/${name}`).isDirectory;
  } catch {
    return false;
  }
}

/** Names of the files in a folder and of links to files, sorted; not those in folders below it. */
export function fileNames(dir: string): string[] {
  const entries = readingSync(dir, () => [...Deno.readDirSync(dir)]);
  return entries.filter((entry) => (entry.isFile || entry.isSymlink) && !isFolderEntry(dir, entry))
    .map(({ name }) => name).sort();
}

/** Paths of the files in a folder and in those below it, sorted, without hidden ones; folders are entered once. */
export function filesBelow(dir: string): string[] {
  const seen = new Set<string>();
  const walk = (folder: string): string[] => {
    const real = realPath(folder);
    if (seen.has(real)) return [];
    seen.add(real);
    return entriesIn(folder).filter(({ name }) => !name.startsWith(".")).flatMap(({ name, kind }) =>
      kind === "file" ? [name] : kind === "folder" ? walk(`${folder}/${name}`).map((path) => `${name}/${path}`) : []
    );
  };
  return walk(dir).sort();
}

/** Names of everything in a folder, sorted. */
export async function namesIn(dir: string): Promise<string[]> {
  return (await reading(dir, () => Array.fromAsync(Deno.readDir(dir), ({ name }) => name))).sort();
}

/** Names of the folders in a folder and of links to folders, sorted. */
export async function folderNames(dir: string): Promise<string[]> {
  const entries = await reading(dir, () => Array.fromAsync(Deno.readDir(dir)));
  return entries.filter((entry) => isFolderEntry(dir, entry)).map(({ name }) => name).sort();
}

/** True if a path is of a folder; an error of {@linkcode isMissing} where there is nothing. */
export async function isFolder(path: string): Promise<boolean> {
  return (await reading(path, () => Deno.stat(path))).isDirectory;
}

/** The first bytes of a file, fewer where it is shorter. */
export async function firstBytes(path: string, count: number): Promise<Uint8Array> {
  return await reading(path, async () => {
    using file = await Deno.open(path);
    const bytes = new Uint8Array(count);
    let filled = 0;
    while (filled < count) {
      const read = await file.read(bytes.subarray(filled));
      if (read === null) break;
      filled += read;
    }
    return bytes.subarray(0, filled);
  });
}

/**
 * Writes a folder that is there whole or not at all: it is filled under another name in the same folder, and renamed.
 *
 * @param path The folder, which is missing or empty; those above it are made.
 * @param fill Writes into the folder that it is given.
 * @returns Result of `fill`.
 * @throws {DiskError} If the system refuses; it names the path.
 */
export async function writeFolderAtomic<T>(path: string, fill: (dir: string) => Promise<T>): Promise<T> {
  const parent = path.includes("/") ? path.slice(0, path.lastIndexOf("/") + 1) : ".";
  const unfinished = await writing(path, async () => {
    await Deno.mkdir(parent, { recursive: true });
    return await Deno.makeTempDir({ dir: parent, prefix: ".unfinished-" });
  });
  try {
    const result = await fill(unfinished);
    await Deno.chmod(unfinished, 0o755);
    // Over an empty folder too.
    await Deno.rename(unfinished, path);
    return result;
  } catch (error) {
    await Deno.remove(unfinished, { recursive: true }).catch(() => {});
    // The name of the unfinished folder says nothing to a user.
    throw writeError(error instanceof DiskError ? error.cause : error, path);
  }
}

/**
 * Writes files into a folder that is there: they are all written under another name first, and then take the places of
 * those of the same names. Other files stay.
 *
 * @param path The folder.
 * @param fill Writes into the folder that it is given.
 */
export async function replaceFiles(path: string, fill: (dir: string) => Promise<void>): Promise<void> {
  const unfinished = await Deno.makeTempDir({ dir: path, prefix: ".unfinished-" });
  try {
    await fill(unfinished);
    for (const file of filesBelow(unfinished)) {
      makeFolderOf(`${path}/${file}`);
      await Deno.rename(`${unfinished}/${file}`, `${path}/${file}`);
    }
  } finally {
    await Deno.remove(unfinished, { recursive: true }).catch(() => {});
  }
}

/** Length of a file, or of an entry of a tar archive, bytes. */
export async function fileSize(path: string): Promise<number> {
  return await reading(path, async () => findEntry(path)?.entry.size ?? (await Deno.stat(path)).size);
}

/** True if an error says that a file or folder is missing. */
export function isMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound;
}

/** Writes a file that is either the old or the new one at any moment. */
export function writeAtomic(path: string, text: string): void {
  try {
    Deno.writeTextFileSync(`${path}.tmp`, text);
    Deno.renameSync(`${path}.tmp`, path);
  } catch (error) {
    removeUnfinished(path);
    throw writeError(error, path);
  }
}

/** Makes a folder, and those above it, where they are missing. */
export async function makeFolder(path: string): Promise<void> {
  await writing(path, () => Deno.mkdir(path, { recursive: true }));
}

/** Makes the folder of a file, and those above it, where they are missing. */
export function makeFolderOf(path: string): void {
  try {
    // Not `folder/.`: mkdir has no such folder to make.
    Deno.mkdirSync(path.replace(/[^/\\]*$/, "") || ".", { recursive: true });
  } catch (error) {
    throw writeError(error, path);
  }
}

/** Removes a file or a folder with all in it. */
export function removeIfExists(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    ignoreMissing(error);
  }
}

/** Throws any error but that something is not there. */
export function ignoreMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}

/**
 * Parses the JSON of a file that a user gave.
 *
 * @throws {InputError} If it is no JSON.
 */
// deno-lint-ignore no-explicit-any
export function parseJson(text: string, path: string): any {
  try {
    return JSON.parse(text);
  } catch (error) {
    const foreign = foreignKind(new TextEncoder().encode(text.slice(0, FOREIGN_BYTES)));
    const problem = foreign ? `it is ${foreign.what}` : (error as Error).message;
    throw new InputError(`Cannot read ${path} as JSON: ${problem}`, {
      code: "format",
      hint: foreign?.hint,
      cause: error,
    });
  }
}

/**
 * Reads a JSON file that a user gave.
 *
 * @throws {InputError} If it cannot be read, or is no JSON.
 */
// deno-lint-ignore no-explicit-any
export async function readJson(path: string): Promise<any> {
  return parseJson(await readText(path), path);
}

/** The content of a JSON file of the product's own; undefined when it is missing or broken. */
export function readJsonIfUsable<T>(path: string): T | undefined {
  try {
    return JSON.parse(Deno.readTextFileSync(path)) ?? undefined;
  } catch (error) {
    if (!(error instanceof SyntaxError)) ignoreMissing(error);
    return undefined;
  }
}

/**
 * Reads `length` bytes at a position, without giving up the turn.
 *
 * @throws {InputError} If the file ends before.
 */
export function readAt(file: Deno.FsFile, path: string, position: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  readInto(file, path, position, bytes);
  return bytes;
}

/**
 * Fills `bytes` from a position, without giving up the turn.
 *
 * @throws {InputError} If the file ends before.
 */
export function readInto(file: Deno.FsFile, path: string, position: number, bytes: Uint8Array): void {
  file.seekSync(position, Deno.SeekMode.Start);
  for (let done = 0; done < bytes.length;) {
    const read = file.readSync(bytes.subarray(done));
    if (read === null) {
      throw new InputError(
        `Cannot read ${bytes.length} bytes at ${position} of ${path}: the file ends after ${done} of them`,
      );
    }
    done += read;
  }
}

/** An entry of a folder; a link stands for what it leads to. */
export interface FolderEntry {
  /** Name in the folder. */
  readonly name: string;
  /** Kind of what is there; `missing` for a link that leads nowhere, `other` for devices, sockets and pipes. */
  readonly kind: "file" | "folder" | "missing" | "other";
  /** True for a link. */
  readonly link: boolean;
}

/** Entries of a folder, sorted by name. */
export function entriesIn(dir: string): FolderEntry[] {
  const kindOf = ({ isFile, isDirectory }: { isFile: boolean; isDirectory: boolean }) =>
    isFile ? "file" : isDirectory ? "folder" : "other";
  const entries = readingSync(dir, () => [...Deno.readDirSync(dir)]).map((entry): FolderEntry => {
    const { name, isSymlink: link } = entry;
    if (!link) return { name, kind: kindOf(entry), link };
    try {
      return { name, kind: kindOf(Deno.statSync(`${dir}/${name}`)), link };
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) throw error;
      return { name, kind: "missing", link };
    }
  });
  return entries.sort((a, b) => a.name < b.name ? -1 : 1);
}

/** A path without links in it. */
export function realPath(path: string): string {
  return readingSync(path, () => Deno.realPathSync(path));
}
