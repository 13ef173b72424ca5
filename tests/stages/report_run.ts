/**
 * A run with everything that a report shows, and names that must be escaped.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { z } from "zod";
import { DatasetWriter } from "../../faces/dataset.ts";
import { createImage, writePng } from "../../faces/image.ts";
import { readPipeline } from "../../runtime/pipeline_file.ts";
import { runPipeline } from "../../runtime/pipeline_run.ts";
import { silent } from "../../runtime/progress.ts";
import { stage } from "../../runtime/stage.ts";
import { report } from "../../stages/report.ts";

const everything = stage({
  id: "fake/everything",
  doc: "Writes pairs, sheets, curves and results.",
  version: 1,
  inputs: {},
  output: "dataset",
  options: z.object({ note: z.string() }),
  async run(ctx) {
    const writer = await DatasetWriter.create(ctx.dir);
    for (const style of ["ink", "<script>alert(1)</script>"]) {
      for (let i = 0; i < 8; i++) {
        const image = createImage(64, 64);
        for (let p = 0; p < 64 * 64; p++) image.data.set([p % 64 * 4, (p >> 6) * 4, i * 30], 3 * p);
        const landmarks = Float32Array.from({ length: 136 }, (_, k) => {
          const angle = (k >> 1) / 68 * 2 * Math.PI;
          return 31.5 + (k % 2 ? 25 * Math.sin(angle) : 18 * Math.cos(angle));
        });
        const edits = [{ edit: "open_eyes", amount: 0.5 }, { edit: "chubby", amount: 0.2 }];
        await writer.add(image, { style, group: `${style}${i}`, landmarks, edits, prompt: `a "${style}" face` });
      }
    }
    await writer.close();
    await writePng(join(ctx.dir, "contact.png"), createImage(512, 128));
    for (let step = 1; step <= 2000; step++) {
      ctx.metric({
        step,
        loss: 2 / Math.sqrt(step) + 0.02 * Math.sin(step),
        lr: 1e-4,
        validation: step % 100 ? null : 0,
      });
    }
    const x = Array.from({ length: 101 }, (_, i) => i / 10);
    const curve = (scale: number) => x.map((value) => 1 - Math.exp(-value / scale));
    const ced = ["star", "detector"].map((detector, i) => ({ detector, dataset: "art & co", x, y: curve(6 - 3 * i) }));
    await Deno.writeTextFile(join(ctx.dir, "results.json"), JSON.stringify({ ced }));
    ctx.summary({ images: 16, styles: 2 });
    ctx.log("drew 16 <images>");
    const row = { dataset: "art & co", images: 160 };
    ctx.summary({ detector: "star", ...row, nme_interocular: 8.04, fr_10: 13.2, auc_10: 0.38 });
    ctx.summary({ detector: "detector", ...row, nme_interocular: 6.12, fr_10: 4.7, auc_10: 0.51 });
  },
});

/** Makes the run in a folder; gives the path of the report. */
export async function reportIn(dir: string): Promise<string> {
  const file = join(dir, "page.yaml");
  await Deno.writeTextFile(
    file,
    `
stages:
  all: { uses: fake/everything, with: { note: "</pre><script>alert(2)</script>" } }
  report: { uses: report/html, in: { all: "*" }, with: { title: "Faces & <more>" } }
`,
  );
  const registry = {
    "fake/everything": () => Promise.resolve(everything),
    "report/html": () => Promise.resolve(report),
  };
  const openDevice = () => assert.fail("a report needs no GPU");
  await runPipeline(await readPipeline(file, registry), { root: join(dir, "runs"), reporter: silent, openDevice });
  return join(dir, "runs/page/report/index.html");
}
