/**
 * Files that people have in place of the one that they wanted: a web page, a git-lfs pointer, an archive, nothing.
 *
 * @module
 */

/** A file that is another than its name says. */
export interface Foreign {
  /** Its kind, such as `a web page`. */
  readonly what: string;
  /** Next step for the user. */
  readonly hint: string;
}

const AGAIN = "download the file itself; the site may ask to sign in or to accept a licence first";

/** Kinds by the start of the text, in lower case and without a byte order mark and spaces. */
const TEXTS: readonly (readonly [start: RegExp, foreign: Foreign])[] = [
  [/^version https:\/\/git-lfs/, {
    what: "a git-lfs pointer to the file",
    hint: "get the file itself with git lfs pull, or download it",
  }],
  [/^(<!--.*?-->\s*)?(<\?xml[^>]*>\s*)?<(!doctype html|html|head|body|script|title|meta)\b/s, {
    what: "a web page",
    hint: AGAIN,
  }],
  [/^(<\?xml|<error>)/, { what: "an answer of a server in XML", hint: AGAIN }],
  [/^\{\s*"(error|message|detail|errors|error_code)"\s*:/, { what: "an answer of a server in JSON", hint: AGAIN }],
];

const UNPACK = "unpack it first";

/** Kinds by their first bytes, a character each. */
const BYTES: readonly (readonly [start: string, foreign: Foreign])[] = [
  ["\x1f\x8b", { what: "packed by gzip", hint: UNPACK }],
  ["BZh", { what: "packed by bzip2", hint: UNPACK }],
  ["\xfd7zXZ\0", { what: "packed by xz", hint: UNPACK }],
  ["\x28\xb5\x2f\xfd", { what: "packed by zstd", hint: UNPACK }],
  ["7z\xbc\xaf", { what: "an archive of 7-Zip", hint: UNPACK }],
  ["Rar!", { what: "an archive of RAR", hint: UNPACK }],
  ["GGUF", { what: "a file of GGUF, which is not read here", hint: "take the model's safetensors" }],
  ["\x89HDF\r\n", { what: "a file of HDF5, which is not read here", hint: "take the model's weights for PyTorch" }],
];

/** Bytes that {@linkcode foreignKind} looks at. */
export const FOREIGN_BYTES = 512;

/**
 * The kind of a file that is none of those read here.
 *
 * @param start Its first {@linkcode FOREIGN_BYTES}, or all of a shorter one.
 * @returns Undefined for any other file.
 */
export function foreignKind(start: Uint8Array): Foreign | undefined {
  if (start.length === 0) return { what: "empty (0 bytes)", hint: "copy or download it again" };
  if (start.length >= 64 && start.every((byte) => byte === 0)) {
    return { what: "not there yet: it begins with zeros", hint: "wait for its download, or start it again" };
  }
  const bytes = String.fromCharCode(...start.subarray(0, FOREIGN_BYTES));
  const packed = BYTES.find(([beginning]) => bytes.startsWith(beginning));
  if (packed) return packed[1];
  const text = bytes.replace(/^\xef\xbb\xbf/, "").trimStart().toLowerCase();
  return TEXTS.find(([beginning]) => beginning.test(text))?.[1];
}
