/**
 * Reads a pipeline: YAML to checked stages in the order of their dependencies. Touches no GPU and writes nothing.
 *
 * @module
 */
import { stringify } from "yaml";
import { z } from "zod";
import { basename, dirname, join } from "node:path";
import { InputError } from "../../formats/input_error.ts";
import { connect, type Draft, needsOf, sort } from "./inputs.ts";
import { expandMatrix, type Variant } from "./matrix.ts";
import { renamedHint } from "../../formats/renamed.ts";
import { schemaDiagnostics } from "../../formats/schema_diagnostics.ts";
import { declaredPaths, type JsonSchema, jsonSchema, optionsOf } from "../../formats/schema_describe.ts";
import type { AnyStage } from "../stage.ts";
import {
  child,
  type Diagnostic,
  entriesOf,
  getIn,
  isUnset,
  lineOf,
  merge,
  nest,
  parseYaml,
  PipelineError,
  type Place,
  suggest,
  toJS,
  type Tree,
  unset,
} from "../../formats/yaml_tree.ts";

/** Stage types by id; each is loaded when a pipeline uses it. */
export type Registry = Readonly<Record<string, () => Promise<AnyStage>>>;

/** A stage of a pipeline, checked. */
export interface PipelineStage {
  /** Its name in the pipeline, and of its folder; `name@key=value` if a matrix made it. */
  readonly id: string;
  /** Its name in the file, which is the id unless a matrix made it. */
  readonly of: string;
  /** The pipeline's seed, or that of the matrix; the stage's own is made from it and `stream`. */
  readonly seed: number;
  /** Name of its random stream, by default the name in the file. */
  readonly stream: string;
  /** Its type. */
  readonly spec: AnyStage;
  /** Options with defaults filled in. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Where each option came from: `default`, `--set KEY=VALUE`, or `file:line`. */
  readonly origins: Readonly<Record<string, string>>;
  /** Ids of the stages behind each input; an input that was left out is missing. */
  readonly inputs: Readonly<Record<string, readonly string[]>>;
  /** All stages that must be done before. */
  readonly needs: readonly string[];
  /** Files and folders outside the run that the stage reads. */
  readonly files: readonly string[];
}

/** A checked pipeline. */
export interface Pipeline {
  /** Name of the run's folder. */
  readonly name: string;
  /** What it is for. */
  readonly doc: string;
  /** 0 to 2^32 - 1; each stage has its own, made from it. */
  readonly seed: number;
  /** Most stages that run side by side. */
  readonly jobs: number;
  /** The file it came from. */
  readonly file: string;
  /** In an order in which they can run. */
  readonly stages: readonly PipelineStage[];
  /** Required parameters that were not given, with what they are; empty unless `allowUnset`. */
  readonly unset: Readonly<Record<string, string>>;
  /** The pipeline as YAML with `extends`, parameters and defaults resolved. */
  readonly resolved: string;
}

/** How to read a pipeline. */
export interface ReadOptions {
  /** `key=value` texts: a parameter's name, `seed`, `jobs`, or a dotted path such as `stages.x.with.steps`. */
  readonly set?: readonly string[];
  /** Whether required parameters may be left out, as in `validate`. */
  readonly allowUnset?: boolean;
  /**
   * Folders in which files may lie that the pipeline reads, beside the current folder, that of the pipeline, and paths that
   * `set` names.
   */
  readonly roots?: readonly string[];
}

const word = /^[a-z][a-z0-9_-]*$/;
const wordRule = "it must be lower-case letters, digits, _ and -, a letter first";
const input = z.union([z.string(), z.array(z.string()).min(1)]);
const stageSchema = z.strictObject({
  uses: z.string().describe("Type of the stage"),
  stream: z.string().regex(word, wordRule).optional().describe(
    "Name that its random numbers are made from; by default its own. With its old name here, a stage that is renamed " +
      "makes the same again",
  ),
  doc: z.string().optional().describe("What it is for"),
  in: z.record(z.string(), input).nullish().describe("The stages it takes from, by input"),
  matrix: z.record(z.string().regex(/^\w+$/), z.union([z.array(z.unknown()).min(1), z.string()])).nullish().describe(
    "Lists of values; the stage and those that take from it stand once for each combination",
  ),
  with: z.record(z.string(), z.unknown()).nullish().describe("Options"),
});
const fileSchema = z.strictObject({
  name: z.string().regex(word, wordRule).optional().describe("Folder of the run; by default the name of the file"),
  doc: z.string().optional().describe("What the pipeline is for"),
  extends: z.string().optional().describe("A pipeline to start from; relative to this file"),
  seed: z.int().min(0).max(2 ** 32 - 1).optional().describe("What all random numbers are made from"),
  jobs: z.int().min(1).max(16).optional().describe(
    "Most stages that run side by side, each with the GPU's memory that it takes; by default 1",
  ),
  params: z.record(z.string(), z.unknown()).nullish().describe("Values that ${name} stands for, changed by --set"),
  stages: z.record(z.string(), stageSchema).describe("Stages by name"),
});

