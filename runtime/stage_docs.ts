/**
 * Documentation of the stage types, for people (`docs/stages.md`) and for editors (`pipelines/schema.json`).
 *
 * @module
 */
import { pipelineJsonSchema } from "./pipeline/file.ts";
import { describeSchema, type JsonSchema, jsonSchema, optionsOf } from "../formats/schema_describe.ts";
import type { AnyStage } from "./stage.ts";

/** Describes an input of a stage type. */
function inputInWords(key: string, kind: string): string {
  const what = kind === "any" ? "any stage" : `a ${kind}`;
  if (key.endsWith("*")) return `${what}, or a list of them`;
  return key.endsWith("?") ? `${what}; optional` : what;
}

/** One page in Markdown about all stage types. */
export function stagesPage(specs: readonly AnyStage[]): string {
  const out = [
    "# Stages",
    "",
    "<!-- Written by `deno task docs` from the stages' schemas. -->",
    "",
    "All stage types (`uses`) of a pipeline with their inputs (`in`) and options (`with`).",
    "",
    ...specs.map(({ id }) => `- [${id}](#${id.replaceAll("/", "")})`),
  ];
  for (const spec of specs) {
    out.push("", `## ${spec.id}`, "", spec.doc, "");
    const inputs = Object.entries(spec.inputs);
    out.push(`Output: a ${spec.output}. ${inputs.length ? "Inputs:" : "No inputs."}`);
    if (inputs.length) out.push("");
    for (const [key, kind] of inputs) out.push(`- \`${key.replace(/[?*]$/, "")}\`: ${inputInWords(key, kind)}`);
    const options = describeOptions(jsonSchema(optionsOf(spec)))
      .map(({ name, text, depth }) => `${"  ".repeat(depth)}- \`${name}\`: ${text}`);
    out.push("", options.length ? "Options:" : "It has no options.");
    if (options.length) out.push("", ...options);
  }
  return `${out.join("\n")}\n`;
}

/** An option of a stage type in words. */
export interface OptionText {
  /** Its name. */
  readonly name: string;
  /** Description, and in brackets what it must be. */
  readonly text: string;
  /** Number of options that it lies in. */
  readonly depth: number;
}

/** Describes options, each followed by those that lie in it. */
export function describeOptions({ properties = {}, required = [] }: JsonSchema, depth = 0): OptionText[] {
  return Object.entries(properties).flatMap(([name, schema]) => {
    const inner = [schema, ...schema.anyOf ?? []].find((choice) => choice.properties);
    const rule = inner && inner !== schema ? "a map or null" : inner ? "a map" : describeSchema(schema);
    const fallback = schema.default === undefined || inner ? "" : `; default ${JSON.stringify(schema.default)}`;
    const need = required.includes(name) ? "; required" : "";
    const text = `${schema.description?.replace(/\.$/, "") ?? ""} (${rule}${fallback}${need})`.trimStart();
    return [{ name, text, depth }, ...inner ? describeOptions(inner, depth + 1) : []];
  });
}

/**
 * The JSON schema of pipeline files, by which editors complete and check them.
 *
 * It asks for what a stage must have only in a file that extends no other, as that may have given it, and lets a
 * parameter stand for any value.
 */
export function pipelinesSchema(specs: readonly AnyStage[]): Record<string, unknown> {
  const { properties = {} } = pipelineJsonSchema;
  const stage = properties["stages"]!.additionalProperties as JsonSchema;
  const stages = {
    ...loosened(stage),
    properties: {
      ...loosened(stage).properties,
      uses: { oneOf: specs.map(({ id, doc }) => ({ const: id, description: doc })) },
    },
    allOf: specs.map((spec) => ({
      if: { properties: { uses: { const: spec.id } }, required: ["uses"] },
      then: {
        properties: {
          in: {
            type: ["object", "null"],
            properties: Object.fromEntries(
              Object.entries(spec.inputs).map(([key, kind]) => [
                key.replace(/[?*]$/, ""),
                {
                  description: `Input: ${inputInWords(key, kind)}`,
                  ...key.endsWith("*") ? { type: ["string", "array"], items: { type: "string" } } : { type: "string" },
                },
              ]),
            ),
            additionalProperties: false,
          },
          with: orNull(loosened(jsonSchema(optionsOf(spec)))),
        },
      },
    })),
  };
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "A pipeline of Facewright",
    type: "object",
    properties: {
      ...loosened(pipelineJsonSchema).properties,
      seed: properties["seed"],
      stages: { type: "object", additionalProperties: { anyOf: [{ type: "null" }, stages] } },
    },
    additionalProperties: false,
    if: { not: { required: ["extends"] } },
    then: {
      required: ["stages"],
      properties: { stages: { additionalProperties: { required: ["uses"], allOf: specs.flatMap(requirements) } } },
    },
  };
}

/** Keys that a stage must have if the pipeline extends no other. */
function requirements(spec: AnyStage) {
  const needed = {
    in: Object.keys(spec.inputs).filter((key) => !key.endsWith("?")).map((key) => key.replace("*", "")),
    with: jsonSchema(optionsOf(spec)).required ?? [],
  };
  const parts = Object.entries(needed).filter(([, keys]) => keys.length);
  return parts.length === 0 ? [] : [{
    if: { properties: { uses: { const: spec.id } }, required: ["uses"] },
    then: {
      required: parts.map(([part]) => part),
      properties: Object.fromEntries(parts.map(([part, keys]) => [part, { required: keys }])),
    },
  }];
}

const orNull = (schema: JsonSchema) => ({ ...schema, type: ["object", "null"] });

/** The schema with no key required, in which `${name}` may stand for any value. */
function loosened(schema: JsonSchema, top = true): JsonSchema {
  const { required: _required, path: _path, reads: _reads, $schema: _schema, ...rest } = schema as JsonSchema & {
    $schema?: string;
  };
  const loose: JsonSchema = { ...rest };
  if (rest.properties) {
    loose.properties = Object.fromEntries(
      Object.entries(rest.properties).map(([name, inner]) => [name, loosened(inner, false)]),
    );
  }
  if (rest.items) loose.items = loosened(rest.items, false);
  if (rest.prefixItems) loose.prefixItems = rest.prefixItems.map((inner) => loosened(inner, false));
  if (rest.anyOf) loose.anyOf = rest.anyOf.map((inner) => loosened(inner, true));
  if (rest.oneOf) loose.oneOf = rest.oneOf.map((inner) => loosened(inner, true));
  if (typeof rest.additionalProperties === "object") {
    loose.additionalProperties = loosened(rest.additionalProperties, false);
  }
  if (top || loose.type === "string" && !loose.enum || loose.type === undefined && !loose.anyOf && !loose.oneOf) {
    return loose;
  }
  const { description, default: fallback, ...rule } = loose;
  return {
    ...description !== undefined && { description },
    ...fallback !== undefined && { default: fallback },
    anyOf: [rule, { type: "string", pattern: "^\\$\\{\\w+\\}$" }],
  } as JsonSchema;
}
