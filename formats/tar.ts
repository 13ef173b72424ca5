/**
 * Tar archives: written entry by entry, and read at any entry.
 *
 * A path that goes on behind an archive, such as `train/000000.tar/000123.png`, names an entry of it: see
 * {@linkcode readEntry}.
 *
 * Source: POSIX.1-2017, pax, "ustar Interchange Format".
 *
 * @module
 */
import { InputError } from "./input_error.ts";

/** Bytes of a header, and the unit of what follows it. */
const BLOCK = 512;

/** Place of an entry's bytes in an archive. */
export interface TarEntry {
  /** First byte. */
  readonly begin: number;
  /** Number of bytes. */
  readonly size: number;
}

/** Writes an archive. Its entries have no owner and no time, so that the same files make the same bytes. */
export class TarWriter implements Disposable {
  readonly #file: Deno.FsFile;

  /** Creates the archive. */
  constructor(path: string) {
    this.#file = Deno.openSync(path, { write: true, create: true, truncate: true });
  }

  /**
   * Adds a file.
   *
   * @param name Its path in the archive: 100 bytes at most, or 255 that a `/` divides into 155 and 100.
   * @param options `executable`: true if it may be executed.
   * @throws {RangeError} If the name is longer.
   */
  async add(name: string, bytes: Uint8Array, { executable = false } = {}): Promise<void> {
    await this.#write(headerOf(name, bytes.length, executable ? 0o755 : 0o644));
    await this.#write(bytes);
    await this.#write(new Uint8Array(padding(bytes.length)));
  }

  /** Ends the archive, by two empty blocks. */
  async close(): Promise<void> {
    await this.#write(new Uint8Array(2 * BLOCK));
    this.#file.close();
  }

  /** Closes the file of an archive that was not ended. */
  [Symbol.dispose](): void {
    try {
      this.#file.close();
    } catch { /* it was ended */ }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) done += await this.#file.write(bytes.subarray(done));
  }
}

const padding = (size: number) => (BLOCK - size % BLOCK) % BLOCK;

function headerOf(path: string, size: number, mode: number): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const put = (text: string, at: number) => block.set(new TextEncoder().encode(text), at);
  const octal = (value: number, length: number, at: number) =>
    put(`${value.toString(8).padStart(length - 1, "0")}\0`, at);
  const [prefix, name] = splitName(path);
  put(prefix, 345);
  put(name, 0);
  octal(mode, 8, 100);
  octal(0, 8, 108);
  octal(0, 8, 116);
  octal(size, 12, 124);
  octal(0, 12, 136);
  put("        ", 148);
  put("0", 156);
  put("ustar\0" + "00", 257);
  // The checksum is that of the header with blanks in its place.
  octal(block.reduce((sum, byte) => sum + byte, 0), 7, 148);
  return block;
}

/** Divides a path into the prefix and the name of a header. */
function splitName(path: string): [prefix: string, name: string] {
  const length = (text: string) => new TextEncoder().encode(text).length;
  if (length(path) <= 100) return ["", path];
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)];
    if (length(prefix) <= 155 && length(name) <= 100) return [prefix, name];
  }
  throw new RangeError(`Cannot add ${path} to an archive: it is too long`);
}

/**
 * Reads the directory of an archive: its files in order. Folders, links and pax headers are passed over.
 *
 * @throws {InputError} If it is damaged or cut short.
 */
