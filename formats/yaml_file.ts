/**
 * YAML files with a schema, such as edits and styles: every mistake is reported with its line.
 *
 * @module
 */
import type { z } from "zod";
import { jsonSchema } from "./schema_describe.ts";
import { schemaDiagnostics, type Subject } from "./schema_diagnostics.ts";
import { type Diagnostic, getIn, parseYaml, PipelineError, type Source, toJS } from "./yaml_tree.ts";

/** Reports a mistake at a path, or where the nearest part of it stands. */
export type Report = (path: readonly PropertyKey[], message: string, hint?: string) => void;

/**
 * Reads the text of a YAML file.
 *
 * @param source The file's name and text.
 * @param schema Schema of the content.
 * @param subject The file's content in errors, such as `{ owner: "the edit", type: "an edit" }`.
 * @param check Reports mistakes that the schema does not cover; called once the content fits the schema.
 * @returns The content, with defaults.
 * @throws {PipelineError} With every mistake and its line.
 */
export function readYaml<T extends z.ZodType>(
  source: Source,
  schema: T,
  subject: Subject,
  check: (content: z.output<T>, report: Report) => void = () => {},
): z.output<T> {
  const problems: Diagnostic[] = [];
  const tree = parseYaml(source, problems);
  if (tree === null) throw new PipelineError(problems, source.name);
  const parsed = schema.safeParse(toJS(tree));
  if (!parsed.success) {
    problems.push(...schemaDiagnostics(parsed.error, tree, jsonSchema(schema), subject));
    throw new PipelineError(problems, source.name);
  }
  check(parsed.data, (path, message, hint) => {
    let at = getIn(tree, path)?.at;
    for (let n = path.length - 1; !at && n >= 0; n--) at = getIn(tree, path.slice(0, n))?.at;
    problems.push({ at: at ?? { source, offset: 0 }, message, hint });
  });
  if (problems.length > 0) throw new PipelineError(problems, source.name);
  return parsed.data;
}
