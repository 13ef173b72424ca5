/**
 * Reads checkpoints that PyTorch wrote (`.ckpt`, `.pth`, `.bin`, `.pkl`): a zip archive of a pickle and of raw storages.
 *
 *     NAME/data.pkl          dictionaries and lists, in which a tensor is a storage's key, an offset, sizes and strides
 *     NAME/data/KEY          bytes of a storage
 *     NAME/byteorder         "little"; not there in files of old versions
 *
 * Tensors of all levels have names: the keys on the way to them, joined by dots. They are read when asked for. Attributes
 * of objects are keys too, so that a module that was saved whole has the names of its state; `_parameters`, `_buffers` and
 * `_modules` add nothing to a name. All else is left out.
 *
 * Nothing that a file names is run ({@linkcode unpickle}); a tensor must lie within its storage and a storage be as long as
 * its entry, and entries are checked against their checksums where the writer made some.
 *
 * Easy to get wrong:
 * - tensors may share a storage, be cut out of it, transposed or repeated (a stride of 0): strides count, not only sizes;
 * - what stands beside the weights may be anything, hold itself, and be of classes that nobody has;
 * - files of PyTorch before 1.6 are no archives, and not read.
 *
 * Source: PyTorch 2.13, torch/serialization.py and caffe2/serialize/inline_container.cc.
 *
 * @module
 */

import { counted } from "./numbers.ts";
import { crc32 } from "./crc32.ts";
import { countElements, ELEMENT_BYTES, readFloat32, type SafetensorsDtype, toFloat32 } from "./elements.ts";
import { readAt, reading } from "./files.ts";
import { InputError } from "./input_error.ts";
import { unpickle } from "./pickle.ts";
import { labelOf, PickledObject, PickleError, type PickleGlobal, show } from "./pickle_globals.ts";
import type { RawTensor, SafetensorsInfo, TensorData } from "./safetensors.ts";
import { readZipDirectory, type ZipEntry } from "./zip.ts";

/** The longest pickle that is read, in bytes; that of Stable Diffusion with its optimizer has about one million. */
const PICKLE_LIMIT = 8_000_000;
/** Limits that no checkpoint of a network comes near: of names, nested containers, characters of a name and dimensions. */
const LIMITS = { visits: 1_000_000, depth: 32, name: 1000, dimensions: 16 } as const;
/** Most elements of a tensor that has more than its storage, by repeating some: 128 MiB as f32. */
const REPEATED_LIMIT = 1 << 25;
/** Most objects that are named among what is left out. */
const OBJECTS_LIMIT = 100;

const STORAGES: Readonly<Record<string, SafetensorsDtype>> = {
  BFloat16Storage: "BF16",
  BoolStorage: "BOOL",
  ByteStorage: "U8",
  CharStorage: "I8",
  DoubleStorage: "F64",
  FloatStorage: "F32",
  HalfStorage: "F16",
  IntStorage: "I32",
  LongStorage: "I64",
  ShortStorage: "I16",
};

/** Names that stand in published checkpoints as values or keys, and are never called. */
const VALUES = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]
  .map((name) => `torch.${name}`);
/** Attributes of a module that its parameters' names do not have. */
const MODULE_PARTS = new Set<unknown>(["_parameters", "_buffers", "_modules"]);

/** The bytes of one or several tensors. */
interface Storage {
  readonly dtype: SafetensorsDtype;
  readonly entry: ZipEntry;
  /** Number of elements. */
  readonly length: number;
}

/** A tensor as the pickle describes it. */
class Described {
  constructor(
    readonly storage: Storage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {}
}

/**
 * An open checkpoint of PyTorch, whose tensors are read when asked for.
 *
 * Made by {@link readTorchArchive}; close it, or declare it with `using`.
 */
export class TorchArchive implements Disposable {
  /** Path of the file. */
  readonly path: string;
  readonly #file: Deno.FsFile;
  readonly #tensors: ReadonlyMap<string, Described>;
  /** Objects without a tensor in them: classes by the keys on the way to them. */
  readonly objects: ReadonlyMap<string, string>;

