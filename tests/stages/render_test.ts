import assert from "node:assert/strict";
import { openDataset } from "../../faces/data/dataset.ts";
import { openDevice } from "../../engine/device.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { runPipeline } from "../../runtime/run/run.ts";
import { silent } from "../../runtime/run/progress.ts";
import { stages } from "../../stages/mod.ts";
import { inFolder } from "./run_stages.ts";

/** Runs stages of a YAML text and tells where their artifacts are. */
async function runStages(dir: string, text: string): Promise<(stage: string) => string> {
  await Deno.writeTextFile(`${dir}/test.yaml`, `stages:\n${text}`);
  await runPipeline(await readPipeline(`${dir}/test.yaml`, stages), {
    root: `${dir}/runs`,
    reporter: silent,
    openDevice,
  });
  return (id) => `${dir}/runs/test/${id}`;
}

Deno.test("faces/render draws styles in turn and keeps people apart", async () => {
  await inFolder(async (dir) => {
    const at = await runStages(
      dir,
      `
  seen: { uses: faces/render, with: { styles: [photo, ink], count: 5, size_px: 32, identities: 2 } }
  same: { uses: faces/render, with: { per_style: 2, size_px: 32 } }
  held: { uses: faces/render, with: { split: test, per_style: 1, size_px: 32, people: test } }
`,
    );
    const seen = await openDataset(at("seen"));
    assert.equal(seen.size_px, 32);
    assert.deepEqual(seen.records.map(({ style }) => style), ["photo", "photo", "photo", "ink", "ink"]);
    assert.deepEqual(seen.records.map(({ group }) => group), ["train-0", "train-1", "train-0", "train-1", "train-0"]);
    assert.equal(seen.records[4]!.prompt, "a portrait of ink style");
    assert((await Deno.stat(`${at("seen")}/contact.png`)).isFile);
    assert.deepEqual((await openDataset(at("same"))).records.map(({ style }) => style), ["photo", "photo"]);
    const held = await openDataset(at("held"));
    assert(held.records.length >= 4);
    assert(held.records.every(({ group, style }) => group.startsWith("test-") && style !== "photo"));
  });
});

Deno.test("faces/render takes count or per_style, not both", async () => {
  await inFolder(async (dir) => {
    await assert.rejects(
      runStages(dir, "\n  faces: { uses: faces/render, with: { count: 2, per_style: 2 } }\n"),
      /count or per_style/,
    );
  });
});
