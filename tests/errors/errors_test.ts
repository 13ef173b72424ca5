import assert from "node:assert/strict";
import { PipelineError } from "../../formats/yaml_tree.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { registry } from "../runtime/fake_stages.ts";

// The expected texts are written anew by `deno test -RW tests/errors/errors_test.ts -- --update`; read them then.
const update = Deno.args.includes("--update");

for (const { name } of [...Deno.readDirSync("tests/errors")].filter(({ name }) => name.endsWith(".yaml"))) {
  Deno.test(`${name} gives the expected errors`, async () => {
    const path = `tests/errors/${name}`;
    const error = await readPipeline(path, registry).then(() => assert.fail("no error"), (error) => error);
    assert(error instanceof PipelineError, String(error));
    const expected = path.replace(/yaml$/, "txt");
    if (update) Deno.writeTextFileSync(expected, `${error.message}\n`);
    assert.equal(`${error.message}\n`, Deno.readTextFileSync(expected));
  });
}
