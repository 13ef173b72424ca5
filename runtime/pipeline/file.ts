/**
 * Reads a pipeline: YAML to checked stages in the order of their dependencies. Touches no GPU and writes nothing.
 *
 * @module
 */
import { stringify } from "yaml";
import { z } from "zod";
import { renamedHint } from "../../formats/renamed.ts";
import { type JsonSchema, jsonSchema } from "../../formats/schema_describe.ts";
import { schemaDiagnostics } from "../../formats/schema_diagnostics.ts";
import {
  child,
  type Diagnostic,
  entriesOf,
  type Entry,
  lineOf,
  merge,
  nest,
  PipelineError,
  type Place,
  suggest,
  toJS,
  type Tree,
} from "../../formats/yaml_tree.ts";
import type { AnyStage } from "../stage.ts";
import { checkStages } from "./check.ts";
import { connect, type Draft, needsOf, sort } from "./inputs.ts";
import { expandMatrix, type Variant } from "./matrix.ts";
import { withoutOptional } from "./optional.ts";
import { type Folders, readOptions } from "./options.ts";
import {
  applySet,
  escapeText,
  interpolate,
  type Param,
  readParams,
  readTree,
  rootsOf,
  type SourceOptions,
} from "./source.ts";

export { PipelineFileError } from "./source.ts";

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
  /** Origin of each option: `default`, `--set KEY=VALUE`, or `file:line`. */
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
  /** Purpose of the pipeline. */
  readonly doc: string;
  /** 0 to 2^32 - 1; each stage has its own, made from it. */
  readonly seed: number;
  /** Most stages that run side by side. */
  readonly jobs: number;
  /** GPUs to compute on, each by its number or a part of its name; none for the default one. */
  readonly device: readonly string[];
  /** The file it came from. */
  readonly file: string;
  /** Values that were set, `key=value`. */
  readonly set: readonly string[];
  /** Stages, in an order in which they can run. */
  readonly stages: readonly PipelineStage[];
  /** Required parameters that were not given, with what they are; empty unless `allowUnset`. */
  readonly unset: Readonly<Record<string, string>>;
  /** The pipeline as YAML with `extends`, parameters and defaults resolved. */
  readonly resolved: string;
}

