import assert from "node:assert/strict";
import { z } from "zod";
import { DatasetWriter } from "../../faces/data/dataset_writer.ts";
import { createImage } from "../../faces/data/image.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { openDevice } from "../../engine/device.ts";
import { Random } from "../../engine/rng.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { runPipeline } from "../../runtime/run/run.ts";
import { type AnyStage, stage } from "../../runtime/stage.ts";
import { stages } from "../../stages/mod.ts";
import type { Distance } from "../../stages/report/_results.ts";
import { neutralFace } from "../faces/neutral_face.ts";
import { inFolder } from "./run_stages.ts";

/** Images of stripes, finer or coarser by style, with noise; blurred ones have none. */
const stripes = stage({
  id: "fake/stripes",
  doc: "Draws stripes.",
  version: 1,
  inputs: {},
  output: "dataset",
  options: z.object({ count: z.int(), noise: z.number(), styles: z.array(z.string()), seed: z.int().optional() }),
  async run(ctx, _inputs, { count, noise, styles }) {
    const writer = await DatasetWriter.create(ctx.dir, SCHEMAS.ibug68);
    const random = new Random(ctx.seed, "stripes");
    for (const style of styles) {
      for (let i = 0; i < count; i++) {
        const image = createImage(32, 32), phase = random.uniform() * 9;
        const wave = 0.2 + 0.15 * (style.codePointAt(0)! % 5);
        image.data.forEach((_, k) => {
          const x = Math.floor(k / 3) % 32;
          image.data[k] = Math.max(0, Math.min(255, 128 + 90 * Math.sin(wave * x + phase) + noise * random.normal()));
        });
        await writer.add(image, { style, group: `${style}${i}`, landmarks: neutralFace(32) });
      }
    }
    await writer.close();
  },
});

const text = `stages:
  truth: { uses: fake/stripes, with: { count: 10, noise: 30, styles: [a, b, only] } }
  again: { uses: fake/stripes, with: { count: 8, noise: 30, styles: [b, a] } }
  blurred: { uses: fake/stripes, with: { count: 12, noise: 5, styles: [a, b] } }
  star: { uses: detector/load, with: { path: models/tiny/detector } }
  distance: { uses: dataset/distance, in: { data: [again, blurred], reference: truth, detector: star } }
  report: { uses: report/html, in: { all: distance } }
`;

Deno.test("dataset/distance finds what is not as it should be, per style, and goes on where it was stopped", async () => {
  await inFolder(async (dir) => {
    const registry = { ...stages, "fake/stripes": () => Promise.resolve(stripes as AnyStage) };
    const device = await openDevice();
    const run = async (text: string, stopAt?: string) => {
      await Deno.writeTextFile(`${dir}/test.yaml`, text);
      const pipeline = await readPipeline(`${dir}/test.yaml`, registry, { roots: [Deno.cwd()] });
      const controller = new AbortController();
      const doing: string[] = [];
      await runPipeline(pipeline, {
        root: `${dir}/runs`,
        reporter: {
          event(event) {
            if (event.event !== "progress" || event.stage !== "distance") return;
            doing.push(String(event.fields["doing"]));
            if (event.fields["doing"] === stopAt) controller.abort();
          },
        },
        openDevice: () => Promise.resolve({ ...device, destroy() {} }),
        signal: controller.signal,
      });
      return doing;
    };
    const at = `${dir}/runs/test/distance/results.json`;
    await assert.rejects(run(text, "features of blurred"));
    const later = await run(text);
    assert.deepEqual([...new Set(later)], ["features of blurred"], "the other features were kept");
    const whole = await Deno.readTextFile(at);
    await Deno.remove(`${dir}/runs/test/distance`, { recursive: true });
    assert.equal(new Set(await run(text)).size, 3);
    assert.equal(await Deno.readTextFile(at), whole);

    const distances: Distance[] = JSON.parse(whole).distances;
    assert.deepEqual(distances.map(({ dataset, style, images }) => [dataset, style, images]), [
      ["again", null, 16],
      ["blurred", null, 16],
      ["again", "a", 8],
      ["blurred", "a", 8],
      ["again", "b", 8],
      ["blurred", "b", 8],
    ]);
    for (const style of [null, "a", "b"]) {
      const [again, blurred] = distances.filter((row) => row.style === style);
      assert.ok(Math.abs(again!.kernel) < 0.2 * blurred!.kernel, `${style}: ${again!.kernel} and ${blurred!.kernel}`);
      assert.ok(again!.frechet < 0.5 * blurred!.frechet, `${style}: ${again!.frechet} and ${blurred!.frechet}`);
    }
    const page = await Deno.readTextFile(`${dir}/runs/test/report/index.html`);
    assert.match(page, /<figcaption>Distance from truth, in features of a detector<\/figcaption>/);
    assert.match(page, /<td>all styles <small>16<\/small><\/td>/);
    assert.match(page, new RegExp(`<td class="number">${distances[1]!.kernel.toFixed(2)}</td>`));

    const strange = text.replace("styles: [b, a]", "styles: [c]");
    await assert.rejects(
      run(strange),
      /Cannot compare with "truth": no style has 2 images in it and in each dataset of "data"/,
    );
    device.destroy();
  });
});

Deno.test("dataset/distance refuses images that the detector cannot take", () =>
  inFolder(async (dir) => {
    await Deno.writeTextFile(
      `${dir}/test.yaml`,
      `stages:
  truth: { uses: faces/render, with: { styles: [photo], count: 4, size_px: 96 } }
  star: { uses: detector/load, with: { path: models/tiny/detector } }
  distance: { uses: dataset/distance, in: { data: truth, reference: truth, detector: star } }
`,
    );
    await assert.rejects(
      readPipeline(`${dir}/test.yaml`, stages, { roots: [Deno.cwd()] }),
      /images of "truth" are 96 pixels wide: at most 64, or a multiple of it, is expected, as "star" takes images of 64/,
    );
  }));
