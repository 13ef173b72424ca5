/**
 * Writes pickles and zip archives as PyTorch does, and wrong ones.
 *
 * @module
 */

import { crc32 } from "node:zlib";

/** Bytes of numbers, text and other bytes, one after the other. */
export function bytesOf(...parts: (number | string | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  const all = parts.map((part) =>
    typeof part === "number" ? Uint8Array.of(part) : typeof part === "string" ? new TextEncoder().encode(part) : part
  );
  const bytes = new Uint8Array(all.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of all) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Little-endian bytes of an unsigned integer. */
export function little(value: number | bigint, size: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(value), true);
  return new Uint8Array(view.buffer, 0, size);
}

/** A string of a pickle. */
export function text(value: string): Uint8Array {
  const encoded = new TextEncoder().encode(value);
  return bytesOf(0x58, little(encoded.length, 4), encoded);
}

/** A name of a pickle. */
export const name = (module: string, label: string) => bytesOf("c", module, "\n", label, "\n");

/** A tuple of integers. */
export const sizes = (values: readonly number[]) => bytesOf("(", ...values.map((v) => bytesOf("J", little(v, 4))), "t");

/** What a tensor is made of. */
export interface TensorParts {
  readonly key: string;
  readonly shape: readonly number[];
  readonly storage?: string;
  readonly elements?: number;
  readonly offset?: number;
  readonly strides?: readonly number[];
}

/** A tensor of a pickle, dense if nothing else is said. */
export function tensor(
  { key, shape, storage = "FloatStorage", elements, offset = 0, strides }: TensorParts,
): Uint8Array {
  const count = shape.reduce((a, b) => a * b, 1);
  const dense = shape.map((_, k) => shape.slice(k + 1).reduce((a, b) => a * b, 1));
  const id = bytesOf("(", text("storage"), name("torch", storage), text(key), text("cpu"));
  return bytesOf(
    name("torch._utils", "_rebuild_tensor_v2"),
    ...["(", id, "J", little(elements ?? count, 4), "tQ", "J", little(offset, 4)],
    ...[sizes(shape), sizes(strides ?? dense), 0x89, name("collections", "OrderedDict"), ")RtR"],
  );
}

/** A dictionary of a pickle. */
export const dictionary = (entries: readonly (readonly [string, Uint8Array])[]) =>
  bytesOf("}(", ...entries.flatMap(([key, value]) => [text(key), value]), "u");

/** A whole pickle. */
export const pickle = (value: Uint8Array) => bytesOf(0x80, 2, value, ".");

/** What the directory of an archive says of an entry, where it is not true. */
export type Lies = Readonly<Partial<Record<"size" | "packed" | "from" | "crc" | "method" | "flags", number>>>;

/** A zip archive of stored entries; `wide` with fields of 64 bits, as archives of more than 4 GB have. */
export function zip(
  entries: readonly (readonly [string, Uint8Array, Lies?])[],
  wide = false,
): Uint8Array<ArrayBuffer> {
  const files: Uint8Array[] = [], directory: Uint8Array[] = [];
  let at = 0;
  for (const [label, bytes, lies = {}] of entries) {
    const encoded = new TextEncoder().encode(label);
    const { size = bytes.length, packed = bytes.length, from = at, crc = crc32(bytes), method = 0, flags = 0 } = lies;
    const common = bytesOf(...[little(flags, 2), little(method, 2), little(0, 4), little(crc, 4)]);
    const sizes = bytesOf(little(packed, 4), little(size, 4), little(encoded.length, 2), little(0, 2));
    files.push(bytesOf(little(0x04034b50, 4), little(0, 2), common, sizes, encoded, bytes));
    const rest = bytesOf(little(0, 2), little(0, 2), little(0, 2), little(0, 4));
    const start = bytesOf(little(0x02014b50, 4), little(0, 4), common);
    if (wide) {
      const none = little(0xffffffff, 4);
      const extra = bytesOf(
        little(9, 2),
        little(1, 2),
        7,
        little(1, 2),
        little(24, 2),
        ...[size, packed, from].map((n) => little(n, 8)),
      );
      const lengths = bytesOf(little(encoded.length, 2), little(extra.length, 2));
      directory.push(bytesOf(start, none, none, lengths, rest, none, encoded, extra));
    } else directory.push(bytesOf(start, sizes, rest, little(from, 4), encoded));
    at += files.at(-1)!.length;
  }
  const listed = bytesOf(...directory);
  const count = little(entries.length, 2);
  if (wide) {
    const place = at + listed.length;
    const numbers = [entries.length, entries.length, listed.length, at].map((n) => little(n, 8));
    const record = bytesOf(little(0x06064b50, 4), little(44, 8), little(0, 2), little(0, 2), little(0, 8), ...numbers);
    const locator = bytesOf(little(0x07064b50, 4), little(0, 4), little(place, 8), little(1, 4));
    const none = bytesOf(
      little(0, 4),
      little(0xffff, 2),
      little(0xffff, 2),
      new Uint8Array(8).fill(0xff),
      little(0, 2),
    );
    return bytesOf(...files, listed, record, locator, little(0x06054b50, 4), none);
  }
  const end = bytesOf(little(0x06054b50, 4), little(0, 4), count, count, little(listed.length, 4), little(at, 4));
  return bytesOf(...files, listed, end, little(0, 2));
}

/** A checkpoint as PyTorch writes it. */
export function torchFile(root: Uint8Array, storages: Readonly<Record<string, Uint8Array>> = {}) {
  return zip([
    ["a/data.pkl", pickle(root)],
    ["a/byteorder", bytesOf("little")],
    ...Object.entries(storages).map(([key, bytes]) => [`a/data/${key}`, bytes] as const),
  ]);
}
