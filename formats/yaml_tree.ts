/**
 * YAML as a tree that remembers where each key and value came from, so that every error can point at its line.
 *
 * @module
 */
import { type Document, isAlias, isMap, isScalar, isSeq, Lexer, parseDocument, type Range } from "yaml";
import { type ErrorCode, InputError } from "./input_error.ts";
import { counted } from "./numbers.ts";
import { renamedHint } from "./renamed.ts";
import { MOST_LEVELS, tooDeepAt } from "./yaml_depth.ts";

/** A text that positions refer to. */
export interface Source {
  /** File as the user named it, or `--set`. */
  readonly name: string;
  /** The whole text. */
  readonly text: string;
}

/** A position in a source. */
export interface Place {
  /** The text. */
  readonly source: Source;
  /** Index into `source.text`. */
  readonly offset: number;
}

/** A key of a map, where it stands, and its value. */
export interface Entry {
  readonly at: Place;
  readonly node: Tree;
}

/** A scalar. `unset` stands for a required parameter that was not given, which only `validate` lets pass. */
export type Scalar = string | number | boolean | null | typeof unset;

/** A value of the command line as it was typed, for options that take a text. */
export interface Typed {
  /** The text; without the quotes where it is a YAML text in quotes. */
  readonly text: string;
  /** Reason that the text is no YAML value; any option but one that takes a text reports it. */
  readonly problem?: Diagnostic | undefined;
}

/** A YAML value with its position; `typed` if it comes from the command line. */
export type Tree =
  & { readonly at: Place; readonly typed?: Typed }
  & (
    | { readonly kind: "scalar"; readonly value: Scalar }
    | { readonly kind: "list"; readonly items: readonly Tree[] }
    | { readonly kind: "map"; readonly entries: ReadonlyMap<string, Entry> }
  );

/** See {@link Scalar}. */
export const unset: unique symbol = Symbol("unset");

/** Something wrong at a place. */
export interface Diagnostic {
  /** The key or value that is wrong, or the stage that lacks something. */
  readonly at: Place;
  /** `Cannot X as Y: current value is Z`. */
  readonly message: string;
  /** Next step for the user. */
  readonly hint?: string | undefined;
}

/** Everything wrong with a pipeline, formatted with positions, source lines and hints. */
export class PipelineError extends InputError {
  /** The class. */
  override readonly name = "PipelineError";
  /** See {@linkcode InputError}. */
  override readonly code: ErrorCode = "pipeline";

  /** Formats the problems in the order of their places. */
  constructor(/** All errors. */ readonly problems: readonly Diagnostic[], file: string) {
    const compare = (a: string, b: string) => a < b ? -1 : a > b ? 1 : 0;
    const count = counted(problems.length, "error");
    const sorted = problems.toSorted((a, b) =>
      compare(a.at.source.name, b.at.source.name) || a.at.offset - b.at.offset
    );
    super([...sorted.map(formatDiagnostic), `${count} in ${file}`].join("\n\n"));
  }
}

// `${name}` cannot stand unquoted in `{ a: ${name} }`, as braces end a plain scalar. So the three marks are swapped for
// private-use characters of the same length before parsing, which keeps all positions, and swapped back in every string.
const marks = { "$": "\uE000", "{": "\uE001", "}": "\uE002" } as const;
const mask = (text: string) => text.replace(/\$\{(\w+)\}/g, `${marks["$"]}${marks["{"]}$1${marks["}"]}`);
const unmask = (text: string) => text.replace(/\uE000\uE001(\w+)\uE002/g, "${$1}");

/**
 * Parses one YAML document; on errors, too deep a nesting among them, the tree is null and `problems` says why.
 *
 * @param text Text to parse, by default that of the source; it has the same length.
 */
export function parseYaml(shown: Source, problems: Diagnostic[], text = shown.text): Tree | null {
  const before = problems.length, deep = tooDeepAt(text);
  if (deep !== undefined) {
    const message = `Cannot read YAML as more than ${MOST_LEVELS} lists and maps are nested`;
    problems.push({ at: { source: shown, offset: deep }, message });
    return null;
  }
  const document = parseDocument(mask(text), { prettyErrors: false });
  for (const { pos, message, code } of [...document.errors, ...document.warnings]) {
    const reason = code === "DUPLICATE_KEY" ? "a key of a map stands twice" : lowerFirst(message);
    problems.push({ at: { source: shown, offset: pos[0] }, message: `Cannot read YAML as ${reason}` });
  }
  if (problems.length > before) return null;
  const tree = convert(document.contents, shown, 0, problems);
  return problems.length > before ? null : tree;
}

function convert(node: Document["contents"] | unknown, source: Source, offset: number, problems: Diagnostic[]): Tree {
  const range = (node as { range?: Range | null } | null)?.range;
  const at: Place = { source, offset: range?.[0] ?? offset };
  if (isMap(node)) {
    const entries = new Map<string, Entry>();
    for (const { key, value } of node.items) {
      const keyAt = { source, offset: (key as { range?: Range }).range?.[0] ?? at.offset };
      if (isScalar(key)) {
        entries.set(unmask(String(key.value)), { at: keyAt, node: convert(value, source, keyAt.offset, problems) });
      } else problems.push({ at: keyAt, message: "Cannot use a key as it is not a plain word" });
    }
    return { kind: "map", at, entries };
  }
  if (isSeq(node)) {
    return { kind: "list", at, items: node.items.map((item) => convert(item, source, at.offset, problems)) };
  }
  if (isAlias(node)) {
    const hint = "name the value under params and write ${name}";
    problems.push({ at, message: `Cannot use "*${node.source}" as pipelines have no YAML aliases`, hint });
  }
  const value = isScalar(node) ? node.value : null;
  return { kind: "scalar", at, value: typeof value === "string" ? unmask(value) : (value as Scalar) };
}

