/**
 * Reads and writes safetensors files.
 *
 * A file is: the header's length (u64, little-endian), the header (JSON, padded with spaces), the tensors' bytes one
 * after the other. The header maps each name to `{ dtype, shape, data_offsets: [begin, end] }`, offsets counted from
 * the end of the header, and `__metadata__` to text by text. Tensors are row-major, little-endian.
 *
 * A file is untrusted: its header is checked whole before a tensor is read, nothing is allocated by a size that
 * the file merely claims, and tensors that overlap or leave holes are refused, as the format demands.
 *
 * Source: https://huggingface.co/docs/safetensors
 *
 * @module
 */

import { counted } from "./numbers.ts";
import { countElements, ELEMENT_BYTES, readFloat32, type SafetensorsDtype } from "./elements.ts";
import { readAt, reading, writing } from "./files.ts";
import { InputError } from "./input_error.ts";

/** Header entry of a tensor. */
export interface SafetensorsInfo {
  /** Element type in the file. */
  readonly dtype: SafetensorsDtype;
  /** Sizes, outermost first; empty for a scalar. */
  readonly shape: readonly number[];
}

/** A tensor as f32. */
export interface TensorData {
  /** Sizes, outermost first; empty for a scalar. */
  shape: number[];
  /** Elements, row-major. */
  data: Float32Array;
}

/** A tensor that is there when it is needed: in memory, or read one at a time. */
export type TensorSource =
  | { readonly shape: readonly number[]; readonly data: Float32Array }
  | { readonly shape: readonly number[]; read(): Promise<Float32Array> };

/** A tensor as it lies in the file. */
export interface RawTensor extends SafetensorsInfo {
  /** Elements, row-major, little-endian; starts at offset 0 of its buffer. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The longest header that is read, in bytes; the reference implementation's limit. */
const HEADER_LIMIT = 100_000_000;

interface Entry extends SafetensorsInfo {
  /** First byte and the one past the last, from the start of the file. */
  readonly begin: number;
  readonly end: number;
}

/**
 * An open safetensors file, whose tensors are read when asked for.
 *
 * Made by {@link readSafetensors}; close it, or declare it with `using`.
 */
export class SafetensorsFile implements Disposable {
  /** Path of the file. */
  readonly path: string;
  /** Free text by key. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly #file: Deno.FsFile;
  readonly #entries: Map<string, Entry>;

  /** Takes over an open file and its checked header; use {@link readSafetensors}. */
  constructor(path: string, file: Deno.FsFile, header: Header) {
    this.path = path;
    this.#file = file;
    this.#entries = header.entries;
    this.metadata = header.metadata;
  }

