/**
 * Diagnostics of zod's issues, at the lines of a YAML file: the same words for pipelines, styles and edits.
 *
 * @module
 */
import type { z } from "zod";
import { describeSchema, type JsonSchema, schemaAt, takes } from "./schema_describe.ts";
import { type Diagnostic, getIn, isUnset, type Place, suggest, toJS, type Tree } from "./yaml_tree.ts";

/** Subject of the errors. */
export interface Subject {
  /** The thing itself, such as `stage "train"`. */
  readonly owner: string;
  /** Type of the thing, such as `detector/train`. */
  readonly type: string;
  /** Position for errors about missing keys; by default where the content begins. */
  readonly at?: Place;
}

/** Turns zod's issues into problems at the key or value that they are about. */
export function schemaDiagnostics(error: z.ZodError, tree: Tree, schema: JsonSchema, subject: Subject): Diagnostic[] {
  const { owner, type, at: start = tree.at } = subject;
  const problems: Diagnostic[] = [];
  for (const issue of error.issues) {
    const { path } = issue;
    if (path.some((_, i) => isUnset(getIn(tree, path.slice(0, i + 1))))) continue;
    const label = path.map(String).join(".");
    const node = getIn(tree, path);
    const parent = getIn(tree, path.slice(0, -1)) ?? tree;
    const here = schemaAt(schema, path);
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) {
        const entry = node?.kind === "map" ? node.entries.get(key) : undefined;
        const hint = suggest(key, Object.keys(here?.properties ?? {}), "known keys");
        const inside = label ? `"${label}" of ${owner}` : owner;
        const message = `Cannot use key "${key}" in ${inside}: ${type} has no such key`;
        problems.push({ at: entry?.at ?? node?.at ?? tree.at, message, hint });
      }
      continue;
    }
    const rule = issue.code === "custom" || issue.code === "invalid_format" || !here
      ? issue.message
      : `it must be ${describeSchema(here)}`;
    const about = here?.description && `${label}: ${here.description}`;
    if (!node) {
      const message = `Cannot read ${owner} as "${label}" is missing: ${rule}`;
      problems.push({ at: parent === tree ? start : parent.at, message, hint: about });
    } else {
      const given = toJS(node);
      const value = JSON.stringify(given);
      const choices = here?.enum?.map(String) ?? [];
      const near = typeof given === "string" && !choices.includes(given) ? suggest(given, choices) : undefined;
      const what = label ? `"${label}" in ${owner}` : owner;
      const message = `Cannot read ${what} as ${rule}: current value is ${value}`;
      problems.push({ at: node.at, message, hint: near ?? quotesHint(node, here) ?? about });
    }
  }
  return problems;
}

/** The hint for a number, `true` or `false` where a text is wanted. */
function quotesHint(node: Tree, schema: JsonSchema | undefined): string | undefined {
  if (node.kind !== "scalar" || !schema || schema.enum || !takes(schema, "string")) return undefined;
  if (typeof node.value !== "number" && typeof node.value !== "boolean") return undefined;
  const [written] = /^[^\s,#\]}]*/.exec(node.at.source.text.slice(node.at.offset)) ?? [];
  return `a text that looks like a ${typeof node.value} is put in quotes: "${written}"`;
}
