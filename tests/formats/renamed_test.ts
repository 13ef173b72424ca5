import assert from "node:assert/strict";
import { z } from "zod";
import { oldNames, renamedHint } from "../../formats/renamed.ts";
import { stages } from "../../stages/mod.ts";
import { jsonSchema, optionsOf } from "../../formats/schema_describe.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { silent } from "../../runtime/run/progress.ts";
import { planRun, runPipeline } from "../../runtime/run/run.ts";
import { stage } from "../../runtime/stage.ts";

Deno.test("the error of a name of an earlier version has the new one, where that is known", () => {
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

Deno.test("what --set names by its old name is refused by the new one", async () => {
  const read = (file: string, set: string) =>
    readPipeline(`pipelines/${file}.yaml`, stages, { set: [set], allowUnset: true });
  await assert.rejects(read("paper", "batch=2"), /no such parameter\n.*\n.*\n.*`batch` is called `batch_size`/);
  await assert.rejects(
    read("full", "stages.warm.with.steps=5"),
    /no stage "warm"\n.*\n.*\n.*`warm` is called `finetune_round1`/,
  );
  await assert.rejects(
    read("full", "stages.stage1.with.ema=0.5"),
    /no such key\n.*\n.*\n.*`ema` is called `ema_decay`/,
  );
});

Deno.test("folders of an earlier version are not taken, and named", async () => {
  const dir = await Deno.makeTempDir({ prefix: "facewright_" });
  const lines = stage({
    id: "fake/lines",
    doc: "Writes lines.",
    version: 1,
    inputs: {},
    output: "dataset",
    options: z.object({ batch_size: z.int().describe("Lines") }),
    run: (ctx, _inputs, { batch_size }) => Deno.writeTextFile(`${ctx.dir}/lines.txt`, "line\n".repeat(batch_size)),
  });
  const text = `name: test\nstages:\n  synthetic: { uses: fake/lines, with: { batch_size: 2 } }\n`;
  await Deno.writeTextFile(`${dir}/test.yaml`, text);
  const pipeline = await readPipeline(`${dir}/test.yaml`, { "fake/lines": () => Promise.resolve(lines) });
  const reason = () => planRun(pipeline, `${dir}/runs`)[0]!.reason;
  await runPipeline(pipeline, {
    root: `${dir}/runs`,
    reporter: silent,
    openDevice: () => assert.fail("no GPU is needed"),
  });
  assert.equal(reason(), null);

  const path = `${dir}/runs/test/synthetic/manifest.json`;
  const manifest = JSON.parse(await Deno.readTextFile(path));
  manifest.recipe.options = { batch: 2 };
  await Deno.writeTextFile(path, JSON.stringify({ ...manifest, key: "of an earlier version" }));
  assert.match(reason()!, /^of its options `batch` is called `batch_size`; /);

  await Deno.rename(`${dir}/runs/test/synthetic`, `${dir}/runs/test/synth`);
  assert.equal(reason(), "it has not been run; `synth` is called `synthetic`, and the old folder is not used");
  await Deno.remove(dir, { recursive: true });
});
