/**
 * Valid files mutated by bytes, by structure and by encoding, and the properties that every reader has of them: it ends
 * within two seconds, and throws nothing but an `InputError`.
 *
 * `deno task fuzz` runs 20,000 inputs for each format, the suite a few hundred.
 *
 * @module
 */
import assert from "node:assert/strict";
import process from "node:process";
import { InputError } from "../../formats/input_error.ts";
import fc from "../fast_check.ts";

/** Inputs for each format: `-- --fuzz=20000`. */
export const INPUTS = Number(Deno.args.find((arg) => arg.startsWith("--fuzz="))?.slice(7) ?? 200);

/** Most processor time that an input may take, ms. Time on the clock would depend on what else the machine does. */
const MOST_MS = 2000;

/** One change of a file: which one, where (a share of the file), how large and with which value. */
interface Change {
  readonly kind: number;
  readonly at: number;
  readonly size: number;
  readonly value: number;
}

const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.nat(999),
  at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  size: fc.oneof(fc.nat(8), fc.nat(4000)),
  value: fc.nat(0xffff),
});

/** A number by its place in a list of any length. */
const pick = <T>(list: readonly T[], value: number): T => list[value % list.length]!;

/** Copies bytes with a range replaced. */
function splice(bytes: Uint8Array, from: number, to: number, put: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(from + put.length + Math.max(0, bytes.length - to));
  out.set(bytes.subarray(0, from));
  out.set(put, from);
  out.set(bytes.subarray(to), from + put.length);
  return out;
}

const encode = (text: string) => new TextEncoder().encode(text);
const EXTREMES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff] as const;

/** Changes of bytes. */
const BYTES: readonly ((bytes: Uint8Array, at: number, change: Change) => Uint8Array<ArrayBuffer>)[] = [
  (bytes, at, { value }) => splice(bytes, at, at + 1, Uint8Array.of(value)),
  (bytes, at, { value }) => splice(bytes, at, at + 1, Uint8Array.of((bytes[at] ?? 0) ^ (1 << (value & 7)))),
  (bytes, at, { size }) => splice(bytes, at, at + size, new Uint8Array()),
  (bytes, at, { size }) => splice(bytes, at, at, bytes.slice(at, at + size)),
  (bytes, at, { size, value }) => splice(bytes, at, at, new Uint8Array(Math.min(size, 64)).fill(value)),
  (bytes, at) => bytes.slice(0, at),
  (bytes, at) => bytes.slice(at),
  ...[true, false].map((little) => (bytes: Uint8Array, at: number, { value, size }: Change) => {
    const view = new DataView(new ArrayBuffer(4));
    view.setUint32(0, pick(EXTREMES, value), little);
    const width = pick([1, 2, 4], size);
    return splice(bytes, at, at + width, new Uint8Array(view.buffer, little ? 0 : 4 - width, width));
  }),
];

const WORDS = [
  "../../etc/passwd",
  "/etc/passwd",
  "C:\\x",
  "__proto__",
  "constructor",
  "toString",
  "",
  "\0",
  "\x1b[31m",
  "\u202e",
  "\ufeff",
  "é",
  "１２",
  "NaN",
  "-Infinity",
  "1e999",
  "-1",
  "1e-400",
  "0x10",
  "99999999999999999999",
  "null",
  "true",
  "[".repeat(3000),
  '{"a":'.repeat(3000),
  "<a>".repeat(3000),
  "&lt;&#0;&x;",
  "<!DOCTYPE a [<!ENTITY b 'c'>]>",
  "a".repeat(20_000),
  '"',
  "'",
  ",",
  ";",
  "\t",
  "\n\n",
  "\r",
  "${x}",
  "*a",
  "&a",
  "#",
] as const;

