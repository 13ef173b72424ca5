import assert from "node:assert/strict";
import { DatasetWriter } from "../../faces/data/dataset_writer.ts";
import { openDataset } from "../../faces/data/dataset.ts";
import { createImage } from "../../faces/data/image.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { runPipeline } from "../../runtime/run/run.ts";
import { silent } from "../../runtime/run/progress.ts";
import { type AnyStage, stage } from "../../runtime/stage.ts";
import { stages } from "../../stages/mod.ts";
import { z } from "zod";
import { SCHEMAS } from "../../faces/schema.ts";
import { neutralFace } from "../faces/neutral_face.ts";

/** Plain squares with a face's landmarks: two images a group, styles in turn. */
const squares = stage({
  id: "fake/squares",
  doc: "Writes squares.",
  version: 1,
  inputs: {},
  output: "dataset",
  options: z.object({
    count: z.int(),
    size_px: z.int().default(16),
    styles: z.array(z.string()).default(["photo"]),
  }),
  async run(ctx, _inputs, { count, size_px, styles }) {
    const writer = await DatasetWriter.create(ctx.dir, SCHEMAS.ibug68);
    for (let i = 0; i < count; i++) {
      const style = styles[i % styles.length]!;
      await writer.add(createImage(size_px, size_px, [i, 0, ctx.seed & 255]), {
        style,
        group: `${ctx.id}${i >> 1}`,
        landmarks: neutralFace(size_px),
        prompt: `${style} ${i}`,
      });
    }
    await writer.close();
  },
});

/** Gives `use` an empty folder and removes it afterwards. */
export async function inFolder(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "facewright_" });
  try {
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/**
 * Runs a pipeline that needs no GPU; `fake/squares` is a stage in it.
 *
 * @param dir Where the file and the run go.
 * @param text Its stages, YAML.
 * @returns The folder of each stage's artifact.
 */
export async function runStages(dir: string, text: string): Promise<(stage: string) => string> {
  await Deno.writeTextFile(`${dir}/test.yaml`, `stages:\n${text}`);
  const registry = { ...stages, "fake/squares": () => Promise.resolve(squares as AnyStage) };
  const openDevice = () => assert.fail("no stage of this test needs a GPU");
  await runPipeline(await readPipeline(`${dir}/test.yaml`, registry, { roots: ["../shared"] }), {
    root: `${dir}/runs`,
    reporter: silent,
    openDevice,
  });
  return (stage) => `${dir}/runs/test/${stage}`;
}

/** The prompts of a dataset, which `fake/squares` makes one of a kind. */
export async function promptsOf(dir: string): Promise<string[]> {
  return (await openDataset(dir)).records.map(({ prompt }) => prompt!);
}