/**
 * Reads a value of the command line: as YAML for options that take numbers and lists, as it was typed for those that
 * take a text.
 *
 * @param source The whole argument.
 * @param offset Index of the value in it.
 */
export function parseTyped(source: Source, offset: number): Tree {
  const text = source.text.slice(offset);
  const at: Place = { source, offset };
  const quoted = /^\s*(["'])[^]*\1\s*$/.test(text);
  const problems: Diagnostic[] = [];
  // Blanks instead of the key keep the columns right.
  const tree = text === "" ? null : parseYaml(source, problems, " ".repeat(offset) + text);
  const comment = [...new Lexer().lex(text)].some((token) => token.startsWith("#"));
  if (tree && !comment) {
    const value = tree.kind === "scalar" && typeof tree.value === "string" && quoted ? tree.value : text;
    return { ...tree, typed: { text: value } };
  }
  const hint = "put the value in quotes within those of the shell, or leave the comment out";
  const [problem] = comment
    ? [{ at, message: 'Cannot read the value as " #" begins a comment in YAML', hint }]
    : problems;
  return { kind: "scalar", at, value: text, typed: { text, ...(problem && { problem }) } };
}

/** `over` laid upon `base`: maps are merged key by key, anything else is replaced; a key set to null is taken out. */
export function merge(base: Tree, over: Tree): Tree {
  if (base.kind !== "map" || over.kind !== "map") return over;
  const entries = new Map(base.entries);
  for (const [key, entry] of over.entries) {
    const old = entries.get(key);
    if (entry.node.kind === "scalar" && entry.node.value === null && old) entries.delete(key);
    else entries.set(key, old ? { at: entry.at, node: merge(old.node, entry.node) } : entry);
  }
  return { kind: "map", at: over.at, entries };
}

/** A map with one path of keys, for {@link merge}. */
export function nest(path: readonly string[], at: Place, leaf: Tree): Tree {
  return path.reduceRight<Tree>(
    (node, key) => ({ kind: "map", at, entries: new Map([[key, { at, node }]]) }),
    leaf,
  );
}

/** The value of `key` in a map. */
export function child(tree: Tree | undefined, key: PropertyKey): Tree | undefined {
  if (tree?.kind === "map") return tree.entries.get(String(key))?.node;
  if (tree?.kind === "list") return tree.items[Number(key)];
  return undefined;
}

/** The value at a path. */
export function getIn(tree: Tree | undefined, path: readonly PropertyKey[]): Tree | undefined {
  return path.reduce<Tree | undefined>(child, tree);
}

/** The keys of a map with what they hold; nothing for anything else. */
export function entriesOf(tree: Tree | undefined): [string, Entry][] {
  return tree?.kind === "map" ? [...tree.entries] : [];
}

/** The tree as plain values; keys that hold `unset` are left out. */
export function toJS(tree: Tree): unknown {
  if (tree.kind === "scalar") return tree.value;
  if (tree.kind === "list") return tree.items.map(toJS);
  const set = [...tree.entries].filter(([, { node }]) => !isUnset(node));
  return Object.fromEntries(set.map(([key, { node }]) => [key, toJS(node)]));
}

/** Tests if a value waits for a required parameter. */
export function isUnset(tree: Tree | undefined): boolean {
  return tree?.kind === "scalar" && tree.value === unset;
}

/** Line and column of a place, both from 1. */
export function lineOf({ source, offset }: Place): { line: number; column: number } {
  const before = source.text.slice(0, offset);
  return { line: before.split("\n").length, column: before.length - before.lastIndexOf("\n") };
}

/** The problem with its place, its line, a caret and the hint. */
function formatDiagnostic({ at, message, hint }: Diagnostic): string {
  const { line, column } = lineOf(at);
  const text = (at.source.text.split("\n")[line - 1] ?? "").trimEnd().replaceAll("\t", " ");
  const margin = String(line).padStart(5);
  const out = [
    `${at.source.name}:${line}:${column}: ${message}`,
    `${margin} | ${text}`,
    `${" ".repeat(5)} | ${" ".repeat(column - 1)}^`,
  ];
  if (hint) out.push(`        hint: ${hint}`);
  return out.join("\n");
}

/**
 * Suggests what an unknown name stands for: its new name if an earlier version had it, `did you mean "x"?` when a known name is close,
 * else the list of known names, if `what` names them.
 */
export function suggest(given: string, known: readonly string[], what?: string): string | undefined {
  const hint = renamedHint(given, known);
  if (hint) return hint;
  const limit = Math.max(2, Math.floor(given.length / 3));
  const near = known.map((name) => ({ name, distance: editDistance(given, name) }))
    .filter(({ distance, name }) => distance <= limit && distance < name.length)
    .sort((a, b) => a.distance - b.distance)[0];
  if (near) return `did you mean "${near.name}"?`;
  return what && known.length ? `${what}: ${known.join(", ")}` : undefined;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    let left = 0, diagonal = 0;
    row = row.map((above, j) => {
      left = j === 0 ? i : Math.min(above + 1, left + 1, diagonal + (a[i - 1] === b[j - 1] ? 0 : 1));
      diagonal = above;
      return left;
    });
  }
  return row[b.length]!;
}

const lowerFirst = (text: string) => text.charAt(0).toLowerCase() + text.slice(1);