  /** Takes over an open file and its checked contents; use {@link readTorchArchive}. */
  constructor(
    path: string,
    file: Deno.FsFile,
    { tensors, objects }: { tensors: ReadonlyMap<string, unknown>; objects: ReadonlyMap<string, string> },
  ) {
    this.path = path;
    this.#file = file;
    this.#tensors = tensors as ReadonlyMap<string, Described>;
    this.objects = objects;
  }

  /** Names of the tensors, in the order of the file. */
  get names(): string[] {
    return [...this.#tensors.keys()];
  }

  /** True if there is a tensor of that name. */
  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /**
   * Element type and shape of a tensor.
   *
   * @throws {InputError} If there is none of that name.
   */
  info(name: string): SafetensorsInfo {
    const { storage: { dtype }, shape } = this.#tensor(name);
    return { dtype, shape };
  }

  /**
   * Reads a tensor as f32, whatever its type in the file: the nearest f32, and 0 or 1 for BOOL.
   *
   * @throws {InputError} If there is none of that name, or the file was cut short since it was opened.
   * @throws {InputError} If its bytes do not have the checksum of the archive.
   */
  // deno-lint-ignore require-await
  async read(name: string): Promise<TensorData> {
    const { storage: { dtype }, shape, strides } = this.#tensor(name);
    if (!isDense(shape, strides)) return { shape: [...shape], data: toFloat32(dtype, this.#readRaw(name).buffer) };
    const { range, seen, check } = this.#span(name);
    const data = readFloat32(this.#file, this.path, dtype, range, seen);
    check();
    return { shape: [...shape], data };
  }

  /** Reads a tensor's elements as they are, row-major; throws as {@link TorchArchive.read} does. */
  // deno-lint-ignore require-await
  async readRaw(name: string): Promise<RawTensor> {
    const { storage: { dtype }, shape } = this.#tensor(name);
    return { dtype, shape, bytes: this.#readRaw(name) };
  }

  #readRaw(name: string): Uint8Array<ArrayBuffer> {
    const { storage: { dtype }, shape, strides } = this.#tensor(name);
    const { range: [begin, end], seen, check } = this.#span(name);
    const bytes = readAt(this.#file, this.path, begin, end - begin);
    seen(bytes);
    check();
    return isDense(shape, strides) ? bytes : gather(bytes, ELEMENT_BYTES[dtype], shape, strides);
  }

  /** Bytes of the file that a tensor's elements lie in, and their checksum as they are read. */
  #span(name: string) {
    const { storage: { dtype, entry, length }, offset, shape, strides } = this.#tensor(name);
    const size = ELEMENT_BYTES[dtype];
    const span = countElements(shape) ? spanOf(shape, strides) : 0;
    const begin = entry.begin + offset * size;
    let crc = 0;
    return {
      range: [begin, begin + span * size] as const,
      seen: (bytes: Uint8Array) => void (crc = crc32(bytes, crc)),
      check: () => {
        // A part of a storage has no checksum of its own.
        if (span !== length || !entry.crc || crc === entry.crc) return;
        throw new InputError(
          `Cannot read tensor "${name}" of ${this.path}: its bytes do not have the archive's checksum`,
          { hint: "copy the file again" },
        );
      },
    };
  }

  /** Closes the file; what was read stays. */
  close(): void {
    this.#file.close();
  }

  /** Same as {@link TorchArchive.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #tensor(name: string): Described {
    const tensor = this.#tensors.get(name);
    if (tensor) return tensor;
    throw new InputError(
      `Cannot read tensor "${name}" of ${this.path}: it has ${counted(this.#tensors.size, "other")}`,
    );
  }
}

/**
 * Opens a checkpoint of PyTorch and checks all of it but the tensors' bytes; reads no tensor yet.
 *
 * @throws {InputError} If the file is no such archive, is damaged, holds no tensor or asks for code to be run; the message says
 *   where and how.
 */
export async function readTorchArchive(path: string): Promise<TorchArchive> {
  const file = await reading(path, () => Deno.open(path));
  const fail = (problem: string): never => {
    throw new InputError(`Cannot read ${path} as a PyTorch checkpoint: ${problem}`);
  };
  try {
    const { size } = await file.stat();
    const entries = readZipDirectory(file, path, size, fail);
    const pickles = [...entries].filter(([name]) => /^[^/]+\/data\.pkl$/.test(name));
    const [pickle] = pickles;
    if (!pickle || pickles.length > 1) return fail(`it has ${pickles.length} entries NAME/data.pkl, not one`);
    const folder = pickle[0].slice(0, -"data.pkl".length);
    const read = (name: string, entry: ZipEntry): Uint8Array<ArrayBuffer> => {
      if (entry.size > PICKLE_LIMIT) fail(`entry "${name}" has ${entry.size} bytes, more than ${PICKLE_LIMIT}`);
      const bytes = readAt(file, path, entry.begin, entry.size);
      if (entry.crc && crc32(bytes) !== entry.crc) fail(`entry "${name}" does not have its checksum`);
      return bytes;
    };
    const byteOrder = entries.get(`${folder}byteorder`);
    if (byteOrder) {
      const order = new TextDecoder().decode(read(`${folder}byteorder`, byteOrder));
      if (order !== "little") fail(`its byte order is ${show(order)}: only little-endian files are read`);
    }
    try {
      const root = unpickle(read(...pickle), {
        globals: GLOBALS,
        persistent: (id) => storageOf(id, entries, folder),
      });
      return new TorchArchive(path, file, nameTensors(root));
    } catch (error) {
      if (error instanceof PickleError) fail(`in data.pkl, ${error.message}`);
      throw error;
    }
  } catch (error) {
    file.close();
    throw error;
  }
}

const GLOBALS: ReadonlyMap<string, PickleGlobal> = new Map<string, PickleGlobal>([
  ...VALUES.map((name) => [name, {}] as const),
  ...Object.keys(STORAGES).map((name) => [`torch.${name}`, {}] as const),
  ["torch._utils._rebuild_tensor_v2", { call: describe }],
  ["torch._utils._rebuild_parameter", { call: ([data]) => data }],
  ["torch._utils._rebuild_parameter_with_state", { call: ([data]) => data }],
  // A subclass of a tensor: the function, the class, the function's arguments and a state.
  ["torch._tensor._rebuild_from_type_v2", {
    call: ([make, , args]) => {
      const { call } = (make ?? {}) as PickleGlobal;
      return call && Array.isArray(args) ? call(args) : new PickledObject(labelOf(make));
    },
  }],
  ["torch.Size", { call: ([sizes]) => sizes }],
  ["torch.device", { call: ([name]) => name }],
]);

/** The storage of a persistent id, `("storage", type, key, location, elements)`; an object for one of a type that is not read. */
function storageOf(id: unknown, entries: ReadonlyMap<string, ZipEntry>, folder: string): Storage | PickledObject {
  const [kind, type, key, , length] = Array.isArray(id) ? id : [];
  const label = labelOf(type);
  const name = label.replace(/^torch\./, "");
  if (kind !== "storage" || !label.startsWith("torch.") || typeof key !== "string" || !isSize(length)) {
    throw new PickleError("a persistent id is no storage of PyTorch");
  }
  const dtype = Object.hasOwn(STORAGES, name) ? STORAGES[name] : undefined;
  if (!dtype) return new PickledObject(label);
  const entry = entries.get(`${folder}data/${key}`);
  if (!entry) throw new PickleError(`storage ${show(key)} is not in the archive`);
  if (entry.size !== length * ELEMENT_BYTES[dtype]) {
    throw new PickleError(`storage ${show(key)} has ${entry.size} bytes, which are not ${length} elements of ${dtype}`);
  }
  return { dtype, entry, length };
}

/** A tensor from the arguments of PyTorch's own function: storage, offset, sizes, strides, and more that says nothing. */
function describe([storage, offset, shape, strides]: readonly unknown[]): Described | PickledObject {
  if (storage instanceof PickledObject) return new PickledObject(storage.label);
  const isStorage = typeof storage === "object" && storage !== null && "entry" in storage;
  if (!isStorage || !isSize(offset) || !isSizes(shape) || !isSizes(strides) || shape.length !== strides.length) {
    throw new PickleError("a tensor is not made of a storage, an offset, sizes and strides");
  }
  const { length, dtype } = storage as Storage;
  const [count, span] = [countElements(shape), spanOf(shape, strides)];
  if (count > Math.max(length, REPEATED_LIMIT) || (count > 0 && offset + span > length)) {
    const what = `a tensor of ${dtype} [${shape.join(", ")}] with strides [${strides.join(", ")}]`;
    throw new PickleError(`${what} at ${offset} does not lie in its storage of ${length} elements`);
  }
  // Copied, as the pickle may go on to change its lists.
  return new Described(storage as Storage, offset, [...shape], [...strides]);
}

/** Elements of a storage from a tensor's first to its last. */
function spanOf(shape: readonly number[], strides: readonly number[]): number {
  return shape.reduce((last, size, k) => last + (size - 1) * strides[k]!, 0) + 1;
}

/** True if elements lie one after the other, row-major. */
function isDense(shape: readonly number[], strides: readonly number[]): boolean {
  let next = 1;
  for (const [k, size] of [...shape.entries()].reverse()) {
    if (size !== 1 && strides[k] !== next) return false;
    next *= size;
  }
  return true;
}

/** Brings the elements of a tensor into their order. */
function gather(
  bytes: Uint8Array<ArrayBuffer>,
  size: number,
  shape: readonly number[],
  strides: readonly number[],
): Uint8Array<ArrayBuffer> {
  const Words = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array }[size]!;
  const from = new Words(bytes.buffer);
  const to = new Words(countElements(shape));
  const innermostFirst = shape.map((size, d) => ({ size, stride: strides[d]!, place: 0 })).reverse();
  for (let k = 0, at = 0; k < to.length; k++) {
    to[k] = from[at]!;
    for (const axis of innermostFirst) {
      at += axis.stride;
      if (++axis.place < axis.size) break;
      at -= axis.stride * axis.size;
      axis.place = 0;
    }
  }
  return new Uint8Array(to.buffer);
}

/** All tensors below a value by the keys on the way joined by dots, and the objects that have none in them. */
function nameTensors(root: unknown): { tensors: Map<string, Described>; objects: Map<string, string> } {
  const tensors = new Map<string, Described>(), objects = new Map<string, string>();
  const path = new Set<unknown>();
  let visits = 0;
  const visit = (value: unknown, name: string, depth: number, inObject: boolean) => {
    if (++visits > LIMITS.visits) throw new PickleError(`its containers hold more than ${LIMITS.visits} values`);
    if (value instanceof Described) {
      if (tensors.has(name)) throw new PickleError(`two tensors are called ${show(name)}`);
      tensors.set(name, value);
      return;
    }
    const isObject = value instanceof PickledObject;
    // Objects may hold themselves and be of any depth: no weights are sought there.
    if (inObject && (path.has(value) || depth > LIMITS.depth)) return;
    const before = tensors.size;
    path.add(value);
    for (const [key, child] of isObject ? attributesOf(value) : entriesOf(value)) {
      if (typeof child !== "object") continue;
      if (depth === LIMITS.depth && !inObject) {
        throw new PickleError(`containers lie more than ${depth} deep in each other`);
      }
      const label = typeof key === "string" ? key : labelOf(key);
      const full = isObject && MODULE_PARTS.has(key) ? name : name === "" ? label : `${name}.${label}`;
      if (full.length > LIMITS.name) throw new PickleError(`the name ${show(full)} has ${full.length} characters`);
      visit(child, full, depth + 1, inObject || isObject);
    }
    path.delete(value);
    if (isObject && !inObject && tensors.size === before && objects.size < OBJECTS_LIMIT) {
      objects.set(name, value.label);
    }
  };
  visit(root, "", 0, false);
  if (!tensors.size) {
    const few = [...objects].slice(0, 3).map(([name, label]) => `${show(name)}, which is ${show(label)}`);
    throw new PickleError(`it holds no tensor that can be read${few.length ? `, but ${few.join("; ")}` : ""}`);
  }
  return { tensors, objects };
}

function entriesOf(value: unknown): Iterable<[unknown, unknown]> {
  return value instanceof Map || Array.isArray(value) ? value.entries() : [];
}

function* attributesOf({ items, state }: PickledObject): Iterable<[unknown, unknown]> {
  if (items) yield* items;
  if (state instanceof Map) yield* state;
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= LIMITS.dimensions && value.every(isSize);
}
