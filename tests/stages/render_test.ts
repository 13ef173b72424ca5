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

Deno.test("faces/render draws each wild picture in a style of its own, the same ones again", async () => {
  await inFolder(async (dir) => {
    const picturesOf = async (text: string) => {
      const at = (await runStages(dir, `\n  faces: { uses: faces/render, with: { ${text}, size_px: 32 } }\n`))("faces");
      const { records } = await openDataset(at);
      const images = await Promise.all(records.map(({ file_name }) => Deno.readFile(`${at}/${file_name}`)));
      await Deno.remove(`${dir}/runs`, { recursive: true });
      return { records, images };
    };
    const wild = await picturesOf("styles: [wild], count: 4");
    for (const { style, source, prompt } of wild.records) {
      assert.deepEqual([style, source, prompt], ["wild", "wild", "a portrait of wild style"]);
    }
    assert.deepEqual(await picturesOf("styles: [wild], count: 4"), wild);
    const photos = await picturesOf("styles: [photo, wild], count: 4");
    assert.deepEqual(photos.records.map(({ style }) => style), ["photo", "photo", "wild", "wild"]);
    assert.deepEqual(photos.images.slice(2), wild.images.slice(2), "a wild picture depends on its number alone");
  });
});

Deno.test("faces/render turns heads as far as yaw_deg says, and as in photographs at large with wide_poses", async () => {
  await inFolder(async (dir) => {
    const at = await runStages(
      dir,
      `
  wide: { uses: faces/render, with: { count: 40, size_px: 16, wide_poses: true } }
  front: { uses: faces/render, with: { count: 40, size_px: 16, wide_poses: true, yaw_deg: 0 } }
`,
    );
    /** Greatest distance of 40, in eye distances, of the tip of the nose from the middle of the eyes. */
    const farthest = async (stage: string): Promise<number> => {
      const { records } = await openDataset(at(stage));
      return Math.max(...records.map(({ landmarks: l }) => {
        const [dx, dy] = [l[90]! - l[72]!, l[91]! - l[73]!];
        const [x, y] = [l[60]! - (l[72]! + l[90]!) / 2, l[61]! - (l[73]! + l[91]!) / 2];
        return Math.abs(x * dx + y * dy) / (dx * dx + dy * dy);
      }));
    };
    const [wide, front] = [await farthest("wide"), await farthest("front")];
    assert(front < 0.25 && wide > 2 * front, `${front} from the front, ${wide} with wide poses`);
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
