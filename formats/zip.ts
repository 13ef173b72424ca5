/**
 * Reads the directory of a zip archive whose entries are stored as they are, which is all that PyTorch writes.
 *
 * A zip file is read from its end: the last record says where the directory is, the directory where each entry is, and
 * a header in front of each entry's bytes repeats its name. An archive is untrusted: all sizes and places are checked
 * against the file, entries may not overlap, and nothing is allocated by a size that the file merely claims.
 *
 * Source: PKWARE's APPNOTE 6.3.10, sections 4.3 and 4.5.3.
 *
 * @module
 */

import { readAt } from "./files.ts";

/** Bytes of an archive under a name. */
export interface ZipEntry {
  /** First byte, from the start of the file. */
  readonly begin: number;
  /** Number of bytes. */
  readonly size: number;
  /** CRC-32 of the bytes; 0 where the writer made none. */
  readonly crc: number;
}

const END = 0x06054b50, END_64 = 0x06064b50, LOCATOR_64 = 0x07064b50, ENTRY = 0x02014b50, LOCAL = 0x04034b50;
/** Bytes of these records without what varies in length. */
const END_SIZE = 22, END_64_SIZE = 56, LOCATOR_64_SIZE = 20, ENTRY_SIZE = 46, LOCAL_SIZE = 30;
/** The longest directory that is read, in bytes. */
const DIRECTORY_LIMIT = 64_000_000;

/**
 * Reads and checks the directory of an archive.
 *
 * @param file The open archive.
 * @param path Where it is, for messages.
 * @param size Its bytes.
 * @param fail Throws; called with what is wrong.
 */
export function readZipDirectory(
  file: Deno.FsFile,
  path: string,
  size: number,
  fail: (problem: string) => never,
): Map<string, ZipEntry> {
  const read = (position: number, length: number) => readAt(file, path, position, length);
  const { begin, length, count, end } = findDirectory(read, size, fail);
  if (begin + length > end) {
    return fail(`its directory of ${length} bytes at ${begin} does not fit in front of its end at ${end}`);
  }
  if (length > DIRECTORY_LIMIT) return fail(`its directory has ${length} bytes, more than ${DIRECTORY_LIMIT}`);

  const bytes = read(begin, length);
  const view = new DataView(bytes.buffer);
  const text = new TextDecoder();
  const entries = new Map<string, ZipEntry>();
  const spans: { name: string; from: number; to: number }[] = [];
  let at = 0;
  while (at < length) {
    if (at + ENTRY_SIZE > length || view.getUint32(at, true) !== ENTRY) {
      return fail(`its directory is damaged at byte ${begin + at}`);
    }
    const nameLength = view.getUint16(at + 28, true), extraLength = view.getUint16(at + 30, true);
    const next = at + ENTRY_SIZE + nameLength + extraLength + view.getUint16(at + 32, true);
    if (next > length) return fail(`its directory is damaged at byte ${begin + at}`);
    const nameBytes = bytes.subarray(at + ENTRY_SIZE, at + ENTRY_SIZE + nameLength);
    const name = text.decode(nameBytes);
    const failAt = (problem: string) => fail(`entry "${name}" ${problem}`);
    if (entries.has(name)) return failAt("is there twice");
    if (view.getUint16(at + 8, true) & 1) return failAt("is encrypted");
    if (view.getUint16(at + 10, true) !== 0) {
      return failAt("is compressed, hint: PyTorch stores entries as they are, so save the file with torch.save again");
    }
    const extra = at + ENTRY_SIZE + nameLength;
    const [size, packed, from] = sizesOf(view, at, extra, extra + extraLength, () => failAt("lacks its sizes"));
    if (size !== packed) return failAt(`is stored as it is and has two sizes, ${size} and ${packed}`);
    if (from + LOCAL_SIZE + nameBytes.length > begin) return failAt(`starts at byte ${from}, outside the file`);

    const local = new DataView(read(from, LOCAL_SIZE + nameBytes.length).buffer);
    const same = local.getUint32(0, true) === LOCAL && local.getUint16(26, true) === nameBytes.length &&
      nameBytes.every((byte, k) => local.getUint8(LOCAL_SIZE + k) === byte);
    if (!same) return failAt(`has no header of its own at byte ${from}`);
    const first = from + LOCAL_SIZE + nameBytes.length + local.getUint16(28, true);
    if (first + size > begin) return failAt(`has ${size} bytes at ${first}, beyond the directory at ${begin}`);
    entries.set(name, { begin: first, size, crc: view.getUint32(at + 16, true) });
    spans.push({ name, from, to: first + size });
    at = next;
  }
  if (entries.size !== count) return fail(`its directory has ${entries.size} entries and not ${count}`);

  spans.sort((a, b) => a.from - b.from);
  for (const [k, span] of spans.entries()) {
    const before = spans[k - 1];
    if (before && span.from < before.to) return fail(`entry "${span.name}" overlaps "${before.name}"`);
  }
  return entries;
}

/** Finds the directory by the record at the end, or by its successor of 64 bits. */
function findDirectory(
  read: (position: number, length: number) => Uint8Array<ArrayBuffer>,
  size: number,
  fail: (problem: string) => never,
): { begin: number; length: number; count: number; end: number } {
  const tail = new DataView(read(Math.max(0, size - END_SIZE - 0xffff), Math.min(size, END_SIZE + 0xffff)).buffer);
  let at = tail.byteLength - END_SIZE;
  // A comment may follow, and says how long it is.
  while (
    at >= 0 && !(tail.getUint32(at, true) === END && tail.getUint16(at + 20, true) === tail.byteLength - at - 22)
  ) {
    at--;
  }
  if (at < 0) return fail("it has no end of a zip archive, hint: was it downloaded whole?");
  const end = size - tail.byteLength + at;
  const count = tail.getUint16(at + 10, true);
  const [length, begin] = [tail.getUint32(at + 12, true), tail.getUint32(at + 16, true)];
  if (at < LOCATOR_64_SIZE || tail.getUint32(at - LOCATOR_64_SIZE, true) !== LOCATOR_64) {
    return { begin, length, count, end };
  }
  const place = Number(tail.getBigUint64(at - LOCATOR_64_SIZE + 8, true));
  if (place + END_64_SIZE > end) return fail(`its end is said to be at byte ${place}, outside the file`);
  const record = new DataView(read(place, END_64_SIZE).buffer);
  if (record.getUint32(0, true) !== END_64) return fail(`its end is not at byte ${place}`);
  return {
    count: Number(record.getBigUint64(32, true)),
    length: Number(record.getBigUint64(40, true)),
    begin: Number(record.getBigUint64(48, true)),
    end: place,
  };
}

/** Size, packed size and place of an entry, from its extra field where 32 bits do not do. */
function sizesOf(view: DataView, at: number, extra: number, end: number, fail: () => never): [number, number, number] {
  const values = [view.getUint32(at + 24, true), view.getUint32(at + 20, true), view.getUint32(at + 42, true)];
  if (values.every((value) => value !== 0xffffffff)) return values as [number, number, number];
  while (extra + 4 <= end) {
    const [id, length] = [view.getUint16(extra, true), view.getUint16(extra + 2, true)];
    extra += 4;
    if (extra + length > end) break;
    if (id === 1) {
      let [from, ok] = [extra, true];
      const wide = values.map((value) => {
        if (value !== 0xffffffff) return value;
        from += 8;
        if (from > extra + length) return (ok = false, 0);
        return Number(view.getBigUint64(from - 8, true));
      });
      return ok ? wide as [number, number, number] : fail();
    }
    extra += length;
  }
  return fail();
}