  /** Names of the tensors, in the order of the header. */
  get names(): string[] {
    return [...this.#entries.keys()];
  }

  /** True if the file has a tensor of that name. */
  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /**
   * Element type and shape of a tensor.
   *
   * @throws {InputError} If there is none of that name.
   */
  info(name: string): SafetensorsInfo {
    const { dtype, shape } = this.#entry(name);
    return { dtype, shape };
  }

  /**
   * Reads a tensor as f32, whatever its type in the file: the nearest f32, and 0 or 1 for BOOL.
   *
   * @throws {InputError} If there is none of that name, or the file was cut short since it was opened.
   */
  // deno-lint-ignore require-await
  async read(name: string): Promise<TensorData> {
    const { dtype, shape, begin, end } = this.#entry(name);
    return { shape: [...shape], data: readFloat32(this.#file, this.path, dtype, [begin, end]) };
  }

  /**
   * Reads a tensor's bytes as they are.
   *
   * @throws {InputError} If there is none of that name, or the file was cut short since it was opened.
   */
  // deno-lint-ignore require-await
  async readRaw(name: string): Promise<RawTensor> {
    const { dtype, shape, begin, end } = this.#entry(name);
    // Seek and read in one turn: two reads of one file at a time must not move each other's position.
    return { dtype, shape, bytes: readAt(this.#file, this.path, begin, end - begin) };
  }

  /** Closes the file; what was read stays. */
  close(): void {
    this.#file.close();
  }

  /** Same as {@link SafetensorsFile.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name);
    if (entry) return entry;
    throw new InputError(
      `Cannot read tensor "${name}" of ${this.path}: it has ${counted(this.#entries.size, "other")}`,
    );
  }
}

/**
 * Opens a safetensors file and checks its header; reads no tensor yet.
 *
 * @throws {InputError} If the file is not safetensors or breaks its rules; the message says where and how.
 *
 * @example
 * ```ts
 * import { readSafetensors } from "./safetensors.ts";
 *
 * async function bias(path: string): Promise<Float32Array> {
 *   using file = await readSafetensors(path);
 *   return (await file.read("conv_in.bias")).data;
 * }
 * ```
 */
export async function readSafetensors(path: string): Promise<SafetensorsFile> {
  const file = await reading(path, () => Deno.open(path));
  try {
    const { size } = await file.stat();
    return new SafetensorsFile(path, file, readHeader(file, path, size));
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Options of {@link writeSafetensors}. */
export interface WriteSafetensorsOptions {
  /** Element type in the file; by default `"F32"`. */
  dtype?: "F32" | "F16";
  /** Free text by key. */
  metadata?: Record<string, string>;
}

/**
 * Writes tensors to a safetensors file, one at a time, in order of their names.
 *
 * The file is written as `path` + `.tmp` and renamed when whole, so `path` never names half a file. The same
 * tensors give the same bytes.
 *
 * @param path Where to; the folder must exist.
 * @param tensors Shape and elements by name; one that is read holds memory only while it is written.
 * @param options Element type and metadata.
 * @throws {InputError} If a shape does not fit its data, or a name is the format's own `__metadata__`.
 * @throws {InputError} If a finite value does not fit F16.
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, TensorSource>,
  options: WriteSafetensorsOptions = {},
): Promise<void> {
  const { dtype = "F32", metadata } = options;
  const sorted = [...tensors].sort(([a], [b]) => a < b ? -1 : 1);
  // No prototype, so that a tensor may be called "__proto__".
  const header: Record<string, unknown> = Object.create(null);
  if (metadata) header.__metadata__ = metadata;
  let offset = 0;
  for (const [name, source] of sorted) {
    const { shape } = source;
    if (name === "__metadata__") {
      throw new TypeError(`Cannot write tensor "${name}" to ${path}: the format keeps that name for metadata`);
    }
    if ("data" in source) checkLength(path, name, shape, source.data);
    const end = offset + countElements(shape) * ELEMENT_BYTES[dtype];
    header[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  // Padded so that the tensors start at a multiple of 8 and may be mapped.
  const start = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(start.buffer).setBigUint64(0, BigInt(start.length - 8), true);
  start.set(json, 8);

  const unfinished = `${path}.tmp`;
  await writing(path, async () => {
    {
      using file = await Deno.open(unfinished, { write: true, create: true, truncate: true });
      await writeAll(file, start);
      for (const [name, source] of sorted) {
        const data = "data" in source ? source.data : await source.read();
        checkLength(path, name, source.shape, data);
        await writeAll(file, encode(path, name, data, dtype));
      }
      await file.sync();
    }
    await Deno.rename(unfinished, path);
  });
}

function checkLength(path: string, name: string, shape: readonly number[], data: Float32Array): void {
  if (countElements(shape) === data.length) return;
  throw new InputError(
    `Cannot write tensor "${name}" to ${path}: shape [${shape.join(", ")}] does not hold ${data.length} elements`,
  );
}

interface Header {
  entries: Map<string, Entry>;
  metadata: Record<string, string>;
}

/** Reports a problem of the file. */
type Fail = (problem: string) => never;

/** Reads and checks everything before the tensors' bytes. */
function readHeader(file: Deno.FsFile, path: string, size: number): Header {
  const fail: Fail = (problem) => {
    throw new InputError(`Cannot read ${path} as safetensors: ${problem}`);
  };
  if (size < 8) return fail(`it has ${size} bytes, fewer than the 8 of the header's length`);
  const length = Number(new DataView(readAt(file, path, 0, 8).buffer).getBigUint64(0, true));
  if (length > size - 8) {
    fail(`its header claims ${length} bytes and the file has ${size}, hint: was it downloaded whole?`);
  }
  if (length > HEADER_LIMIT) fail(`its header has ${length} bytes, more than ${HEADER_LIMIT}`);

  let text = "", json: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(readAt(file, path, 8, length));
    json = JSON.parse(text);
  } catch (error) {
    return fail(`its header is not JSON: ${(error as Error).message}`);
  }
  const twice = findDuplicateKey(text);
  if (twice !== undefined) fail(`its header has "${twice}" twice`);
  if (!isRecord(json)) return fail("its header is not a JSON object");

  const entries = new Map<string, Entry>(), data = { begin: 8 + length, end: size };
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(json)) {
    const failAt: Fail = (problem) => fail(`"${name}" ${problem}`);
    if (!isRecord(value)) return failAt("is not a JSON object");
    if (name !== "__metadata__") entries.set(name, readEntry(value, data, failAt));
    else if (isTextByText(value)) metadata = value;
    else return failAt("has a value that is not text");
  }
  checkContiguous(entries, data, fail);
  return { entries, metadata };
}

/** Place of bytes in a file. */
interface Extent {
  readonly begin: number;
  readonly end: number;
}

function readEntry({ dtype, shape, data_offsets: offsets }: Record<string, unknown>, data: Extent, fail: Fail): Entry {
  if (!isDtype(dtype)) {
    const allowed = Object.keys(ELEMENT_BYTES).join(", ");
    return fail(`has dtype ${JSON.stringify(dtype)}: it must be one of ${allowed}`);
  }
  if (!isSizes(shape)) return fail(`has shape ${JSON.stringify(shape)}: it must be a list of integers, 0 or more`);
  if (!isSizes(offsets) || offsets.length !== 2) {
    return fail(`has data_offsets ${JSON.stringify(offsets)}: they must be two integers, 0 or more`);
  }
  const [begin, end] = offsets as [number, number];
  const bytes = countElements(shape) * ELEMENT_BYTES[dtype];
  if (end - begin !== bytes) {
    fail(`takes ${bytes} bytes as ${dtype} [${shape.join(", ")}], its data_offsets [${begin}, ${end}] do not`);
  }
  if (data.begin + end > data.end) {
    fail(`ends at byte ${data.begin + end} and the file has ${data.end}, hint: was it downloaded whole?`);
  }
  return { dtype, shape, begin: data.begin + begin, end: data.begin + end };
}

/** Checks that the tensors fill the file, one after the other. */
function checkContiguous(entries: ReadonlyMap<string, Entry>, data: Extent, fail: Fail): void {
  let end = data.begin, before = "the header";
  for (const [name, entry] of [...entries].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)) {
    if (entry.begin !== end) {
      const what = entry.begin < end ? "overlaps" : "leaves a hole behind";
      fail(`"${name}" ${what} ${before}: it starts at byte ${entry.begin}, not at ${end}`);
    }
    end = entry.end;
    before = `"${name}"`;
  }
  if (end !== data.end) fail(`its tensors end at byte ${end} and the file has ${data.end}`);
}

/** A key that an object of this valid JSON text has twice, which `JSON.parse` would pass over. */
function findDuplicateKey(text: string): string | undefined {
  // One set of keys for each open object, nothing for each open list.
  const open: (Set<string> | undefined)[] = [];
  for (const { 0: token, index } of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|[{}[\]]/g)) {
    if (token === "{") open.push(new Set());
    else if (token === "[") open.push(undefined);
    else if (token === "}" || token === "]") open.pop();
    else if (token.endsWith(":")) {
      const key = JSON.parse(text.slice(index, index + token.lastIndexOf('"') + 1));
      const keys = open.at(-1);
      if (keys?.has(key)) return key;
      keys?.add(key);
    }
  }
  return undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTextByText(value: Record<string, unknown>): value is Record<string, string> {
  return Object.values(value).every((text) => typeof text === "string");
}

function isDtype(value: unknown): value is SafetensorsDtype {
  return typeof value === "string" && Object.hasOwn(ELEMENT_BYTES, value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
}

function encode(path: string, name: string, data: Float32Array, dtype: "F32" | "F16"): Uint8Array {
  if (dtype === "F32") return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const halves = new Float16Array(data);
  const i = halves.findIndex((half, i) => Math.abs(half) === Infinity && Number.isFinite(data[i]));
  if (i >= 0) {
    throw new InputError(`Cannot write tensor "${name}" to ${path} as F16: element ${i} is ${data[i]}, beyond 65504`, {
      hint: "use F32",
    });
  }
  return new Uint8Array(halves.buffer);
}
