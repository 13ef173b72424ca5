import assert from "node:assert/strict";
import { join } from "node:path";
import { readPipeline } from "../runtime/pipeline/file.ts";
import type { AnyStage } from "../runtime/stage.ts";
import { pipelinesSchema, stagesPage } from "../runtime/stage_docs.ts";
import { stages } from "../stages/mod.ts";

for (const { name } of [...Deno.readDirSync("pipelines")].filter(({ name }) => name.endsWith(".yaml"))) {
  Deno.test(`pipelines/${name} is valid`, async () => {
    await readPipeline(join("pipelines", name), stages, { allowUnset: true, keepOptional: true });
  });
}

// Written anew by `deno task docs`.
const update = Deno.args.includes("--update");

for (
  const [path, make] of [
    ["docs/stages.md", stagesPage],
    ["pipelines/schema.json", (specs: AnyStage[]) => `${JSON.stringify(pipelinesSchema(specs), null, 1)}\n`],
  ] as const
) {
  Deno.test(`${path} says what the schemas say`, async () => {
    const text = make(await Promise.all(Object.values(stages).map((load) => load())));
    if (update) await Deno.writeTextFile(path, text);
    const hint = "hint: deno task docs";
    assert.equal(await Deno.readTextFile(path), text, hint);
  });
}

Deno.test("the example in pipelines/README.md is valid", async () => {
  const [, yaml] = /```yaml\n([^]*?)```/.exec(await Deno.readTextFile("pipelines/README.md"))!;
  const dir = await Deno.makeTempDir({ prefix: "facewright_" });
  const file = join(dir, "mine.yaml");
  await Deno.writeTextFile(file, yaml!.replace(/^extends:.*\n/m, ""));
  const { unset, stages: order } = await readPipeline(file, stages, { allowUnset: true });
  assert.deepEqual(order.map(({ id }) => id), ["photos", "train", "report"]);
  assert.deepEqual(Object.keys(unset), ["faces"]);
  await Deno.remove(dir, { recursive: true });
});