/** JSON schema of a pipeline file, options of stages aside. */
export const pipelineJsonSchema: JsonSchema = jsonSchema(fileSchema);

/**
 * Reads and checks a pipeline file.
 *
 * @param file Path of the YAML file.
 * @param registry Stage types that may be used.
 * @throws {PipelineError} With everything that is wrong, each with file, line and column.
 */
export async function readPipeline(file: string, registry: Registry, options: ReadOptions = {}): Promise<Pipeline> {
  const problems: Diagnostic[] = [];
  const fail = () => new PipelineError(problems, file);
  const roots = await rootsOf(file, options);
  let tree = await readTree(file, [], roots, problems);
  if (!tree) throw fail();
  for (const text of options.set ?? []) tree = applySet(tree, text, problems);

  tree = withoutRenamed(tree, problems);
  const shape = fileSchema.safeParse(toJS(tree));
  if (!shape.success) {
    const about = { owner: "the pipeline", type: "a pipeline" };
    problems.push(...schemaDiagnostics(shape.error, tree, pipelineJsonSchema, about));
  }
  const params = readParams(tree, options.allowUnset ?? false, problems);
  const entries = entriesOf(child(tree, "stages"));
  for (const [id, { at }] of entries) {
    if (!word.test(id)) problems.push({ at, message: `Cannot name a stage "${id}" as ${wordRule}` });
  }

  const drafts: Draft[] = [];
  // Variants of a stage have the same faults: one is enough.
  const faulty = new Set<string>();
  const before = problems.length;
  const variants = expandMatrix(entries, (node) => interpolate(node, params, problems), problems);
  const varied = problems.length === before;
  for (const variant of variants) {
    const found: Diagnostic[] = [];
    const given = new Map([...params, ...[...variant.values].map(([key, node]) => [key, { node }] as const)]);
    drafts.push(await readStage(variant, interpolate(variant.node, given, found), registry, roots, found));
    if (!faulty.has(variant.of)) problems.push(...found);
    if (found.length) faulty.add(variant.of);
  }
  // Without its stages a wrong matrix would have more wrong than there is.
  if (!varied) throw fail();
  connect(drafts, problems);
  const order = sort(drafts, problems);
  if (problems.length) throw fail();

  const name = String(toJS(child(tree, "name")!));
  const seed = Number(plainAt(tree, "seed") ?? 0);
  const jobs = Number(plainAt(tree, "jobs") ?? 1);
  const stages = order.map((draft) => finish(draft, seed));
  const doc = String(plainAt(tree, "doc") ?? "");
  const missing = Object.fromEntries([...params].flatMap(([key, { need }]) => need ? [[key, need]] : []));
  const steps = stages.map(({ id, spec, inputs, options }) => [id, { uses: spec.id, in: inputs, with: options }]);
  const resolved = stringify({ name, seed, jobs, stages: Object.fromEntries(steps) });
  return { name, doc, seed, jobs, file, stages, unset: missing, resolved };
}

/** Takes out what changes stages that an earlier version of the pipeline had, each of them a problem. */
function withoutRenamed(tree: Tree, problems: Diagnostic[]): Tree {
  const stages = entriesOf(child(tree, "stages"));
  const known = stages.flatMap(([id, { node }]) => child(node, "uses") ? [id] : []);
  return stages.reduce((rest, [id, { at, node }]) => {
    const hint = child(node, "uses") ? undefined : renamedHint(id, known);
    if (!hint) return rest;
    problems.push({ at, message: `Cannot change stage "${id}" as there is no such stage`, hint });
    return merge(rest, nest(["stages", id], at, { kind: "scalar", at, value: null }));
  }, tree);
}

