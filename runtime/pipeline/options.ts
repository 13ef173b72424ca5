/**
 * Options of a stage: checked by the schema of its type, with the files and folders that they name.
 *
 * @module
 */
import { dirname, isAbsolute, join, resolve } from "node:path";
import { InputError } from "../../formats/input_error.ts";
import {
  declaredPaths,
  type JsonSchema,
  jsonSchema,
  optionsOf,
  schemaAt,
  takes,
} from "../../formats/schema_describe.ts";
import { schemaDiagnostics } from "../../formats/schema_diagnostics.ts";
import {
  type Diagnostic,
  getIn,
  isUnset,
  type Place,
  suggest,
  toJS,
  type Tree,
  unset,
} from "../../formats/yaml_tree.ts";
import type { AnyOptions, AnyStage } from "../stage.ts";
import { liesIn, outside, pathFrom } from "./source.ts";
import { shellWord } from "./shell.ts";

/** Folders that paths in options are about. */
export interface Folders {
  /** Real paths of the folders and files that may be read. */
  readonly roots: readonly string[];
  /** Folder in which relative paths of the command line lie. */
  readonly from: string;
}

/** Values of the command line as their options take them: a text as it was typed, any other by its YAML. */
function asTaken(tree: Tree, schema: JsonSchema | undefined, folders: Folders, problems: Diagnostic[]): Tree {
  const { at, typed } = tree;
  if (typed && schema) {
    const value = toJS(tree);
    const kind = value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
    const fits =
      (kind === "number" || kind === "boolean" || kind === "null" || kind === "array" || kind === "object") &&
      takes(schema, kind) && !typed.problem;
    if (!fits && takes(schema, "string")) {
      const isPath = schema.path ?? (schema.anyOf ?? schema.oneOf)?.find((choice) => choice.path);
      const text = isPath && typed.text ? pathFrom(typed.text, folders.from) : typed.text;
      return { kind: "scalar", at, value: isUnset(tree) ? unset : text };
    }
    if (typed.problem) {
      problems.push(typed.problem);
      return { kind: "scalar", at, value: unset };
    }
  }
  if (tree.kind === "list") {
    return { ...tree, items: tree.items.map((item, i) => asTaken(item, schemaAt(schema, [i]), folders, problems)) };
  }
  if (tree.kind !== "map") return tree;
  const entries = [...tree.entries].map(([key, { at, node }]) =>
    [key, { at, node: asTaken(node, schemaAt(schema, [key]), folders, problems) }] as const
  );
  return { kind: "map", at, entries: new Map(entries) };
}

/** Checks the options of a stage; options that are not given yet are left out, so that a plan needs no others. */
export async function readOptions(
  id: string,
  at: Place,
  tree: Tree | undefined,
  spec: AnyStage,
  folders: Folders,
  problems: Diagnostic[],
): Promise<{ options: AnyOptions; valid: boolean; files: string[] }> {
  const schema = optionsOf(spec);
  const json = jsonSchema(schema);
  const given = asTaken(tree?.kind === "map" ? tree : { kind: "map", at, entries: new Map() }, json, folders, problems);
  const parsed = schema.safeParse(toJS(given));
  if (!parsed.success) {
    problems.push(...schemaDiagnostics(parsed.error, given, json, { owner: `stage "${id}"`, type: spec.id, at }));
  }
  const options = parsed.data ?? toJS(given) as AnyOptions;
  const files: string[] = [];
  const refuse = (place: Place, what: string, reason: string, hint?: string) =>
    problems.push({ at: place, message: `Cannot read ${what} as ${reason}`, hint });
  for (const { key, path, what, reads } of declaredPaths(json, options)) {
    const place = getIn(given, key)?.at ?? at;
    files.push(...reads?.map((name) => join(path, name)) ?? [path]);
    const info = await Deno.stat(path).catch(() => undefined);
    const is = info?.isDirectory ? "a folder" : info ? "a file" : "missing";
    const name = key.join("."), option = `"${name}" in stage "${id}"`;
    if (what === "file or folder" ? !info : is !== `a ${what}`) {
      const ofFile = place.source.name !== "--set" && resolve(folders.from) !== Deno.cwd();
      const hint = isAbsolute(path)
        ? undefined
        : ofFile
        ? `paths in a pipeline are relative to ${Deno.cwd()}`
        : "paths are relative to the folder in which the command is run";
      refuse(place, option, `the ${what} is ${is}: current value is "${path}"`, hint);
    } else if (!await liesIn(path, folders.roots)) {
      const hint = `only the command line may name it: --set ${
        shellWord(`stages.${id.replace(/@.*/, "")}.with.${name}=${path}`)
      }`;
      refuse(place, option, `${await outside(path)}: current value is "${path}"`, hint);
    }
  }
  if (!parsed.success || problems.length) return { options, valid: false, files };
  try {
    for (const path of spec.files?.(options) ?? []) {
      files.push(path);
      const needed = `"${path}", which stage "${id}" needs,`;
      if (!await Deno.stat(path).catch(() => undefined)) {
        const near = [...Deno.readDirSync(dirname(path))].map(({ name }) => join(dirname(path), name));
        refuse(at, needed, "there is no such file", suggest(path, near));
      } else if (!await liesIn(path, folders.roots)) refuse(at, needed, await outside(path));
    }
  } catch (error) {
    if (!(error instanceof InputError || error instanceof Deno.errors.NotFound)) throw error;
    problems.push({ at, message: `Cannot find the files that stage "${id}" reads: ${error.message}` });
  }
  return { options, valid: problems.length === 0, files };
}
