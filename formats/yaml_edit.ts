/**
 * Changes of single values in the text of a YAML file: all the rest stays as it is, with its comments, byte by byte.
 *
 * @module
 */
import {
  type Document,
  isCollection,
  isMap,
  isNode,
  isScalar,
  isSeq,
  parseDocument,
  type YAMLMap,
  type YAMLSeq,
} from "yaml";
import { InputError } from "./input_error.ts";
import { MOST_LEVELS, tooDeepAt } from "./yaml_depth.ts";

/** A value that a file can be given. */
export type YamlValue =
  | string
  | number
  | boolean
  | readonly YamlValue[]
  | { readonly [key: string]: YamlValue };

/** Place of a value: keys of maps and indices of lists. */
export type YamlPath = readonly (string | number)[];

/**
 * Sets a value, or takes it out.
 *
 * A value that is there is replaced where it stands. A new key is put behind the last one of its map, and a new item behind
 * the last one of its list; maps that are missing on the way are made. A map that becomes empty is taken out too, unless it
 * is an item of a list, as the items behind it would get other numbers.
 *
 * Where the text is written in a way that leaves no place for the change, the `yaml` package writes the file anew, which keeps
 * comments too, but not the breaks of lines.
 *
 * @param text A YAML file.
 * @param path Keys and indices to the value; an index may be the length of the list.
 * @param value The new value, or undefined to take it out.
 * @returns The new text.
 * @throws {InputError} If the text is no YAML, has aliases or too many levels, or the path leads through what is neither a map nor a list.
 */
export function setYaml(text: string, path: YamlPath, value: YamlValue | undefined): string {
  const document = parse(text);
  const at = value === undefined ? emptied(document, path) : path;
  if (at === undefined) return text;
  if (value !== undefined) checkPath(document, at);
  const spliced = value === undefined ? without(text, document, at) : withValue(text, document, at, value);
  const wanted = parse(text);
  if (value === undefined) wanted.deleteIn(at);
  else assign(wanted, at, value);
  const content = JSON.stringify(wanted.toJS());
  if (spliced !== undefined) {
    const found = parseDocument(spliced);
    if (!found.errors.length && JSON.stringify(found.toJS()) === content) return spliced;
  }
  return wanted.toString({ lineWidth: 120 });
}

function parse(text: string): Document.Parsed {
  if (tooDeepAt(text) !== undefined) {
    throw new InputError(`Cannot change a value as the text has more than ${MOST_LEVELS} nested lists and maps`);
  }
  const document = parseDocument(text, { prettyErrors: false });
  const [error] = document.errors;
  if (error) throw new InputError(`Cannot change a value as the text is no YAML: ${error.message}`);
  if (/[*&]/.test(text)) {
    try {
      document.toJS({ maxAliasCount: 0 });
    } catch {
      throw new InputError("Cannot change a value as the text has YAML aliases");
    }
  }
  return document;
}

/** The path of the value to take out: the outermost map that holds nothing else; undefined if there is no value. */
function emptied(document: Document, path: YamlPath): YamlPath | undefined {
  if (path.length === 0 || !document.hasIn(path)) return undefined;
  let at = path;
  while (at.length > 1) {
    const parent = document.getIn(at.slice(0, -1));
    if (!isMap(parent) || parent.items.length > 1 || typeof at.at(-2) === "number") break;
    at = at.slice(0, -1);
  }
  return at;
}

function checkPath(document: Document, path: YamlPath): void {
  for (let n = 0; n < path.length; n++) {
    const key = path[n]!, node = nodeAt(document, path.slice(0, n));
    if (node === undefined || isEmpty(node)) {
      if (path.slice(n).some((key) => typeof key === "number" && key !== 0)) break;
      return;
    }
    if (isMap(node) && typeof key === "string") continue;
    if (isSeq(node) && typeof key === "number" && key >= 0 && key <= node.items.length) continue;
    throw new InputError(
      `Cannot set ${path.join(".")} as ${path.slice(0, n).join(".") || "the file"} has no such place`,
    );
  }
}

const nodeAt = (document: Document, path: YamlPath): unknown =>
  path.length ? document.getIn(path, true) : document.contents ?? undefined;

/** True for a key without a value, and for a file without content. */
const isEmpty = (node: unknown) => isScalar(node) && node.value === null;

/** Sets a value in a document; what is no collection on the way is replaced. */
function assign(document: Document, path: YamlPath, value: YamlValue): void {
  const { at, rest } = deepest(document, path);
  const node = document.createNode(nest(rest, value), { flow: at.length > 0 });
  const old = nodeAt(document, at);
  if (isNode(old)) Object.assign(node, { comment: old.comment, commentBefore: old.commentBefore });
  // A scalar keeps its quotes and the comment behind it.
  if (isScalar(old) && isScalar(node)) old.value = node.value;
  else if (at.length) document.setIn(at, node);
  else document.contents = node as typeof document.contents;
}

/** The part of a path up to the value that is to be replaced or added, and what has to be made below it. */
function deepest(document: Document, path: YamlPath): { readonly at: YamlPath; readonly rest: YamlPath } {
  let n = 0;
  while (n < path.length && isCollection(nodeAt(document, path.slice(0, n)))) n++;
  return { at: path.slice(0, n), rest: path.slice(n) };
}

function nest(path: YamlPath, value: YamlValue): YamlValue {
  return path.reduceRight<YamlValue>((inner, key) => typeof key === "number" ? [inner] : { [key]: inner }, value);
}

