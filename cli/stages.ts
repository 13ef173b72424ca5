/**
 * The command `stages`.
 *
 * @module
 */
import { Command, Option } from "@commander-js/extra-typings";
import { jsonSchema, optionsOf } from "../formats/schema_describe.ts";
import { suggest } from "../formats/yaml_tree.ts";
import { describeOptions, pipelinesSchema, stagesPage } from "../runtime/stage_docs.ts";
import { type Context, UsageError } from "./command.ts";

/** Declares `stages`. */
export const stages = ({ print, registry }: Context) =>
  new Command()
    .argument("[STAGE]", "stage type, such as dataset/import; all without one")
    .option("--markdown", "print docs/stages.md")
    .addOption(new Option("--schema", "print the JSON schema of pipelines, for editors").conflicts("markdown"))
    .addHelpText("after", "\nExample:\n  deno task stages detector/train")
    .action(async (asked, { markdown, schema }) => {
      const chosen = Object.entries(registry).filter(([id]) => asked === undefined || id === asked);
      if (asked !== undefined && !chosen.length) {
        const hint = suggest(asked, Object.keys(registry), "stage types");
        throw new UsageError(`Cannot describe "${asked}" as there is no such stage type, hint: ${hint}`);
      }
      const specs = await Promise.all(chosen.map(([, load]) => load()));
      if (markdown) return print(stagesPage(specs).trimEnd());
      if (schema) return print(JSON.stringify(pipelinesSchema(specs), null, 1));
      for (const spec of specs) {
        const { id, doc, inputs, output } = spec;
        print(`${id}  ${doc}`);
        const takes = Object.entries(inputs).map(([name, kind]) => `${name}: ${kind}`).join(", ") || "nothing";
        print(`  in: ${takes}; makes a ${output}`);
        if (asked === undefined) continue;
        for (const { name, text, depth } of describeOptions(jsonSchema(optionsOf(spec)))) {
          print(`${"  ".repeat(depth + 1)}${name}: ${text}`);
        }
      }
    });
