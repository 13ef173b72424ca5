import assert from "node:assert/strict";
import { oldNames, renamedHint } from "../../formats/renamed.ts";
import { stages } from "../../stages/mod.ts";
import { jsonSchema, optionsOf } from "../../formats/schema_describe.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";

Deno.test("a name of an earlier version is told by its new one, where that is known", () => {
  assert.equal(renamedHint("warmup", ["steps", "warmup_steps"]), "`warmup` is called `warmup_steps`");
  assert.equal(renamedHint("warmup", ["steps"]), undefined);
  assert.equal(renamedHint("held", ["style", "split"]), "`held` is called `split: test`");
  assert.equal(renamedHint("held", ["train", "holdout"]), "`held` is called `holdout`");
  assert.equal(renamedHint("toString", ["toString"]), undefined);
  assert.deepEqual(oldNames("validation"), ["held_back", "watch"]);
});

Deno.test("no stage and no pipeline uses a name of an earlier version", async () => {
  const specs = await Promise.all(Object.values(stages).map((load) => load()));
  for (const spec of specs) {
    const known = Object.keys(jsonSchema(optionsOf(spec)).properties ?? {});
    for (const name of known) assert.equal(renamedHint(name, known), undefined, `${name} of ${spec.id}`);
  }
  for (const { name } of Deno.readDirSync("pipelines")) {
    if (!name.endsWith(".yaml")) continue;
    const { stages: made } = await readPipeline(`pipelines/${name}`, stages, { allowUnset: true });
    const ids = made.map(({ of }) => of);
    for (const id of ids) assert.equal(renamedHint(id, ids), undefined, `${id} of ${name}`);
  }
});