/** The text with a value set; undefined where the splice is not clear. */
function withValue(text: string, document: Document, path: YamlPath, value: YamlValue): string | undefined {
  const { at, rest } = deepest(document, path);
  const last = at.at(-1), parent = nodeAt(document, at.slice(0, -1));
  if (last === undefined || !isCollection(parent)) return undefined;
  const source = formatFlow(nest(rest, value));
  const old = spanOf(nodeAt(document, at));
  if (old) {
    const written = text.slice(old.start, old.end).trimEnd();
    if (written) return text.slice(0, old.start) + source + text.slice(old.start + written.length);
    const colon = text.lastIndexOf(":", old.start - 1) + 1;
    return `${text.slice(0, colon)} ${source}${text.slice(colon)}`;
  }
  const entry = isMap(parent) ? `${formatFlow(last)}: ${source}` : source;
  const whole = spanOf(parent), items = itemsOf(parent), item = items.at(-1);
  if (!whole) return undefined;
  if (!item) {
    const inside = isMap(parent) ? `{ ${entry} }` : `[${entry}]`;
    return text.slice(0, whole.start) + inside + text.slice(whole.end);
  }
  if (!parent.flow) {
    const first = items[0]!.start, before = text.slice(lineStart(text, first), first);
    const margin = isMap(parent) ? " ".repeat(before.length) : /^\s*- +$/.exec(before)?.[0];
    const end = lineEnd(text, text.slice(0, item.end).trimEnd().length);
    return margin === undefined ? undefined : text.slice(0, end) + newline(text) + margin + entry + text.slice(end);
  }
  const past = pastComma(text, item.end), after = pastComment(text, past);
  const indent = /^[ \t]*/.exec(text.slice(lineStart(text, item.start)))![0];
  const lines = text.slice(whole.start, item.start).includes("\n");
  return text.slice(0, item.end) + "," + text.slice(past, after) + (lines ? newline(text) + indent : " ") + entry +
    (past > item.end ? "," : "") + text.slice(after);
}

/** The text without a value; undefined where the splice is not clear. */
function without(text: string, document: Document, path: YamlPath): string | undefined {
  const parent = nodeAt(document, path.slice(0, -1)), last = path.at(-1)!;
  if (!isCollection(parent)) return undefined;
  const items = itemsOf(parent);
  const k = isMap(parent) ? parent.items.findIndex(({ key }) => isScalar(key) && key.value === last) : Number(last);
  const item = items[k], whole = spanOf(parent);
  if (!item || !whole) return undefined;
  if (!parent.flow) {
    const start = lineStart(text, item.start);
    if (text.slice(start, item.start).trim() !== "") return undefined;
    return text.slice(0, start) + text.slice(lineEnd(text, text.slice(0, item.end).trimEnd().length) + 1);
  }
  const endOf = ({ end }: Span) => pastComment(text, pastComma(text, end));
  const end = endOf(item), before = items[k - 1];
  let start = before ? endOf(before) : whole.start + 1;
  // Without a comma behind the last one, that of the one before it goes too.
  if (before && pastComma(text, item.end) === item.end && !text.slice(before.end, item.start).includes("#")) {
    start = before.end;
  }
  return text.slice(0, start) + text.slice(end);
}

/** Part of a text. */
interface Span {
  readonly start: number;
  readonly end: number;
}

/** Place of a node in its text; undefined if it is not from a text. */
function spanOf(node: unknown): Span | undefined {
  const range = (node as { range?: readonly [number, number, number] | null } | undefined)?.range;
  return range ? { start: range[0], end: range[1] } : undefined;
}

/** Places of the pairs of a map or the items of a list. */
function itemsOf(parent: YAMLMap | YAMLSeq): Span[] {
  return parent.items.flatMap((item) => {
    const key = "key" in (item as object) ? (item as { key: unknown }).key : item;
    const start = spanOf(key), end = spanOf("key" in (item as object) ? (item as { value: unknown }).value : item);
    return start ? [{ start: start.start, end: (end ?? start).end }] : [];
  });
}

const lineStart = (text: string, at: number) => text.lastIndexOf("\n", at - 1) + 1;

function lineEnd(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  if (end === -1) return text.length;
  return text[end - 1] === "\r" ? end - 1 : end;
}

const newline = (text: string) => text.includes("\r\n") ? "\r\n" : "\n";

const pastComma = (text: string, at: number) => at + (/^\s*,/.exec(text.slice(at))?.[0].length ?? 0);

const pastComment = (text: string, at: number) => at + (/^[ \t]*#[^\r\n]*/.exec(text.slice(at))?.[0].length ?? 0);

/** Words that YAML takes for something else than a text. */
const RESERVED = /^(?:true|false|null|yes|no|on|off)$/i;

/** A value on one line, such as `{ kind: cel, levels: 2 }`. */
function formatFlow(value: YamlValue): string {
  if (typeof value === "string") {
    return /^[A-Za-z_](?:[\w ./-]*[\w./-])?$/.test(value) && !RESERVED.test(value) ? value : JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map(formatFlow).join(", ")}]`;
  if (typeof value === "object") {
    const pairs = Object.entries(value).map(([key, inner]) => `${formatFlow(key)}: ${formatFlow(inner)}`);
    return pairs.length ? `{ ${pairs.join(", ")} }` : "{}";
  }
  return String(value);
}
