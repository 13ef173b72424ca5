import assert from "node:assert/strict";
import { join } from "node:path";
import { PipelineFileError, readPipeline } from "../../runtime/pipeline/file.ts";
import { PipelineError } from "../../formats/yaml_tree.ts";
import { registry } from "../runtime/fake_stages.ts";
import fc from "../fast_check.ts";
import { INPUTS } from "./_fuzz.ts";

const good = await Deno.readTextFile("tests/errors/options.yaml");
const words = [
  "name",
  "seed",
  "params",
  "stages",
  "uses",
  "in",
  "with",
  "extends",
  "matrix",
  "fake/draw",
  "fake/train",
  "${lines}",
];
const marks = [
  ": ",
  "- ",
  "{",
  "}",
  "[",
  "]",
  "\n",
  "\n  ",
  "*",
  "&a",
  "!!x ",
  "? ",
  "|",
  ">",
  "'",
  '"',
  "#",
  "%",
  "null",
  "3",
  "~",
  "\t",
  "\0",
  "<<: ",
];

/** Text made of what pipelines are made of. */
const soup = fc.array(fc.constantFrom(...words, ...marks), { maxLength: 40 }).map((parts) => parts.join(""));
/** A real file with a piece replaced. */
const mutant = fc.tuple(fc.nat(good.length), fc.nat(30), fc.oneof(soup, fc.string({ maxLength: 5 })))
  .map(([at, length, text]) => good.slice(0, at) + text + good.slice(at + length));
const set = fc.oneof(soup.map((text) => `lines=${text}`), soup, fc.constant("stages.faces.with=3"));

Deno.test("any text is a pipeline or a PipelineError whose places lie in the text", async () => {
  const dir = await Deno.makeTempDir({ prefix: "facewright_" });
  const file = join(dir, "fuzz.yaml");
  try {
    await fc.assert(
      fc.asyncProperty(fc.oneof(soup, mutant, fc.string()), fc.array(set, { maxLength: 2 }), async (text, sets) => {
        await Deno.writeTextFile(file, text);
        try {
          await readPipeline(file, registry, { set: sets });
        } catch (error) {
          if (error instanceof PipelineFileError) return assert.match(error.message, /as (text|UTF-16): it is/);
          assert(error instanceof PipelineError, `${(error as Error).stack}`);
          assert(error.problems.length > 0);
          for (const { at } of error.problems) assert(at.offset >= 0 && at.offset <= at.source.text.length);
        }
      }),
      { numRuns: 10 * INPUTS },
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
