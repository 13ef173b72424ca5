/**
 * Reads Python's pickles as data: numbers, strings, lists, tuples, dictionaries and sets, and names of other objects.
 *
 * A pickle is a program for a small stack machine, and Python's own reader runs any function that it names. This one
 * runs nothing: a name stands for an entry of a table, and an object of any other name becomes a {@linkcode PickledObject},
 * of which only the name, items and attributes are kept. Names that run code are refused all the same, as no checkpoint has
 * them. The values are `Map` for dictionaries, arrays for lists, tuples and sets, `Uint8Array`, numbers (`bigint` where
 * they are too large), strings, booleans and null, and what the table's entries make.
 *
 * The instructions are those that protocols 2 to 5 use; memory grows with the pickle, not with what it claims.
 *
 * Source: CPython 3.12, Lib/pickletools.py.
 *
 * @module
 */

import {
  integer,
  labelOf,
  NumpyType,
  PICKLE_GLOBALS,
  PickledObject,
  PickleError,
  type PickleGlobal,
  runsCode,
  show,
} from "./pickle_globals.ts";

/** Names and ids that a pickle may use. */
export interface PickleOptions {
  /** Meanings of names, by `module.name`. */
  readonly globals: ReadonlyMap<string, PickleGlobal>;
  /** Value of a persistent id, such as a tensor's storage. */
  readonly persistent: (id: unknown) => unknown;
}

/** The longest integer that is read, in bytes. */
const INTEGER_LIMIT = 64;

/**
 * Reads a pickle.
 *
 * @throws {PickleError} If it is damaged, or has a name that runs code or an instruction that is not known; it is named.
 */
export function unpickle(bytes: Uint8Array<ArrayBuffer>, options: PickleOptions): unknown {
  return new Machine(bytes, options).run();
}

/** An entry of the table of names, with its name. */
interface Callee extends PickleGlobal {
  readonly label: string;
}

/** The stack machine that a pickle is a program for. */
export class Machine {
  /** Values that instructions work on. */
  stack: unknown[] = [];
  readonly memo = new Map<number, unknown>();
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  readonly #text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  readonly #globals: ReadonlyMap<string, PickleGlobal>;
  readonly #persistent: PickleOptions["persistent"];
  /** Stacks below each open mark. */
  readonly #below: unknown[][] = [];
  /** Next byte, and where the instruction began. */
  #at = 0;
  #begin = 0;

