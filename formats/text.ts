/**
 * Bytes of text files as text: UTF-8, and UTF-16 as some editors and shells write it. Nothing else is guessed.
 *
 * @module
 */
import { FOREIGN_BYTES, foreignKind } from "./foreign.ts";
import { InputError } from "./input_error.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });
const utf16 = { le: new TextDecoder("utf-16le", { fatal: true }), be: new TextDecoder("utf-16be", { fatal: true }) };

/**
 * Decodes a text file. A byte order mark at its start is left out.
 *
 * @param bytes The file: UTF-8, or UTF-16 with a byte order mark or mostly of ASCII.
 * @param name File, for errors.
 * @returns The text.
 * @throws {InputError} If the file is binary or in another encoding, such as Latin-1.
 */
export function decodeText(bytes: Uint8Array, name: string): string {
  const order = utf16Order(bytes);
  try {
    const text = order ? utf16[order].decode(bytes) : utf8.decode(bytes);
    if (!text.includes("\0")) return text;
  } catch { /* the reason follows */ }
  if (order) {
    throw new InputError(`Cannot read ${name} as UTF-16: it is damaged or cut short`, { code: "encoding" });
  }
  const foreign = foreignKind(bytes.subarray(0, FOREIGN_BYTES));
  if (foreign) {
    throw new InputError(`Cannot read ${name} as text: it is ${foreign.what}`, { code: "format", hint: foreign.hint });
  }
  const nul = bytes.indexOf(0);
  if (nul >= 0) {
    throw new InputError(`Cannot read ${name} as text: it is binary, byte ${nul} is 0`, { code: "encoding" });
  }
  const at = firstInvalid(bytes);
  const before = utf8.decode(bytes.subarray(0, at)).split("\n");
  throw new InputError(
    `Cannot read ${name}:${before.length}:${before.at(-1)!.length + 1} as UTF-8: byte ${
      hex(bytes[at]!)
    } begins no letter`,
    { code: "encoding", hint: "save the file as UTF-8; iconv -f latin1 -t utf-8 converts one of Latin-1" },
  );
}

/** Byte order of UTF-16: by its mark, or by the zeros that every other byte is in ASCII. */
function utf16Order(bytes: Uint8Array): "le" | "be" | undefined {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return "le";
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return "be";
  const SAMPLE = 1024, MOST = 0.9;
  const length = Math.min(SAMPLE, bytes.length) & ~1;
  if (length < 4) return undefined;
  const zeros = [0, 0];
  for (let i = 0; i < length; i++) if (bytes[i] === 0) zeros[i & 1]!++;
  const [even, odd] = zeros.map((count) => count / (length / 2)) as [number, number];
  return odd >= MOST && even === 0 ? "le" : even >= MOST && odd === 0 ? "be" : undefined;
}

/** Index of the first byte at which UTF-8 is broken, in bytes that are not UTF-8. */
function firstInvalid(bytes: Uint8Array): number {
  // Prefixes that end within a letter are good for a stream.
  const isGood = (length: number) => {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length), { stream: true });
      return true;
    } catch {
      return false;
    }
  };
  let good = 0, bad = bytes.length;
  if (isGood(bad)) good = bad; // cut short within the last letter
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (isGood(middle)) good = middle;
    else bad = middle;
  }
  // The letter that is broken begins at most three bytes before.
  let at = Math.min(good, bytes.length - 1);
  while (at > 0 && !isWhole(bytes.subarray(0, at))) at--;
  return at;
}

function isWhole(bytes: Uint8Array): boolean {
  try {
    utf8.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

const hex = (byte: number) => byte.toString(16).padStart(2, "0");