export function readTarDirectory(path: string): Map<string, TarEntry> {
  using file = Deno.openSync(path);
  const { size: end } = file.statSync();
  const entries = new Map<string, TarEntry>();
  const block = new Uint8Array(BLOCK);
  const fail = (at: number, problem: string): never => {
    throw new InputError(`Cannot read ${path} as a tar archive: ${problem} at byte ${at}`, {
      hint: "the file is damaged or cut short",
    });
  };
  let long: string | undefined;
  for (let at = 0; at + BLOCK <= end;) {
    file.seekSync(at, Deno.SeekMode.Start);
    if (file.readSync(block) !== BLOCK) return fail(at, "there is no header");
    if (block.every((byte) => byte === 0)) return entries;
    const header = parseHeader(block) ?? fail(at, "there is no header");
    const begin = at + BLOCK;
    at = begin + header.size + padding(header.size);
    if (begin + header.size > end) return fail(begin, `"${header.name}" does not fit in the file`);
    if (header.type === "x" || header.type === "L") {
      const text = readText(file, begin, header.size);
      long = header.type === "L" ? text.replace(/\0.*$/s, "") : /(?:^|\n)\d+ path=([^\n]*)/.exec(text)?.[1] ?? long;
      continue;
    }
    if (header.type === "0" || header.type === "\0") {
      entries.set((long ?? header.name).replace(/^\.\//, ""), { begin, size: header.size });
    }
    long = undefined;
  }
  return fail(end, "its end is missing");
}

/** Longest name that is read from a header of its own, bytes. */
const LONGEST_NAME = 1 << 16;

function readText(file: Deno.FsFile, begin: number, size: number): string {
  const bytes = new Uint8Array(Math.min(size, LONGEST_NAME));
  file.seekSync(begin, Deno.SeekMode.Start);
  let done = 0;
  for (let read; done < bytes.length && (read = file.readSync(bytes.subarray(done))); done += read);
  return new TextDecoder().decode(bytes.subarray(0, done));
}

function parseHeader(block: Uint8Array): { name: string; size: number; type: string } | undefined {
  const text = (at: number, length: number) =>
    new TextDecoder().decode(block.subarray(at, at + length)).replace(/\0.*$/s, "");
  const sum = block.reduce((all, byte, k) => all + (k >= 148 && k < 156 ? 32 : byte), 0);
  if (parseInt(text(148, 8), 8) !== sum) return undefined;
  const size = sizeOf(block.subarray(124, 136));
  if (!Number.isSafeInteger(size)) return undefined;
  const prefix = text(257, 5) === "ustar" ? text(345, 155) : "";
  return {
    name: prefix ? `${prefix}/${text(0, 100)}` : text(0, 100),
    size,
    type: String.fromCharCode(block[156] ?? 0),
  };
}

/** A size: octal digits, or, of 8 GiB and more, a binary number whose first bit is set. */
function sizeOf(field: Uint8Array): number {
  const [first = 0] = field;
  if (first < 128) return parseInt(new TextDecoder().decode(field), 8);
  return field.subarray(1).reduce((value, byte) => value * 256 + byte, first - 128);
}

/** Directories of the archives that were read last. */
const directories = new Map<string, ReadonlyMap<string, TarEntry>>();
const MOST_DIRECTORIES = 64;

/**
 * Finds the archive's entry that a path names.
 *
 * @returns The archive and the place of the bytes; undefined if the path does not lead through an archive.
 * @throws {Deno.errors.NotFound} If the archive has no such entry.
 */
export function findEntry(path: string): { archive: string; entry: TarEntry } | undefined {
  const [, archive, name] = /^(.*?\.tar)\/(.+)$/s.exec(path) ?? [];
  if (archive === undefined || name === undefined) return undefined;
  let directory = directories.get(archive);
  if (!directory) {
    directory = readTarDirectory(archive);
    const [oldest] = directories.keys();
    if (directories.size >= MOST_DIRECTORIES && oldest !== undefined) directories.delete(oldest);
    directories.set(archive, directory);
  }
  const entry = directory.get(name);
  if (!entry) throw new Deno.errors.NotFound(`There is no ${name} in ${archive}`);
  return { archive, entry };
}

/** Reads the bytes of an entry. */
export async function readEntry(archive: string, { begin, size }: TarEntry): Promise<Uint8Array<ArrayBuffer>> {
  using file = await Deno.open(archive);
  await file.seek(begin, Deno.SeekMode.Start);
  const bytes = new Uint8Array(size);
  for (let done = 0; done < size;) {
    const read = await file.read(bytes.subarray(done));
    if (read === null) throw new InputError(`Cannot read ${archive}: it was cut short meanwhile`);
    done += read;
  }
  return bytes;
}
