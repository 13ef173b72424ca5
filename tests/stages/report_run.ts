/**
 * A run with everything that a report shows, and names that must be escaped.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { z } from "zod";
import { DatasetWriter } from "../../faces/data/dataset_writer.ts";
import { createImage } from "../../faces/data/image.ts";
import { writePng } from "../../faces/data/image_file.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { runPipeline } from "../../runtime/run/run.ts";
import { silent } from "../../runtime/run/progress.ts";
import { Random } from "../../engine/rng.ts";
import { stage } from "../../runtime/stage.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { report } from "../../stages/report/html.ts";

const everything = stage({
  id: "fake/everything",
  doc: "Writes pairs, sheets, curves and results.",
  version: 1,
  inputs: {},
  output: "dataset",
  options: z.object({ note: z.string(), edited: z.boolean() }),
  async run(ctx, _inputs, { edited }) {
    const writer = await DatasetWriter.create(ctx.dir, SCHEMAS.ibug68);
    for (const style of ["ink", "<script>alert(1)</script>"]) {
      for (let i = 0; i < 8; i++) {
        // Noise makes large files, which a report has as JPEG.
        const side = edited ? 64 : 128, random = new Random(i, "noise");
        const image = createImage(side, side);
        for (let p = 0; p < side * side; p++) {
          const pixel = edited
            ? [p % 64 * 4, (p >> 6) * 4, i * 30]
            : [random.int(256), random.int(256), random.int(256)];
          image.data.set(pixel, 3 * p);
        }
        const landmarks = Float32Array.from({ length: 136 }, (_, k) => {
          const angle = (k >> 1) / 68 * 2 * Math.PI;
          return side / 2 - 0.5 + side * (k % 2 ? 0.4 * Math.sin(angle) : 0.3 * Math.cos(angle));
        });
        const edits = [{ edit: "open_eyes", amount: 0.5 }, { edit: "chubby", amount: 0.2 }];
        const text = edited ? { edits, prompt: `a "${style}" face` } : {};
        await writer.add(image, { style, group: `${style}${i}`, landmarks, ...text });
      }
    }
    await writer.close();
    await writePng(join(ctx.dir, "contact.png"), createImage(512, 128));
    for (let step = 1; step <= 2000; step++) {
      ctx.metric({
        step,
        loss: 2 / Math.sqrt(step) + 0.02 * Math.sin(step),
        lr: 1e-4,
        ...(step % 500 === 0 && { loss_val: 3 / Math.sqrt(step), nme_val: 5 }),
      });
    }
    const x = Array.from({ length: 101 }, (_, i) => i / 10);
    const curve = (scale: number) => x.map((value) => 1 - Math.exp(-value / scale));
    const detectors = ["star", "detector"], dataset = ctx.id;
    const ced = detectors.map((detector, i) => ({ detector, dataset, x, y: curve(6 - 3 * i) }));
    const rows = detectors.flatMap((detector, i) =>
      ["", "/ink", "/<i>"].map((style) => ({
        detector,
        dataset: `${dataset}${style}`,
        images: 160,
        nme_interocular: i ? 6.12 : 8.04,
        fr_10: i ? 4.7 : 13.2,
        auc_10: i ? 0.51 : 0.38,
        nme_low: i ? 5.5 : 7.1,
        nme_high: i ? 6.9 : 8.8,
      }))
    );
    const regions = detectors.map((detector, i) => ({ detector, dataset, contour: 9 - i, eyes: 5 - i }));
    const landmarks = Array.from({ length: 68 }, (_, i) => [i, 30]);
    const examples = detectors.map((detector) => ({
      detector,
      dataset,
      file_name: "images/000001.png",
      nme: 7,
      landmarks,
    }));
    const groups = detectors.map((detector, i) => ({
      detector,
      dataset,
      group: "schiele",
      images: 8,
      nme_interocular: 6 + i,
    }));
    const [true_x, true_y] = [landmarks.map(([x]) => x! * 2), landmarks.map(() => 40)];
    const offsets = detectors.map((detector) => (
      { detector, dataset, nme_without_offsets: 5.5, x: true_x.map(() => 3), y: true_y.map(() => 4), true_x, true_y }
    ));
    const results = { rows, regions, groups, offsets, ced, examples };
    await Deno.writeTextFile(join(ctx.dir, "results.json"), JSON.stringify(results));
    ctx.summary({ images: 16, styles: 2 });
    ctx.log("drew 16 <images>");
    for (const row of rows) if (row.dataset === dataset) ctx.summary(row);
  },
});

const look = stage({
  id: "fake/look",
  doc: "Leaves a picture.",
  version: 1,
  inputs: {},
  output: "model",
  options: z.object({}),
  run: (ctx) => writePng(join(ctx.dir, "a_look.png"), createImage(600, 40)),
});

/** Makes the run in a folder; gives the path of the report. */
export async function reportIn(dir: string): Promise<string> {
  const file = join(dir, "page.yaml");
  await Deno.writeTextFile(
    file,
    `
stages:
  all: { uses: fake/everything, with: { note: "</pre><script>alert(2)</script>", edited: true } }
  plain: { uses: fake/everything, with: { note: "", edited: false } }
  look: { uses: fake/look }
  report: { uses: report/html, in: { all: "*" }, with: { title: "Faces & <more>" } }
`,
  );
  const registry = {
    "fake/everything": () => Promise.resolve(everything),
    "fake/look": () => Promise.resolve(look),
    "report/html": () => Promise.resolve(report),
  };
  const openDevice = () => assert.fail("a report needs no GPU");
  await runPipeline(await readPipeline(file, registry), { root: join(dir, "runs"), reporter: silent, openDevice });
  return join(dir, "runs/page/report/index.html");
}
