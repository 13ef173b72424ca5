import assert from "node:assert/strict";
import { openDataset } from "../../faces/data/dataset.ts";
import { openDevice } from "../../engine/device.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { runPipeline } from "../../runtime/run/run.ts";
import type { RunEvent } from "../../runtime/run/progress.ts";
import { readManifest } from "../../runtime/run/cache.ts";
import { stages } from "../../stages/mod.ts";
import { inFolder } from "./run_stages.ts";
import { slowTest } from "../slow.ts";

const text = `stages:
  faces: { uses: faces/render, with: { styles: [photo], count: 4, size_px: 64 } }
  base: { uses: model/load, with: { path: models/tiny } }
  star: { uses: detector/load, with: { path: models/tiny/detector } }
  synth:
    uses: dataset/generate
    in: { model: base, landmarks: faces, detector: star }
    with: { styles: [ink, anime], per_style: 3, steps: 1, guidance: 1, batch_size: 4, redraw: { retries: 2, max_zscore: 0.1 } }
`;

/** Paths of the files below a folder. */
function pathsIn(dir: string): string[] {
  return [...Deno.readDirSync(dir)].flatMap(({ name, isDirectory }) =>
    isDirectory ? pathsIn(`${dir}/${name}`) : [`${dir}/${name}`]
  );
}

/** What a stage made, by path. */
function made(dir: string): Map<string, string> {
  const paths = pathsIn(dir).filter((path) => !/\/manifest\.[a-z.]+$/.test(path)).sort();
  return new Map(paths.map((path) => [path, Deno.readFileSync(path).toBase64()]));
}

slowTest("dataset/generate draws again what does not fit, and loses and doubles nothing however stopped", async () => {
  await inFolder(async (dir) => {
    await Deno.writeTextFile(`${dir}/test.yaml`, text);
    const root = `${dir}/runs`;
    // One device for all runs, as each would compile the same shaders.
    const device = await openDevice();
    const run = async (see: (event: RunEvent, stop: () => void) => void = () => {}) => {
      const controller = new AbortController();
      const pipeline = await readPipeline(`${dir}/test.yaml`, stages, { roots: [Deno.cwd()] });
      await runPipeline(pipeline, {
        root,
        reporter: { event: (event) => see(event, () => controller.abort()) },
        openDevice: () => Promise.resolve({ ...device, destroy() {} }),
        signal: controller.signal,
      });
    };
    const synth = `${root}/test/synth`;

    // Stopped while drawing again; then as if killed while drawing, with a picture missing and another half written.
    const stopping = run((event, stop) => {
      const doing = event.event === "progress" && event.stage === "synth" && event.fields["doing"];
      if (doing === "drawing again, 1 of 2") stop();
    });
    await assert.rejects(stopping);
    const [first, ...others] = pathsIn(`${root}/test`).filter((path) => /synth.*\/000000\.png$/.test(path));
    assert.ok(first && others.length === 0);
    await Deno.writeTextFile(first.replace("000000.png", "000001.png.tmp"), "half a picture");
    await Deno.remove(first.replace("000000.png", "000002.png"));
    const lines: string[] = [];
    await run((event) => event.event === "log" && lines.push(event.text));
    const stopped = made(synth);
    await Deno.remove(synth, { recursive: true });
    await run();
    assert.deepEqual(made(synth), stopped);

    const { records } = await openDataset(synth);
    assert.deepEqual(records.map(({ style }) => style), ["ink", "anime", "ink", "anime", "ink", "anime"]);
    const again = records.filter(({ seed }, index) => seed !== index);
    assert.ok(again.length > 0 && again.length < 6, `${again.length} of 6 were drawn again and fit better`);
    assert.ok(records.every(({ seed }, index) => seed! % 6 === index && seed! < 18));
    const [row] = readManifest(synth)!.summary;
    assert.ok(Number(row!["redrawn"]) >= again.length && Number(row!["doubtful"]) <= Number(row!["redrawn"]));
    assert.ok(lines.some((line) => /^\d pictures? in .*, [\d.]+ a minute$/.test(line)), lines.join("\n"));
    assert.ok(lines.some((line) => /^\d of 6 pictures do not fit their landmarks/.test(line)), lines.join("\n"));

    for (
      const [from, to, message] of [
        [", detector: star", "", /Cannot use "redraw" in stage "synth" as the input "detector" is missing/],
        [
          ", redraw: { retries: 2, max_zscore: 0.1 }",
          "",
          /Cannot use input "detector" in stage "synth" as "redraw" is missing/,
        ],
      ] as const
    ) {
      await Deno.writeTextFile(`${dir}/test.yaml`, text.replace(from, to));
      await assert.rejects(() => run(), message);
    }
    device.destroy();
  });
});
