/**
 * Names that any pickle of plain data may use: containers and numbers that Python makes by a call.
 *
 * @module
 */

import { type ErrorCode, InputError } from "./input_error.ts";

/** Meaning of a name in a pickle. */
export interface PickleGlobal {
  /** Result of a call; without it the name may not be called. */
  readonly call?: (args: readonly unknown[]) => unknown;
}

/**
 * An object of a class, or a result of a function, that is not known here: its name, what was put into it as into a
 * dictionary, and its attributes. Nothing was run to make it.
 */
export class PickledObject {
  /** Items, as a subclass of a dictionary has them; undefined for none. */
  items: Map<unknown, unknown> | undefined = undefined;
  /** Attributes; not a dictionary for classes that keep their state in another way. */
  state: unknown = undefined;

  /** @param label Name of the class or function, `module.name`. */
  constructor(readonly label: string) {}
}

/** A pickle that is damaged, or asks for what is not allowed. */
export class PickleError extends InputError {
  override readonly name = "PickleError";
  /** See {@linkcode InputError}. */
  override readonly code: ErrorCode = "format";
}

/** Type of a number of numpy, such as `f8`. */
export class NumpyType {
  /** @param code Kind and bytes, such as `f8`; little-endian. */
  constructor(readonly code: string) {}
}

const NUMPY: Readonly<Record<string, (view: DataView) => number | bigint | boolean>> = {
  b1: (view) => view.getUint8(0) !== 0,
  f2: (view) => view.getFloat16(0, true),
  f4: (view) => view.getFloat32(0, true),
  f8: (view) => view.getFloat64(0, true),
  i1: (view) => view.getInt8(0),
  i2: (view) => view.getInt16(0, true),
  i4: (view) => view.getInt32(0, true),
  i8: (view) => integer(view.getBigInt64(0, true)),
  u1: (view) => view.getUint8(0),
  u2: (view) => view.getUint16(0, true),
  u4: (view) => view.getUint32(0, true),
  u8: (view) => integer(view.getBigUint64(0, true)),
};

/** Modules of Python that run programs and code or reach the network: an object of theirs is in no checkpoint. */
const RUNS =
  /^(os|posix|nt|sys|subprocess|commands|shutil|socket|ssl|pty|runpy|importlib|imp|code|codeop|ctypes|pdb|bdb|timeit|webbrowser|urllib|urllib2|http|httplib|ftplib|requests|aiohttp|asyncio|multiprocessing|pickle|_pickle|marshal|pip|venv)(\.|$)/;
/** Functions of the same kind that every program of Python has. */
const RUNNERS = new Set([
  "eval",
  "exec",
  "execfile",
  "compile",
  "open",
  "getattr",
  "apply",
  "breakpoint",
  "__import__",
]);

/** True if a name is of a function that runs code: it is never run here, and a file that names it is to be distrusted. */
export function runsCode(module: string, name: string): boolean {
  return RUNS.test(module) || /^(__builtin__|builtins)$/.test(module) && RUNNERS.has(name);
}

/** Containers and numbers that Python makes by a call. */
export const PICKLE_GLOBALS: ReadonlyMap<string, PickleGlobal> = new Map(Object.entries<PickleGlobal>({
  "collections.OrderedDict": { call: (args) => dictionary("OrderedDict", args) },
  "collections.Counter": { call: (args) => dictionary("Counter", args) },
  // Its first argument makes values of keys that are missing; it is not called here.
  "collections.defaultdict": { call: () => new Map() },
  "__builtin__.set": { call: set },
  "builtins.set": { call: set },
  "builtins.frozenset": { call: set },
  "_codecs.encode": {
    call([text, encoding]) {
      // Bytes of more than a number are those of an array.
      if (typeof text !== "string" || encoding !== "latin1" || text.length > 8 || /[^\0-\xff]/.test(text)) {
        return new PickledObject("_codecs.encode");
      }
      return Uint8Array.from(text, (char) => char.charCodeAt(0));
    },
  },
  "numpy.dtype": {
    call: ([code]) =>
      typeof code === "string" && Object.hasOwn(NUMPY, code) ? new NumpyType(code) : new PickledObject("numpy.dtype"),
  },
  "copyreg._reconstructor": { call: ([type]) => new PickledObject(labelOf(type)) },
  "copy_reg._reconstructor": { call: ([type]) => new PickledObject(labelOf(type)) },
  "numpy.core.multiarray.scalar": { call: numpyScalar },
  "numpy._core.multiarray.scalar": { call: numpyScalar },
}));

/** An integer: a number where that is exact. */
export function integer(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function dictionary(name: string, args: readonly unknown[]): Map<unknown, unknown> {
  const [first, ...rest] = args;
  if (rest.length || (first !== undefined && !(first instanceof Map))) {
    throw new PickleError(`${name} is known with a dictionary or nothing only`);
  }
  // Not a copy: a short pickle could ask for many of a long dictionary.
  return first ?? new Map();
}

function set(args: readonly unknown[]): unknown {
  const [items = [], ...rest] = args;
  if (items instanceof PickledObject) return items;
  if (rest.length || !Array.isArray(items)) throw new PickleError("set is known with a list or nothing only");
  return items;
}

/** Name of a class or function. */
export function labelOf(value: unknown): string {
  const label = (value as { label?: unknown } | null)?.label;
  return typeof label === "string" ? label : show(value);
}

function numpyScalar([type, bytes]: readonly unknown[]): number | bigint | boolean | PickledObject {
  if (type instanceof PickledObject || bytes instanceof PickledObject) return new PickledObject("numpy.scalar");
  if (type instanceof NumpyType && bytes instanceof Uint8Array && bytes.length === Number(type.code.slice(1))) {
    const read = NUMPY[type.code];
    if (read) return read(new DataView(bytes.buffer, bytes.byteOffset));
  }
  throw new PickleError("a number of numpy is not its type and bytes");
}

/** A value in a message, which a hostile file must not make long. */
export function show(value: unknown): string {
  const text = typeof value === "string" ? value : typeof value === "object" ? "object" : String(value);
  const short = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return typeof value === "string" ? JSON.stringify(short) : short;
}
