/**
 * The text of a pipeline: files that extend each other, `--set`, parameters. A tree comes out, its stages as they stand.
 *
 * @module
 */
import { basename, dirname, isAbsolute, join, relative, resolve } from "node:path";
import { readText } from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";
import {
  child,
  type Diagnostic,
  entriesOf,
  isUnset,
  merge,
  nest,
  parseTyped,
  parseYaml,
  type Place,
  suggest,
  toJS,
  type Tree,
  unset,
} from "../../formats/yaml_tree.ts";

/** Values that are set, and folders that may be read. */
export interface SourceOptions {
  /** `key=value` texts: a parameter's name, `seed`, `jobs`, or a dotted path such as `stages.x.with.steps`. */
  readonly set?: readonly string[];
  /**
   * Folders in which files may lie that the pipeline reads, in addition to the current folder, that of the pipeline, and paths that
   * `set` names.
   */
  readonly roots?: readonly string[];
  /** Folder in which relative paths of `set` lie, by default the current one. */
  readonly from?: string | undefined;
}

/** The file's tree laid upon those it extends. The name is the file's own, by default its base name. */
export async function readTree(
  file: string,
  above: readonly string[],
  roots: readonly string[],
  problems: Diagnostic[],
): Promise<Tree | null> {
  const tree = parseYaml({ name: file, text: await readPipelineText(file) }, problems);
  if (!tree) return null;
  if (tree.kind !== "map") {
    problems.push({ at: tree.at, message: `Cannot read ${file} as it is not a map with "name" and "stages"` });
    return null;
  }
  const base = child(tree, "extends");
  const own = new Map([...tree.entries].filter(([key]) => key !== "extends"));
  if (!own.has("name")) {
    const name = basename(file).replace(/\.ya?ml$/, "");
    own.set("name", { at: tree.at, node: { kind: "scalar", at: tree.at, value: name } });
  }
  const over: Tree = { ...tree, entries: own };
  if (base?.kind !== "scalar") return over;
  const path = join(dirname(file), String(base.value));
  const chain = [...above, file];
  if (chain.includes(path)) {
    problems.push({ at: base.at, message: `Cannot extend "${path}" as it extends this file: ${chain.join(" -> ")}` });
    return null;
  }
  try {
    await Deno.stat(path);
  } catch {
    const hint = "the path is relative to this file";
    problems.push({ at: base.at, message: `Cannot extend "${String(base.value)}" as there is no file ${path}`, hint });
    return null;
  }
  if (!await liesIn(path, roots)) {
    const hint = "copy it into the project";
    problems.push({ at: base.at, message: `Cannot extend "${String(base.value)}" as ${await outside(path)}`, hint });
    return null;
  }
  const under = await readTree(path, chain, roots, problems);
  return under && merge(under, over);
}

/** Real paths of the folders and files that a pipeline may read. */
export async function rootsOf(file: string, { set = [], roots = [], from = "." }: SourceOptions): Promise<string[]> {
  const named = set.map((text) => parseTyped({ name: "--set", text }, text.indexOf("=") + 1).typed!.text);
  const given = named.filter((text) => text && !text.includes("\0")).map((text) => resolve(from, text));
  const paths = [".", dirname(file), ...roots, ...given];
  const real = await Promise.all(paths.map((path) => Deno.realPath(path).catch(() => undefined)));
  return real.filter((path) => path !== undefined);
}

/**
 * The path of a file that `path` names in the folder `from`: as it is where that is the current folder, else relative to
 * the current folder where it lies below it, and absolute elsewhere.
 */
export function pathFrom(path: string, from: string): string {
  const folder = resolve(from);
  if (folder === Deno.cwd() || isAbsolute(path)) return path;
  const full = resolve(folder, path), below = relative(Deno.cwd(), full);
  return below.startsWith("..") ? full : below || ".";
}

/** Tests if a path, with links followed, lies in one of the folders; a path that leads nowhere lies in all. */
export async function liesIn(path: string, roots: readonly string[]): Promise<boolean> {
  const real = await Deno.realPath(path).catch(() => undefined);
  return real === undefined || roots.some((root) => real === root || real.startsWith(root.replace(/\/?$/, "/")));
}

export async function outside(path: string): Promise<string> {
  return `it leads to ${await Deno.realPath(path)}, outside of the project`;
}

async function readPipelineText(file: string): Promise<string> {
  try {
    return await readText(file);
  } catch (error) {
    if (error instanceof InputError) {
      throw new PipelineFileError(error.sentence, { code: error.code, hint: error.hint, cause: error });
    }
    const missing = error instanceof Deno.errors.NotFound;
    const reason = missing ? "there is no such file" : (error as Error).message;
    throw new PipelineFileError(`Cannot read pipeline ${file} as ${reason}`, { code: missing ? "missing" : "disk" });
  }
}

/** The pipeline file itself cannot be read. */
export class PipelineFileError extends InputError {
  /** The class. */
  override readonly name = "PipelineFileError";
}

