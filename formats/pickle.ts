/**
 * Reads Python's pickles of plain data: numbers, strings, lists, tuples, dictionaries and sets.
 *
 * A pickle is a program for a small stack machine, and Python's own reader runs any function that it names. This one
 * runs nothing: a name stands for an entry of a table, and a name that is not in the table is refused. What comes out
 * are `Map` for dictionaries, arrays for lists, tuples and sets, `Uint8Array`, numbers (`bigint` where they are too
 * large), strings, booleans and null, and what the table's entries make.
 *
 * The instructions are those that protocols 2 to 4 use for such data; memory grows with the pickle, not with what it claims.
 *
 * Source: CPython 3.12, Lib/pickletools.py.
 *
 * @module
 */

import { InputError } from "./input_error.ts";

/** What a name in a pickle stands for. */
export interface PickleGlobal {
  /** What a call of it gives; without, it may not be called. */
  readonly call?: (args: readonly unknown[]) => unknown;
}

/** What a pickle may use. */
export interface PickleOptions {
  /** By `module.name`. */
  readonly globals: ReadonlyMap<string, PickleGlobal>;
  /** What a persistent id stands for, such as a tensor's storage. */
  readonly persistent: (id: unknown) => unknown;
}

/** A pickle that is damaged, or asks for what is not allowed. */
export class PickleError extends InputError {
  override readonly name = "PickleError";
}

/** The longest integer that is read, in bytes. */
const INTEGER_LIMIT = 64;

/** Type of a number of numpy, such as `f8`. */
class NumpyType {
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
  i8: (view) => plain(view.getBigInt64(0, true)),
  u1: (view) => view.getUint8(0),
  u2: (view) => view.getUint16(0, true),
  u4: (view) => view.getUint32(0, true),
  u8: (view) => plain(view.getBigUint64(0, true)),
};

/** Containers and numbers that Python makes by a call. */
const PLAIN: ReadonlyMap<string, PickleGlobal> = new Map(Object.entries<PickleGlobal>({
  "collections.OrderedDict": { call: (args) => dictionary("OrderedDict", args) },
  "collections.Counter": { call: (args) => dictionary("Counter", args) },
  "__builtin__.set": { call: set },
  "builtins.set": { call: set },
  "_codecs.encode": {
    call([text, encoding]) {
      if (typeof text !== "string" || encoding !== "latin1" || text.length > 8 || /[^\0-\xff]/.test(text)) {
        throw new PickleError("_codecs.encode is known for the bytes of one number in latin1 only");
      }
      return Uint8Array.from(text, (char) => char.charCodeAt(0));
    },
  },
  "numpy.dtype": {
    call([code]) {
      if (typeof code === "string" && Object.hasOwn(NUMPY, code)) return new NumpyType(code);
      throw new PickleError(`numpy.dtype ${show(code)} is no plain number`);
    },
  },
  "numpy.core.multiarray.scalar": { call: numpyScalar },
  "numpy._core.multiarray.scalar": { call: numpyScalar },
}));

/**
 * Reads a pickle.
 *
 * @throws {PickleError} If it is damaged, or uses a name or an instruction that is not allowed; which one is said.
 */