/** Changes of a text. */
const TEXTS: readonly ((text: string, change: Change) => string)[] = [
  // A number becomes something else.
  (text, { at, value }) => {
    const numbers = [...text.matchAll(/-?\d+(\.\d+)?(e[+-]?\d+)?/gi)];
    const found = numbers[Math.floor(at * numbers.length)];
    return found ? text.slice(0, found.index) + pick(WORDS, value) + text.slice(found.index + found[0].length) : text;
  },
  // A word is put in, or stands for a separator.
  (text, { at, value }) => {
    const place = Math.floor(at * text.length);
    return text.slice(0, place) + pick(WORDS, value) + text.slice(place);
  },
  (text, { at, value }) => {
    const marks = [...text.matchAll(/[\s,;:|"'{}[\]<>=/.]/g)];
    const found = marks[Math.floor(at * marks.length)];
    return found ? text.slice(0, found.index) + pick(WORDS, value) + text.slice(found.index + 1) : text;
  },
  // Lines are left out, doubled, joined and swapped.
  (text, { at, size }) => lines(text, at, (all, k) => all.toSpliced(k, 1 + size % 3)),
  (text, { at, size }) => lines(text, at, (all, k) => all.toSpliced(k, 0, ...all.slice(k, k + 1 + size % 3))),
  (text, { at }) => lines(text, at, (all, k) => all.toSpliced(k, 2, (all[k] ?? "") + (all[k + 1] ?? ""))),
  (text, { at, value }) => lines(text, at, (all, k) => all.with(k, all[value % all.length]!)),
];

function lines(text: string, at: number, act: (all: string[], k: number) => string[]): string {
  const all = text.split("\n");
  return act(all, Math.floor(at * all.length)).join("\n");
}

const VALUES: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  1.5,
  1e308,
  "",
  "x",
  "../x.png",
  [],
  {},
  [[]],
  [null],
  "é",
  "\0",
  2 ** 53,
];

/** Changes of the values of a JSON document or of lines of JSON; a text of another kind stays as it is. */
function changeJson(text: string, { at, kind, value }: Change): string {
  const change = (part: string): string | undefined => {
    let json: unknown;
    try {
      json = JSON.parse(part);
    } catch {
      return undefined;
    }
    // Every place in it: who holds it, and under which key.
    const places: [holder: Record<string, unknown>, key: string][] = [];
    const visit = (node: unknown) => {
      if (typeof node !== "object" || node === null || places.length > 5000) return;
      for (const [key, inner] of Object.entries(node)) {
        places.push([node as Record<string, unknown>, key]);
        visit(inner);
      }
    };
    visit(json);
    const place = places[Math.floor(at * places.length)];
    if (!place) return undefined;
    const [holder, key] = place;
    if (kind % 4 === 0) {
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else delete holder[key];
    } else if (kind % 4 === 1 && Array.isArray(holder)) holder.push(holder[Number(key)]);
    else if (kind % 4 === 2) holder[key] = { a: holder[key] };
    else holder[key] = pick(VALUES, value);
    return JSON.stringify(json);
  };
  const whole = change(text);
  if (whole !== undefined) return whole;
  const all = text.split("\n"), k = value % all.length;
  return all.with(k, change(all[k]!) ?? all[k]!).join("\n");
}

/** The whole file in another encoding or with other line ends. */
const ENCODINGS: readonly ((bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>)[] = [
  (bytes) => splice(bytes, 0, 0, Uint8Array.of(0xef, 0xbb, 0xbf)),
  (bytes) => utf16(bytes, true),
  (bytes) => utf16(bytes, false),
  (bytes) => Uint8Array.from(new TextDecoder("latin1").decode(bytes).replaceAll("a", "é"), (c) => c.charCodeAt(0)),
  (bytes) => encode(new TextDecoder().decode(bytes).replaceAll("\n", "\r\n")),
  (bytes) => encode(new TextDecoder().decode(bytes).replaceAll("\n", "\r")),
  (bytes) => encode(new TextDecoder().decode(bytes).normalize("NFD")),
];

function utf16(bytes: Uint8Array, little: boolean): Uint8Array<ArrayBuffer> {
  const text = "\ufeff" + new TextDecoder("latin1").decode(bytes);
  const view = new DataView(new ArrayBuffer(2 * text.length));
  for (let i = 0; i < text.length; i++) view.setUint16(2 * i, text.charCodeAt(i), little);
  return new Uint8Array(view.buffer);
}

function apply(bytes: Uint8Array<ArrayBuffer>, change: Change, isText: boolean): Uint8Array<ArrayBuffer> {
  const kind = change.kind % (isText ? 10 : 4);
  const at = Math.floor(change.at * bytes.length);
  if (kind < 3) return pick(BYTES, change.value)(bytes, at, { ...change, value: change.value >> 4 });
  if (kind === 3) return isText ? pick(ENCODINGS, change.value)(bytes) : pick(BYTES, change.size)(bytes, at, change);
  const text = new TextDecoder().decode(bytes);
  return encode(kind < 7 ? pick(TEXTS, change.size)(text, change) : changeJson(text, change));
}

/** Options of {@linkcode fuzz}. */
export interface FuzzOptions {
  /** False for binary files, whose mutations are those of bytes. */
  readonly isText?: boolean;
  /** Share of {@linkcode INPUTS}, for readers that are slow by nature. */
  readonly share?: number;
}

/**
 * Registers a test that reads mutated files.
 *
 * @param name Format.
 * @param files Valid files.
 * @param read Reads one; throws an `AssertionError` if it finds a property broken.
 */
export function fuzz(
  name: string,
  files: readonly Uint8Array<ArrayBuffer>[],
  read: (bytes: Uint8Array<ArrayBuffer>, name: string) => unknown,
  { isText = true, share = 1 }: FuzzOptions = {},
): void {
  const runs = Math.max(20, Math.round(INPUTS * share));
  Deno.test(`fuzz: ${name}, ${runs} inputs`, async () => {
    // The files themselves are good.
    for (const file of files) await read(file.slice(), name);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(files.length - 1),
        fc.array(change, { minLength: 1, maxLength: 3 }),
        async (k, changes) => {
          const bytes = changes.reduce((bytes, change) => apply(bytes, change, isText), files[k]!.slice());
          const before = process.cpuUsage();
          try {
            await read(bytes, name);
          } catch (error) {
            if (error instanceof assert.AssertionError) throw error;
            assert(error instanceof InputError, `${error instanceof Error ? error.stack : error}`);
          }
          const { user, system } = process.cpuUsage(before);
          const ms = (user + system) / 1000;
          assert(ms < MOST_MS, `it took ${ms.toFixed()} ms`);
        },
      ),
      { numRuns: runs },
    );
  });
}

/** The bytes of a text. */
export const bytesOfText = (text: string): Uint8Array<ArrayBuffer> => encode(text);