/** Applies one `key=value`; the value is YAML, and a text where it goes to an option that takes one. */
export function applySet(tree: Tree, text: string, problems: Diagnostic[]): Tree {
  const at: Place = { source: { name: "--set", text }, offset: 0 };
  const [, key, value] = /^([\w.-]+)=(.*)$/s.exec(text) ?? [];
  if (key === undefined || value === undefined) {
    problems.push({ at, message: `Cannot set "${text}" as it is not key=value`, hint: "write --set steps=100" });
    return tree;
  }
  const leaf = parseTyped(at.source, key.length + 1);
  const path = key.split("."), [first, second = ""] = path;
  const known = entriesOf(child(tree, "params")).map(([name]) => name);
  if (path.length === 1 && known.includes(key)) return replaceAt(tree, ["params", key], at, leaf);
  if (key === "seed" || key === "jobs" || first === "stages" && path.length > 2 || first === "params") {
    const stages = entriesOf(child(tree, "stages")).map(([name]) => name);
    if (first === "params") return replaceAt(tree, path, at, leaf);
    if (first !== "stages" || stages.includes(second)) return merge(tree, nest(path, at, leaf));
    const hint = suggest(second, stages, "its stages");
    problems.push({ at, message: `Cannot set "${key}" as the pipeline has no stage "${second}"`, hint });
    return tree;
  }
  const hint = suggest(key, [...known, "seed", "jobs"], "its parameters") +
    " (options are set by stages.STAGE.with.OPTION=VALUE)";
  problems.push({ at, message: `Cannot set "${key}" as the pipeline has no such parameter`, hint });
  return tree;
}

/** The tree with another value at a path, whatever was there. */
function replaceAt(tree: Tree, [key, ...rest]: readonly string[], at: Place, leaf: Tree): Tree {
  if (key === undefined) return leaf;
  const entries = new Map(entriesOf(tree));
  const old = entries.get(key);
  const under: Tree = old?.node ?? { kind: "map", at, entries: new Map() };
  entries.set(key, { at: old?.at ?? at, node: replaceAt(under, rest, at, leaf) });
  return { kind: "map", at: tree.at, entries };
}

/** A parameter's value; `need` or `wish` says what it is when it was not given and is required or optional. */
export interface Param {
  readonly node: Tree;
  readonly need?: string;
  readonly wish?: string;
}

export function readParams(tree: Tree, allowUnset: boolean, problems: Diagnostic[]): Map<string, Param> {
  const params = new Map<string, Param>();
  for (const [name, { at, node }] of entriesOf(child(tree, "params"))) {
    const required = child(node, "required"), optional = child(node, "optional");
    const open = { kind: "scalar", at, value: unset } as const;
    if (!required) {
      params.set(name, optional ? { node: open, wish: String(toJS(optional)) } : { node });
      continue;
    }
    const need = String(toJS(required));
    params.set(name, { node: open, need });
    const message = `Cannot run as parameter "${name}" is missing: ${need}`;
    if (!allowUnset) problems.push({ at, message, hint: `add --set ${name}=VALUE` });
  }
  return params;
}

/** Puts parameters in: a scalar that is only `${name}` becomes the parameter itself, whatever its type. */
export function interpolate(tree: Tree, params: ReadonlyMap<string, Param>, problems: Diagnostic[]): Tree {
  if (tree.kind === "list") return { ...tree, items: tree.items.map((item) => interpolate(item, params, problems)) };
  if (tree.kind === "map") {
    const entries = [...tree.entries].map(([key, { at, node }]) =>
      [key, { at, node: interpolate(node, params, problems) }] as const
    );
    return { ...tree, entries: new Map(entries) };
  }
  if (typeof tree.value !== "string" && !tree.typed) return tree;
  let missing = false;
  const find = (name: string) => {
    const param = params.get(name);
    if (param) return param.node;
    const hint = suggest(name, [...params.keys()]) ??
      [suggest(name, [...params.keys()], "its parameters"), `$\${${name}} stands for the text itself`].filter(Boolean)
        .join("; ");
    problems.push({ at: tree.at, message: `Cannot use "\${${name}}" as the pipeline has no such parameter`, hint });
    missing = true;
    return undefined;
  };
  const fill = (text: string) =>
    text.replace(/\$?\$\{(\w+)\}/g, (use, name) => {
      if (use.startsWith("$$")) return use.slice(1);
      const node = missing ? undefined : find(name);
      if (isUnset(node)) missing = true;
      return node && !missing ? node.typed?.text ?? String(toJS(node)) : use;
    });
  const [, whole] = /^\$\{(\w+)\}$/.exec(String(tree.value)) ?? [];
  if (whole !== undefined) return find(whole) ?? { ...tree, value: unset };
  const value = typeof tree.value === "string" ? fill(tree.value) : tree.value;
  // A path that begins with one of the command line is one of the command line.
  const [, first = ""] = /^\$\{(\w+)\}/.exec(String(tree.value)) ?? [];
  const begun = params.get(first)?.node.typed && { text: String(value) };
  const typed = missing ? undefined : tree.typed ? { ...tree.typed, text: fill(tree.typed.text) } : begun;
  return { ...tree, value: missing ? unset : value, ...(typed && { typed }) };
}

/** The text that stands for `text` in a pipeline: {@linkcode interpolate} makes it the same again. */
export function escapeText(text: string): string {
  return text.replace(/\$\{\w+\}/g, (use) => `$${use}`);
}