/** The file's tree laid upon those it extends. The name is the file's own, by default its base name. */
async function readTree(
  file: string,
  above: readonly string[],
  roots: readonly string[],
  problems: Diagnostic[],
): Promise<Tree | null> {
  const tree = parseYaml({ name: file, text: await readText(file) }, problems);
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
async function rootsOf(file: string, { set = [], roots = [] }: ReadOptions): Promise<string[]> {
  const named = set.map((text) => text.slice(text.indexOf("=") + 1).trim().replace(/^(["'])(.*)\1$/, "$2"));
  const paths = [".", dirname(file), ...roots, ...named.filter((text) => text && !text.includes("\0"))];
  const real = await Promise.all(paths.map((path) => Deno.realPath(path).catch(() => undefined)));
  return real.filter((path) => path !== undefined);
}

/** Whether a path, with links followed, lies in one of the folders; a path that leads nowhere lies in all. */
async function liesIn(path: string, roots: readonly string[]): Promise<boolean> {
  const real = await Deno.realPath(path).catch(() => undefined);
  return real === undefined || roots.some((root) => real === root || real.startsWith(root.replace(/\/?$/, "/")));
}

async function outside(path: string): Promise<string> {
  return `it leads to ${await Deno.realPath(path)}, outside of the project`;
}

async function readText(file: string): Promise<string> {
  try {
    return await Deno.readTextFile(file);
  } catch (error) {
    const reason = error instanceof Deno.errors.NotFound ? "there is no such file" : (error as Error).message;
    throw new PipelineFileError(`Cannot read pipeline ${file} as ${reason}`);
  }
}

/** The pipeline file itself cannot be read. */
export class PipelineFileError extends InputError {
  /** The class. */
  override readonly name = "PipelineFileError";
}

/** Applies one `key=value`; the value is YAML. */
function applySet(tree: Tree, text: string, problems: Diagnostic[]): Tree {
  const at: Place = { source: { name: "--set", text }, offset: 0 };
  const [, key, value] = /^([\w.-]+)=(.*)$/s.exec(text) ?? [];
  if (key === undefined || value === undefined) {
    problems.push({ at, message: `Cannot set "${text}" as it is not key=value`, hint: "write --set steps=100" });
    return tree;
  }
  // Blanks instead of the key keep the columns right.
  const leaf: Tree | null = value === ""
    ? { kind: "scalar", at: { ...at, offset: text.length }, value: "" }
    : parseYaml(at.source, problems, `${" ".repeat(key.length + 1)}${value}`);
  if (!leaf) return tree;
  const path = key.split(".");
  const known = entriesOf(child(tree, "params")).map(([name]) => name);
  if (path.length === 1 && known.includes(key)) return merge(tree, nest(["params", key], at, leaf));
  if (key === "seed" || key === "jobs" || path[0] === "stages" && path.length > 2 || path[0] === "params") {
    const stages = entriesOf(child(tree, "stages")).map(([name]) => name);
    if (path[0] !== "stages" || stages.includes(path[1]!)) return merge(tree, nest(path, at, leaf));
    const hint = suggest(path[1]!, stages, "its stages");
    problems.push({ at, message: `Cannot set "${key}" as the pipeline has no stage "${path[1]}"`, hint });
    return tree;
  }
  const hint = suggest(key, [...known, "seed", "jobs"], "its parameters") +
    " (options are set by stages.STAGE.with.OPTION=VALUE)";
  problems.push({ at, message: `Cannot set "${key}" as the pipeline has no such parameter`, hint });
  return tree;
}

/** A parameter's value; `need` says what it is when it is required and was not given. */
interface Param {
  readonly node: Tree;
  readonly need?: string;
}

function readParams(tree: Tree, allowUnset: boolean, problems: Diagnostic[]): Map<string, Param> {
  const params = new Map<string, Param>();
  for (const [name, { at, node }] of entriesOf(child(tree, "params"))) {
    const required = child(node, "required");
    if (!required) {
      params.set(name, { node });
      continue;
    }
    const need = String(toJS(required));
    params.set(name, { node: { kind: "scalar", at, value: unset }, need });
    const message = `Cannot run as parameter "${name}" is missing: it is ${need}`;
    if (!allowUnset) problems.push({ at, message, hint: `add --set ${name}=VALUE` });
  }
  return params;
}

/** Puts parameters in: a scalar that is only `${name}` becomes the parameter itself, whatever its type. */
function interpolate(tree: Tree, params: Map<string, Param>, problems: Diagnostic[]): Tree {
  if (tree.kind === "list") return { ...tree, items: tree.items.map((item) => interpolate(item, params, problems)) };
  if (tree.kind === "map") {
    const entries = [...tree.entries].map(([key, { at, node }]) =>
      [key, { at, node: interpolate(node, params, problems) }] as const
    );
    return { ...tree, entries: new Map(entries) };
  }
  if (typeof tree.value !== "string") return tree;
  let missing = false;
  const find = (name: string) => {
    const param = params.get(name);
    if (param) return param.node;
    const hint = suggest(name, [...params.keys()], "its parameters");
    problems.push({ at: tree.at, message: `Cannot use "\${${name}}" as the pipeline has no such parameter`, hint });
    missing = true;
    return undefined;
  };
  const whole = /^\$\{(\w+)\}$/.exec(tree.value);
  if (whole) return find(whole[1]!) ?? { ...tree, value: unset };
  const value = tree.value.replace(/\$\{(\w+)\}/g, (text, name) => {
    const node = find(name);
    if (isUnset(node)) missing = true;
    return node && !missing ? String(toJS(node)) : text;
  });
  return { ...tree, value: missing ? unset : value };
}

async function readStage(
  { id, of, at, values }: Variant,
  tree: Tree,
  registry: Registry,
  roots: readonly string[],
  problems: Diagnostic[],
): Promise<Draft> {
  const seed = values.get("seed");
  const draft = { id, of, at, tree, seed: seed && Number(toJS(seed)), inputs: {}, all: [], files: [] };
  const uses = child(tree, "uses");
  if (uses?.kind !== "scalar" || typeof uses.value !== "string") {
    return { ...draft, spec: undefined, options: undefined };
  }
  const load = Object.hasOwn(registry, uses.value) ? registry[uses.value] : undefined;
  if (!load) {
    const hint = suggest(uses.value, Object.keys(registry), "stage types");
    problems.push({ at: uses.at, message: `Cannot run stage "${id}" as there is no stage type "${uses.value}"`, hint });
    return { ...draft, spec: undefined, options: undefined };
  }
  const spec = await load();
  const { options, files } = await readOptions(id, at, child(tree, "with"), spec, roots, problems);
  return { ...draft, spec, options, files };
}

async function readOptions(
  id: string,
  at: Place,
  tree: Tree | undefined,
  spec: AnyStage,
  roots: readonly string[],
  problems: Diagnostic[],
) {
  const given = tree?.kind === "map" ? tree : { kind: "map" as const, at, entries: new Map() };
  const schema = optionsOf(spec);
  const json = jsonSchema(schema);
  const parsed = schema.safeParse(toJS(given));
  if (!parsed.success) {
    problems.push(...schemaDiagnostics(parsed.error, given, json, { owner: `stage "${id}"`, type: spec.id, at }));
  }
  const files: string[] = [];
  for (const { key, path, what } of declaredPaths(json, parsed.data ?? toJS(given))) {
    const place = getIn(given, key)?.at ?? at;
    files.push(path);
    const info = await Deno.stat(path).catch(() => undefined);
    const is = info?.isDirectory ? "a folder" : info ? "a file" : "missing";
    if (is === `a ${what}`) {
      if (await liesIn(path, roots)) continue;
      const message = `Cannot read "${key.join(".")}" in stage "${id}" as ${await outside(
        path,
      )}: current value is "${path}"`;
      const hint = `only the command line may name it: --set stages.${id.replace(/@.*/, "")}.with.${
        key.join(".")
      }=${path}`;
      problems.push({ at: place, message, hint });
      continue;
    }
    const hint = "paths are relative to the folder in which the command is run";
    const message = `Cannot read "${
      key.join(".")
    }" in stage "${id}" as the ${what} is ${is}: current value is "${path}"`;
    problems.push({ at: place, message, hint });
  }
  if (parsed.success && problems.length === 0) {
    try {
      for (const path of spec.files?.(parsed.data as never) ?? []) {
        files.push(path);
        if (await Deno.stat(path).catch(() => undefined)) {
          if (await liesIn(path, roots)) continue;
          problems.push({ at, message: `Cannot read "${path}", which stage "${id}" needs, as ${await outside(path)}` });
          continue;
        }
        const near = [...Deno.readDirSync(dirname(path))].map(({ name }) => join(dirname(path), name));
        const message = `Cannot read "${path}", which stage "${id}" needs, as there is no such file`;
        problems.push({ at, message, hint: suggest(path, near) });
      }
    } catch (error) {
      problems.push({ at, message: `Cannot find the files that stage "${id}" reads: ${(error as Error).message}` });
    }
  }
  // Without those that are not given yet, a plan can tell something.
  return { options: parsed.data ?? toJS(given) as Record<string, unknown>, files };
}

function finish(draft: Draft, runSeed: number): PipelineStage {
  const { id, of, seed = runSeed, spec, options = {}, inputs, files } = draft;
  const given = child(draft.tree, "with");
  const origins = Object.keys(options).map((key) => {
    const node = child(given, key);
    return [key, node ? originOf(node.at) : "default"];
  });
  return {
    id,
    of,
    seed,
    stream: String(plainAt(draft.tree, "stream") ?? of),
    spec: spec!,
    options,
    origins: Object.fromEntries(origins),
    inputs,
    needs: needsOf(draft),
    files,
  };
}

function originOf(place: Place): string {
  const { name, text } = place.source;
  return name === "--set" ? `--set ${text}` : `${name}:${lineOf(place).line}`;
}

function plainAt(tree: Tree, key: string): unknown {
  const node = child(tree, key);
  return node && toJS(node);
}