/** Options of {@linkcode readPipeline}. */
export interface ReadOptions extends SourceOptions {
  /** Lets required parameters be left out, as in `validate`. */
  readonly allowUnset?: boolean;
  /** Keeps the stages of optional parameters that are left out, as in `validate`. */
  readonly keepOptional?: boolean;
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
const gpu = z.union([z.int().min(0), z.string().min(1)]);
const fileSchema = z.strictObject({
  name: z.string().regex(word, wordRule).optional().describe("Folder of the run; by default the name of the file"),
  doc: z.string().optional().describe("What the pipeline is for"),
  extends: z.string().optional().describe("A pipeline to start from; relative to this file"),
  seed: z.int().min(0).max(2 ** 32 - 1).optional().describe("What all random numbers are made from"),
  jobs: z.int().min(1).max(16).optional().describe(
    "Most stages that run side by side, each with the GPU's memory that it takes; by default 1",
  ),
  device: z.union([gpu, z.array(gpu).min(1)]).optional().describe(
    "GPU to compute on, by its number in deno task doctor --list or a part of its name; a list shares out the stages that " +
      "run side by side. --gpu takes precedence",
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
  const folders = { roots, from: options.from ?? "." };
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
  const wishes = [...params].flatMap(([name, { wish }]) => wish === undefined ? [] : [[name, wish] as const]);
  const absent = new Set(options.keepOptional ? [] : wishes.map(([name]) => name));
  const whole = entriesOf(child(tree, "stages"));
  const entries = withoutOptional(whole, absent);
  if (whole.length && !entries.length) {
    const message = "Cannot run as no stage is left without the optional parameters";
    const hint = `add --set ${wishes.map(([name, wish]) => `${name}=VALUE (${wish})`).join(" or ")}`;
    problems.push({ at: tree.at, message, hint });
  }
  for (const [id, { at }] of entries) {
    if (!word.test(id)) problems.push({ at, message: `Cannot name a stage "${id}" as ${wordRule}` });
  }

  const drafts = await readStages(entries, params, registry, folders, problems);
  // A wrong matrix makes no stages, and checks of inputs would report errors that follow from that alone.
  if (!drafts) throw fail();
  connect(drafts, problems);
  const order = sort(drafts, problems);
  await checkStages(order, problems);
  if (problems.length) throw fail();

  const name = String(toJS(child(tree, "name")!));
  const seed = Number(plainAt(tree, "seed") ?? 0);
  const jobs = Number(plainAt(tree, "jobs") ?? 1);
  const device = [plainAt(tree, "device") ?? []].flat().map(String);
  const stages = order.map((draft) => finish(draft, seed));
  const doc = String(plainAt(tree, "doc") ?? "");
  const missing = Object.fromEntries([...params].flatMap(([key, { need }]) => need ? [[key, need]] : []));
  const resolved = resolvedYaml({ name, seed, jobs, ...(device.length && { device }) }, stages);
  return { name, doc, seed, jobs, device, file, set: options.set ?? [], stages, unset: missing, resolved };
}

/** Reads the stages of a pipeline, one or more for each entry; undefined if a matrix is wrong. */
async function readStages(
  entries: readonly (readonly [string, Entry])[],
  params: ReadonlyMap<string, Param>,
  registry: Registry,
  folders: Folders,
  problems: Diagnostic[],
): Promise<Draft[] | undefined> {
  const before = problems.length;
  const variants = expandMatrix(entries, (node) => interpolate(node, params, problems), problems);
  const varied = problems.length === before;
  const drafts: Draft[] = [];
  // Variants of a stage have the same faults: one is enough.
  const faulty = new Set<string>();
  for (const variant of variants) {
    const found: Diagnostic[] = [];
    const given = new Map([...params, ...[...variant.values].map(([key, node]) => [key, { node }] as const)]);
    drafts.push(await readStage(variant, interpolate(variant.node, given, found), registry, folders, found));
    if (!faulty.has(variant.of)) problems.push(...found);
    if (found.length) faulty.add(variant.of);
  }
  return varied ? drafts : undefined;
}

/** A pipeline as YAML, with all defaults. */
function resolvedYaml(head: Readonly<Record<string, unknown>>, stages: readonly PipelineStage[]): string {
  const steps = stages.map(({ id, spec, inputs, options }) => [
    id,
    { uses: spec.id, in: inputs, with: escapeTexts(options) },
  ]);
  return stringify({ ...head, stages: Object.fromEntries(steps) });
}

/** A value with each of its texts as a pipeline writes it. */
function escapeTexts(value: unknown): unknown {
  if (typeof value === "string") return escapeText(value);
  if (Array.isArray(value)) return value.map(escapeTexts);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, escapeTexts(item)]));
}

/** Removes entries for stages of an earlier version of the pipeline, and reports each of them. */
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

async function readStage(
  { id, of, at, values }: Variant,
  tree: Tree,
  registry: Registry,
  folders: Folders,
  problems: Diagnostic[],
): Promise<Draft> {
  const seed = values.get("seed");
  const draft = { id, of, at, tree, seed: seed && Number(toJS(seed)), valid: false, inputs: {}, all: [], files: [] };
  const uses = child(tree, "uses");
  if (uses?.kind !== "scalar" || typeof uses.value !== "string") {
    return { ...draft, spec: undefined, options: {} };
  }
  const load = Object.hasOwn(registry, uses.value) ? registry[uses.value] : undefined;
  if (!load) {
    const hint = suggest(uses.value, Object.keys(registry), "stage types");
    problems.push({ at: uses.at, message: `Cannot run stage "${id}" as there is no stage type "${uses.value}"`, hint });
    return { ...draft, spec: undefined, options: {} };
  }
  const spec = await load();
  return { ...draft, spec, ...await readOptions(id, at, child(tree, "with"), spec, folders, problems) };
}

function finish(draft: Draft, runSeed: number): PipelineStage {
  const { id, of, seed = runSeed, spec, options, inputs, files } = draft;
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
