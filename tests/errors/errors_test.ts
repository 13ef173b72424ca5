import assert from "node:assert/strict";
import { PipelineError } from "../../formats/yaml_tree.ts";
import { readPipeline, type Registry } from "../../runtime/pipeline/file.ts";
import { stages } from "../../stages/mod.ts";
import { registry } from "../runtime/fake_stages.ts";

// The expected texts are written anew by `deno test -P=cli --allow-write=tests tests/errors/errors_test.ts -- --update`; read them then.
const update = Deno.args.includes("--update");

/** Wrong pipelines of fake stages, and of the real ones: a folder each. */
const FOLDERS: readonly (readonly [folder: string, registry: Registry])[] = [
  ["tests/errors", registry],
  ["tests/errors/stages", stages],
];

/** A registry whose stages fail when they are run: all that is wrong is found before. */
const unrun = (registry: Registry): Registry =>
  Object.fromEntries(
    Object.entries(registry).map(([id, load]) => [
      id,
      async () => ({ ...await load(), run: () => assert.fail(`${id} was run`) }),
    ]),
  );

for (const [folder, registry] of FOLDERS) {
  for (const { name } of [...Deno.readDirSync(folder)].filter(({ name }) => name.endsWith(".yaml"))) {
    const path = `${folder}/${name}`;
    Deno.test(`${path} gives the expected errors`, async () => {
      const error = await readPipeline(path, unrun(registry)).then(() => assert.fail("no error"), (error) => error);
      assert(error instanceof PipelineError, String(error));
      const expected = path.replace(/yaml$/, "txt");
      if (update) Deno.writeTextFileSync(expected, `${error.message}\n`);
      assert.equal(`${error.message}\n`, Deno.readTextFileSync(expected));
    });
  }
}

Deno.test("there are more than 30 wrong pipelines of real stages", () => {
  const names = [...Deno.readDirSync("tests/errors/stages")].map(({ name }) => name);
  assert(names.filter((name) => name.endsWith(".yaml")).length > 30);
});