export function unpickle(bytes: Uint8Array<ArrayBuffer>, { globals, persistent }: PickleOptions): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  // PyTorch's own names first, so that a caller can narrow none of the plain ones by accident.
  const known = (name: string) => globals.get(name) ?? PLAIN.get(name);
  const memo = new Map<number, unknown>();
  /** What lies below each open mark. */
  const below: unknown[][] = [];
  let stack: unknown[] = [];
  let at = 0, begin = 0;

  const fail = (problem: string): never => {
    throw new PickleError(`${problem}, at byte ${begin}`);
  };
  const take = (length: number): number => {
    if (length > bytes.length - at) fail(`it ends within ${length} bytes`);
    at += length;
    return at - length;
  };
  const pop = (): unknown => stack.length ? stack.pop() : fail("nothing is on its stack");
  const top = (): unknown => stack.length ? stack.at(-1) : fail("nothing is on its stack");
  const popMark = (): unknown[] => {
    const items = stack;
    stack = below.pop() ?? fail("no mark is on its stack");
    return items;
  };
  const popMany = (count: number): unknown[] => {
    if (stack.length < count) fail("too little is on its stack");
    return stack.splice(stack.length - count, count);
  };
  const string = (length: number): string => {
    const from = take(length);
    try {
      return text.decode(bytes.subarray(from, at));
    } catch {
      return fail("a string is not UTF-8");
    }
  };
  const line = (): string => {
    const length = bytes.indexOf(10, at) - at;
    if (length < 0) fail("a line does not end");
    const value = string(length);
    at++;
    return value;
  };
  const long = (length: number): number => {
    const size = take(8);
    const value = Number(view.getBigUint64(size, true));
    return value > length ? fail(`it ends within ${value} bytes`) : value;
  };
  const binary = (length: number): Uint8Array => bytes.slice(take(length), at);
  const integer = (length: number): number | bigint => {
    if (length > INTEGER_LIMIT) fail(`an integer has ${length} bytes, more than ${INTEGER_LIMIT}`);
    const from = take(length);
    let value = 0n;
    for (let k = length - 1; k >= 0; k--) value = value << 8n | BigInt(bytes[from + k]!);
    return plain(BigInt.asIntN(8 * length, value));
  };
  const find = (module: string, name: string): PickleGlobal & { readonly label: string } => {
    const label = `${module}.${name}`;
    const found = known(label) ??
      fail(`it calls for ${show(label)}, which is neither a tensor nor a plain container: nothing of it was run`);
    return { ...found, label };
  };
  const remember = (index: number) => memo.set(index, top());
  const recall = (index: number) =>
    memo.has(index) ? memo.get(index) : fail(`it recalls ${index}, which it never kept`);
  const list = (value: unknown): unknown[] => Array.isArray(value) ? value : fail("it appends to what is no list");
  const put = (target: unknown, items: readonly unknown[]) => {
    if (!(target instanceof Map)) return fail("it sets a key of what is no dictionary");
    if (items.length % 2) return fail("a key has no value");
    for (let k = 0; k < items.length; k += 2) {
      if (target.has(items[k])) return fail(`a dictionary has the key ${show(items[k])} twice`);
      target.set(items[k], items[k + 1]);
    }
  };

  for (;;) {
    if (at >= bytes.length) fail("it does not end");
    begin = at;
    const code = bytes[at++]!;
    switch (code) {
      case 0x80: { // PROTO
        const protocol = bytes[take(1)]!;
        if (protocol > 5) fail(`it is of protocol ${protocol}`);
        break;
      }
      case 0x95: // FRAME
        take(8);
        break;
      case 0x2e: // STOP
        return pop();
      case 0x28: // MARK
        below.push(stack);
        stack = [];
        break;
      case 0x30: // POP
        pop();
        break;
      case 0x31: // POP_MARK
        popMark();
        break;
      case 0x4e: // NONE
        stack.push(null);
        break;
      case 0x88: // NEWTRUE
        stack.push(true);
        break;
      case 0x89: // NEWFALSE
        stack.push(false);
        break;
      case 0x4a: // BININT
        stack.push(view.getInt32(take(4), true));
        break;
      case 0x4b: // BININT1
        stack.push(bytes[take(1)]);
        break;
      case 0x4d: // BININT2
        stack.push(view.getUint16(take(2), true));
        break;
      case 0x8a: // LONG1
        stack.push(integer(bytes[take(1)]!));
        break;
      case 0x47: // BINFLOAT
        stack.push(view.getFloat64(take(8)));
        break;
      case 0x58: // BINUNICODE
        stack.push(string(view.getUint32(take(4), true)));
        break;
      case 0x8c: // SHORT_BINUNICODE
        stack.push(string(bytes[take(1)]!));
        break;
      case 0x8d: // BINUNICODE8
        stack.push(string(long(bytes.length)));
        break;
      case 0x42: // BINBYTES
        stack.push(binary(view.getUint32(take(4), true)));
        break;
      case 0x43: // SHORT_BINBYTES
        stack.push(binary(bytes[take(1)]!));
        break;
      case 0x5d: // EMPTY_LIST
      case 0x29: // EMPTY_TUPLE
      case 0x8f: // EMPTY_SET
        stack.push([]);
        break;
      case 0x7d: // EMPTY_DICT
        stack.push(new Map());
        break;
      case 0x74: // TUPLE
      case 0x6c: { // LIST
        const items = popMark();
        stack.push(items);
        break;
      }
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        stack.push(popMany(code - 0x84));
        break;
      case 0x61: { // APPEND
        const item = pop();
        list(top()).push(item);
        break;
      }
      case 0x65: // APPENDS
      case 0x90: { // ADDITEMS
        const items = popMark();
        const target = list(top());
        for (const item of items) target.push(item);
        break;
      }
      case 0x73: { // SETITEM
        const items = popMany(2);
        put(top(), items);
        break;
      }
      case 0x75: { // SETITEMS
        const items = popMark();
        put(top(), items);
        break;
      }
      case 0x71: // BINPUT
        remember(bytes[take(1)]!);
        break;
      case 0x72: // LONG_BINPUT
        remember(view.getUint32(take(4), true));
        break;
      case 0x94: // MEMOIZE
        remember(memo.size);
        break;
      case 0x68: // BINGET
        stack.push(recall(bytes[take(1)]!));
        break;
      case 0x6a: // LONG_BINGET
        stack.push(recall(view.getUint32(take(4), true)));
        break;
      case 0x63: { // GLOBAL
        const module = line();
        stack.push(find(module, line()));
        break;
      }
      case 0x69: { // INST, which names what it calls
        const module = line();
        find(module, line());
        fail("it makes an instance");
        break;
      }
      case 0x93: { // STACK_GLOBAL
        const [module, name] = popMany(2);
        if (typeof module !== "string" || typeof name !== "string") fail("a name is no text");
        stack.push(find(module as string, name as string));
        break;
      }
      case 0x52: // REDUCE
      case 0x81: { // NEWOBJ
        const [callee, args] = popMany(2) as [Partial<ReturnType<typeof find>> | null, unknown];
        if (!Array.isArray(args)) fail("it calls without a list of arguments");
        if (typeof callee?.label !== "string") fail("it calls what is no name");
        if (!callee!.call) fail(`it calls ${callee!.label}, which is a value here`);
        try {
          stack.push(callee!.call!(args as unknown[]));
        } catch (error) {
          if (!(error instanceof PickleError)) throw error;
          fail(error.message);
        }
        break;
      }
      case 0x62: { // BUILD
        const state = pop();
        const target = top();
        if (target instanceof NumpyType && Array.isArray(state)) {
          if (state[1] !== "<" && state[1] !== "|") fail(`a number has the byte order ${show(state[1])}`);
        } else if (!(target instanceof Map && state instanceof Map)) {
          // Attributes of a dictionary, such as the versions of modules, say nothing that is needed.
          fail("it sets the state of what is no dictionary");
        }
        break;
      }
      case 0x51: { // BINPERSID
        const id = pop();
        try {
          stack.push(persistent(id));
        } catch (error) {
          if (!(error instanceof PickleError)) throw error;
          fail(error.message);
        }
        break;
      }
      default:
        fail(`it has the instruction 0x${code.toString(16).padStart(2, "0")}, which plain data does not need`);
    }
  }
}

function plain(value: bigint): number | bigint {
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

function set(args: readonly unknown[]): unknown[] {
  const [items = [], ...rest] = args;
  if (rest.length || !Array.isArray(items)) throw new PickleError("set is known with a list or nothing only");
  return items;
}

function numpyScalar([type, bytes]: readonly unknown[]): number | bigint | boolean {
  if (type instanceof NumpyType && bytes instanceof Uint8Array && bytes.length === Number(type.code.slice(1))) {
    return NUMPY[type.code]!(new DataView(bytes.buffer, bytes.byteOffset));
  }
  throw new PickleError("a number of numpy is not its type and bytes");
}

/** A value in a message, which a hostile file must not make long. */
export function show(value: unknown): string {
  const text = typeof value === "string" ? value : typeof value === "object" ? "object" : String(value);
  const short = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return typeof value === "string" ? JSON.stringify(short) : short;
}
