/**
 * Zod schemas in words: what a value must be, for error messages and for the list of stages.
 *
 * @module
 */
import { z } from "zod";

/** The part of JSON schema that is put into words. */
export interface JsonSchema {
  type?: string;
  enum?: unknown[];
  const?: unknown;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  properties?: Record<string, JsonSchema>;
  required?: string[];
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema;
  prefixItems?: JsonSchema[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minItems?: number;
  maxItems?: number;
  pattern?: string;
  default?: unknown;
  description?: string;
  path?: "folder" | "file" | "file or folder";
  reads?: readonly string[];
}

/** The schema of a stage's options, with unknown keys refused. */
export function optionsOf(spec: { readonly id: string; readonly options: unknown }): z.ZodObject {
  if (spec.options instanceof z.ZodObject) return spec.options.strict();
  throw new TypeError(`Cannot use stage type "${spec.id}" as its options are no z.object()`);
}

/** The schema as JSON schema, seen from what a user writes. */
export function jsonSchema(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: "input", unrepresentable: "any", reused: "inline" }) as JsonSchema;
}

/** The schema of the value at a path, if there is just one. */
export function schemaAt(schema: JsonSchema | undefined, path: readonly PropertyKey[]): JsonSchema | undefined {
  let at = schema;
  for (const key of path) {
    const more = typeof at?.additionalProperties === "object" ? at.additionalProperties : undefined;
    at = typeof key === "number" ? at?.prefixItems?.[key] ?? at?.items : at?.properties?.[String(key)] ?? more;
  }
  return at;
}

/** Tests if a schema takes values of a kind of JSON, such as `string` or `number`. */
export function takes(
  schema: JsonSchema,
  kind: "string" | "number" | "boolean" | "null" | "array" | "object",
): boolean {
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.some((choice) => takes(choice, kind));
  const values = schema.enum ?? (schema.const === undefined ? undefined : [schema.const]);
  if (values) return values.some((value) => (value === null ? "null" : typeof value) === kind);
  return schema.type === undefined || schema.type === kind || schema.type === "integer" && kind === "number";
}

/** Describes what a value must be, such as `a whole number from 1 to 512`. */
export function describeSchema(schema: JsonSchema): string {
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return [...new Set(choices.map(describeSchema))].join(" or ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return `one of ${schema.enum.map((value) => JSON.stringify(value)).join(", ")}`;
  switch (schema.type) {
    case "number":
      return `a number${bounds(schema)}`;
    case "integer":
      return `a whole number${bounds(schema)}`;
    case "string":
      return schema.path ? `the path of a ${schema.path}` : "a text";
    case "boolean":
      return "true or false";
    case "null":
      return "null";
    case "array":
      return `a list${lengths(schema)}${
        schema.items?.type || schema.items?.anyOf ? `, each ${describeSchema(schema.items)}` : ""
      }`;
    case "object":
      return schema.properties ? `a map with ${Object.keys(schema.properties).join(", ")}` : "a map";
    default:
      return "a value";
  }
}

function bounds({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: JsonSchema): string {
  const safe = (n: number | undefined) => n !== undefined && Math.abs(n) < Number.MAX_SAFE_INTEGER;
  const words: string[] = [];
  if (safe(minimum)) words.push(`from ${minimum}`);
  if (safe(exclusiveMinimum)) words.push(`above ${exclusiveMinimum}`);
  if (safe(maximum)) words.push(words.length ? `to ${maximum}` : `up to ${maximum}`);
  if (safe(exclusiveMaximum)) words.push(`below ${exclusiveMaximum}`);
  return words.map((word) => ` ${word}`).join("");
}

function lengths({ minItems, maxItems }: JsonSchema): string {
  if (minItems !== undefined && minItems === maxItems) return ` of ${minItems}`;
  if (minItems) return ` of at least ${minItems}${maxItems ? ` and at most ${maxItems}` : ""}`;
  return maxItems ? ` of at most ${maxItems}` : "";
}

/** The declared paths in an option value: where in the options, what it names, and whether file or folder. */
export interface DeclaredPath {
  readonly key: readonly PropertyKey[];
  readonly path: string;
  readonly what: "folder" | "file" | "file or folder";
  /** Names in a folder that are read; undefined: all. */
  readonly reads: readonly string[] | undefined;
}

/** Finds values whose schema says that they are paths (`folder()`, `file()` of stage.ts). */
export function declaredPaths(schema: JsonSchema, value: unknown, key: readonly PropertyKey[] = []): DeclaredPath[] {
  if (typeof value === "string") {
    const { path: what, reads } = schema.path ? schema : (schema.anyOf ?? schema.oneOf)?.find(({ path }) => path) ?? {};
    return what ? [{ key, path: value, what, reads }] : [];
  }
  if (typeof value !== "object" || value === null) return [];
  const keyed = Array.isArray(value) ? value.map((item, i) => [i, item] as const) : Object.entries(value);
  return keyed.flatMap(([name, item]) => {
    const inner = schemaAt(schema, [name]);
    return inner ? declaredPaths(inner, item, [...key, name]) : [];
  });
}