  constructor(bytes: Uint8Array<ArrayBuffer>, { globals, persistent }: PickleOptions) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#globals = globals;
    this.#persistent = persistent;
  }

  /** Runs until STOP, whose value is the pickle's. */
  run(): unknown {
    for (;;) {
      const code = this.#bytes[this.#at];
      if (code === undefined) return this.fail("it does not end");
      this.#begin = this.#at++;
      if (code === STOP) return this.pop();
      const instruction = INSTRUCTIONS.get(code);
      if (!instruction) {
        return this.fail(`it has the instruction 0x${hex(code)}, which plain data does not need`);
      }
      instruction(this);
    }
  }

  fail(problem: string): never {
    throw new PickleError(`${problem}, at byte ${this.#begin}`);
  }

  /** Runs what a name or a persistent id stands for; where it refuses, the place is reported. */
  called<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      if (!(error instanceof PickleError)) throw error;
      return this.fail(error.message);
    }
  }

  // Arguments of instructions

  /** Skips bytes; returns where they are. */
  take(length: number): number {
    if (length > this.#bytes.length - this.#at) this.fail(`it ends within ${length} bytes`);
    this.#at += length;
    return this.#at - length;
  }

  byte(): number {
    return this.#view.getUint8(this.take(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.take(2), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.take(4), true);
  }

  int32(): number {
    return this.#view.getInt32(this.take(4), true);
  }

  float64(): number {
    return this.#view.getFloat64(this.take(8));
  }

  /** A length of eight bytes, no more than the pickle has. */
  length64(): number {
    const length = Number(this.#view.getBigUint64(this.take(8), true));
    return length > this.#bytes.length ? this.fail(`it ends within ${length} bytes`) : length;
  }

  binary(length: number): Uint8Array {
    return this.#bytes.slice(this.take(length), this.#at);
  }

  string(length: number): string {
    const from = this.take(length);
    try {
      return this.#text.decode(this.#bytes.subarray(from, this.#at));
    } catch {
      return this.fail("a string is not UTF-8");
    }
  }

  line(): string {
    const length = this.#bytes.indexOf(10, this.#at) - this.#at;
    if (length < 0) this.fail("a line does not end");
    const value = this.string(length);
    this.#at++;
    return value;
  }

  /** A little-endian integer of so many bytes, in two's complement. */
  integer(length: number): number | bigint {
    if (length > INTEGER_LIMIT) this.fail(`an integer has ${length} bytes, more than ${INTEGER_LIMIT}`);
    const value = this.binary(length).reduceRight((value, byte) => value << 8n | BigInt(byte), 0n);
    return integer(BigInt.asIntN(8 * length, value));
  }

  // The stack

  push(value: unknown): void {
    this.stack.push(value);
  }

  pop(): unknown {
    return this.stack.length ? this.stack.pop() : this.fail("nothing is on its stack");
  }

  top(): unknown {
    return this.stack.length ? this.stack.at(-1) : this.fail("nothing is on its stack");
  }

  popMany(count: number): unknown[] {
    if (this.stack.length < count) this.fail("too little is on its stack");
    return this.stack.splice(this.stack.length - count, count);
  }

  mark(): void {
    this.#below.push(this.stack);
    this.stack = [];
  }

  popMark(): unknown[] {
    const items = this.stack;
    this.stack = this.#below.pop() ?? this.fail("no mark is on its stack");
    return items;
  }

  // Kept values, names and containers

  remember(index: number): void {
    this.memo.set(index, this.top());
  }

  recall(index: number): void {
    this.push(this.memo.has(index) ? this.memo.get(index) : this.fail(`it recalls ${index}, which it never kept`));
  }

  find(module: string, name: string): Callee {
    const label = `${module}.${name}`;
    if (runsCode(module, name)) {
      this.fail(`it calls for ${show(label)}, which runs code and is in no checkpoint: nothing of it was run`);
    }
    // PyTorch's own names first, so that a caller can narrow none of the plain ones by accident.
    const found = this.#globals.get(label) ?? PICKLE_GLOBALS.get(label) ?? { call: () => new PickledObject(label) };
    return { ...found, label };
  }

  persistent(id: unknown): unknown {
    return this.called(() => this.#persistent(id));
  }

  append(target: unknown, items: readonly unknown[]): void {
    if (target instanceof PickledObject) return; // a subclass of a list
    if (!Array.isArray(target)) return this.fail("it appends to what is no list");
    for (const item of items) target.push(item);
  }

  put(target: unknown, items: readonly unknown[]): void {
    if (target instanceof PickledObject) return this.put(target.items ??= new Map(), items);
    if (!(target instanceof Map)) return this.fail("it sets a key of what is no dictionary");
    if (items.length % 2) return this.fail("a key has no value");
    for (let k = 0; k < items.length; k += 2) {
      if (target.has(items[k])) return this.fail(`a dictionary has the key ${show(items[k])} twice`);
      target.set(items[k], items[k + 1]);
    }
  }

  /** Calls what a name stands for. */
  reduce(): void {
    const [callee, args] = this.popMany(2) as [Partial<Callee> | null, unknown];
    if (args instanceof PickledObject) return this.push(args);
    if (!Array.isArray(args)) return this.fail("it calls without a list of arguments");
    if (callee instanceof PickledObject) return this.push(new PickledObject(callee.label));
    if (typeof callee?.label !== "string") return this.fail("it calls what is no name");
    const { call, label } = callee;
    if (!call) return this.fail(`it calls ${label}, which is a value here`);
    this.push(this.called(() => call(args)));
  }

  /** Sets the state of an object; only what has none that is needed may be set. */
  build(): void {
    const state = this.pop();
    const target = this.top();
    if (target instanceof PickledObject) target.state = state;
    else if (target instanceof NumpyType && Array.isArray(state)) {
      if (state[1] !== "<" && state[1] !== "|") this.fail(`a number has the byte order ${show(state[1])}`);
    } else if (!(target instanceof Map && state instanceof Map)) {
      // Attributes of a dictionary, such as the versions of modules, say nothing that is needed.
      this.fail("it sets the state of what has none");
    }
  }
}

const STOP = 0x2e;

const hex = (code: number) => code.toString(16).padStart(2, "0");

/** An instruction: its name in CPython's pickletools, its code, and what it does. */
export type Instruction = readonly [name: string, code: number, run: (m: Machine) => void];

/** Every instruction but STOP, in the order of pickletools. */
export const OPCODES: readonly Instruction[] = [
  // Numbers and constants
  ["BININT", 0x4a, (m) => m.push(m.int32())],
  ["BININT1", 0x4b, (m) => m.push(m.byte())],
  ["BININT2", 0x4d, (m) => m.push(m.uint16())],
  ["LONG1", 0x8a, (m) => m.push(m.integer(m.byte()))],
  ["BINFLOAT", 0x47, (m) => m.push(m.float64())],
  ["NONE", 0x4e, (m) => m.push(null)],
  ["NEWTRUE", 0x88, (m) => m.push(true)],
  ["NEWFALSE", 0x89, (m) => m.push(false)],
  // Strings and bytes
  ["BINUNICODE", 0x58, (m) => m.push(m.string(m.uint32()))],
  ["SHORT_BINUNICODE", 0x8c, (m) => m.push(m.string(m.byte()))],
  ["BINUNICODE8", 0x8d, (m) => m.push(m.string(m.length64()))],
  ["BINBYTES", 0x42, (m) => m.push(m.binary(m.uint32()))],
  ["SHORT_BINBYTES", 0x43, (m) => m.push(m.binary(m.byte()))],
  ["BINBYTES8", 0x8e, (m) => m.push(m.binary(m.length64()))],
  ["BYTEARRAY8", 0x96, (m) => m.push(m.binary(m.length64()))],
  // Lists, tuples and sets
  ["EMPTY_LIST", 0x5d, (m) => m.push([])],
  ["EMPTY_TUPLE", 0x29, (m) => m.push([])],
  ["EMPTY_SET", 0x8f, (m) => m.push([])],
  ["FROZENSET", 0x91, (m) => m.push(m.popMark())],
  ["TUPLE", 0x74, (m) => m.push(m.popMark())],
  ["LIST", 0x6c, (m) => m.push(m.popMark())],
  ["TUPLE1", 0x85, (m) => m.push(m.popMany(1))],
  ["TUPLE2", 0x86, (m) => m.push(m.popMany(2))],
  ["TUPLE3", 0x87, (m) => m.push(m.popMany(3))],
  ["APPEND", 0x61, (m) => appendFrom(m, [m.pop()])],
  ["APPENDS", 0x65, (m) => appendFrom(m, m.popMark())],
  ["ADDITEMS", 0x90, (m) => appendFrom(m, m.popMark())],
  // Dictionaries
  ["EMPTY_DICT", 0x7d, (m) => m.push(new Map())],
  ["SETITEM", 0x73, (m) => putFrom(m, m.popMany(2))],
  ["SETITEMS", 0x75, (m) => putFrom(m, m.popMark())],
  // The stack and the memo
  ["MARK", 0x28, (m) => m.mark()],
  ["POP", 0x30, (m) => m.pop()],
  ["POP_MARK", 0x31, (m) => m.popMark()],
  ["BINPUT", 0x71, (m) => m.remember(m.byte())],
  ["LONG_BINPUT", 0x72, (m) => m.remember(m.uint32())],
  ["MEMOIZE", 0x94, (m) => m.remember(m.memo.size)],
  ["BINGET", 0x68, (m) => m.recall(m.byte())],
  ["LONG_BINGET", 0x6a, (m) => m.recall(m.uint32())],
  // Names and what is made by them
  ["GLOBAL", 0x63, (m) => m.push(m.find(m.line(), m.line()))],
  ["STACK_GLOBAL", 0x93, stackGlobal],
  ["REDUCE", 0x52, (m) => m.reduce()],
  ["NEWOBJ", 0x81, (m) => m.reduce()],
  ["NEWOBJ_EX", 0x92, (m) => (m.pop(), m.reduce())],
  ["BUILD", 0x62, (m) => m.build()],
  ["BINPERSID", 0x51, (m) => m.push(m.persistent(m.pop()))],
  ["INST", 0x69, inst],
  // Framing
  ["PROTO", 0x80, proto],
  ["FRAME", 0x95, (m) => m.take(8)],
];

const INSTRUCTIONS: ReadonlyMap<number, (m: Machine) => void> = new Map(OPCODES.map(([, code, run]) => [code, run]));

// The arguments of these are popped before their target is read.

function appendFrom(m: Machine, items: readonly unknown[]): void {
  m.append(m.top(), items);
}

function putFrom(m: Machine, items: readonly unknown[]): void {
  m.put(m.top(), items);
}

function stackGlobal(m: Machine): void {
  const [module, name] = m.popMany(2);
  if (typeof module !== "string" || typeof name !== "string") return m.fail("a name is no text");
  m.push(m.find(module, name));
}

/** An instance of a class that is named in place; its arguments are those after the mark. */
function inst(m: Machine): void {
  const type = m.find(m.line(), m.line());
  m.popMark();
  m.push(new PickledObject(labelOf(type)));
}

function proto(m: Machine): void {
  const protocol = m.byte();
  if (protocol > 5) m.fail(`it is of protocol ${protocol}`);
}
