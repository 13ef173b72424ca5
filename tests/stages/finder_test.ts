import assert from "node:assert/strict";
import { openDevice } from "../../engine/device.ts";
import { readDetector } from "../../models/detectors/detector.ts";
import { readFinder } from "../../models/finder/finder.ts";
import { fingerprint } from "../../models/io/fingerprint.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { runPipeline } from "../../runtime/run/run.ts";
import { type Reporter, silent } from "../../runtime/run/progress.ts";
import { stages } from "../../stages/mod.ts";
import { inFolder } from "./run_stages.ts";

const network = "{ stem: 4, c4: 8, c8: 8, c16: 8, c32: 8, neck: 8 }";
const pipeline = (steps: number) => `
stages:
  faces: { uses: faces/render, with: { styles: [photo], count: 4, size_px: 32 } }
  first:
    uses: finder/train
    in: { data: faces, val: faces }
    with: { steps: ${steps}, batch_size: 2, side_px: 64, checkpoint_every: 2, val_every: 3, calibration_scenes: 4, network: ${network} }
  second:
    uses: finder/train
    in: { data: [faces, faces], val: faces, init: first }
    with: { steps: 1, batch_size: 1, side_px: 64, data_weights: [1, 0], calibration_scenes: 3, dtype: f16 }
  copy:
    uses: finder/load
    with: { path: models/faces/finder }
  detector:
    uses: detector/load
    with: { path: models/faces }
  scored:
    uses: finder/calibrate
    in: { finder: copy, detector: detector, data: faces }
    with: { scenes: 8, side_px: 128, clutter: 0.25, dtype: f16 }
  table:
    uses: finder/evaluate
    in: { finder: second, data: faces }
    with: { scenes: 6, side_px: 96 }
  both:
    uses: finder/evaluate
    in: { finder: scored, detector: detector, data: faces }
    with: { scenes: 4, side_px: 128, empty: 0, min_score: 0.2 }
`;

Deno.test("finder/train trains, goes on from another finder and calibrates; finder/calibrate adds a detector; finder/evaluate measures", async () => {
  await inFolder(async (dir) => {
    await Deno.writeTextFile(`${dir}/test.yaml`, pipeline(4));
    await runPipeline(await readPipeline(`${dir}/test.yaml`, stages), {
      root: `${dir}/runs`,
      reporter: silent,
      openDevice,
    });
    const at = (stage: string) => `${dir}/runs/test/${stage}`;
    const { config, tensors } = await readFinder(at("first"));
    assert.notDeepEqual(config.calibration, { slope: 1, shift: 0 });
    assert.ok([...tensors.values()].every(({ data }) => data.every(Number.isFinite)));
    const second = await readFinder(at("second"));
    assert.equal(second.config.stem, 4);
    assert.notDeepEqual(second.tensors, tensors);
    const [copy, shipped] = await Promise.all([at("copy"), "models/faces/finder"].map(readFinder));
    assert.deepEqual(copy, shipped);
    const scored = await readFinder(at("scored")), { with_detector } = scored.config;
    assert.equal(with_detector?.detector, fingerprint((await readDetector("models/faces")).tensors));
    assert.equal(with_detector.least_score, 0.12);
    assert.ok([with_detector.slope, with_detector.doubt, with_detector.shift].every(Number.isFinite));
    assert.ok(with_detector.turn && Number.isFinite(with_detector.turn.doubt));
    assert.deepEqual({ ...scored.config, with_detector }, { ...shipped!.config, with_detector });
    assert.deepEqual(scored.tensors, shipped!.tensors);
    const rates = JSON.parse(await Deno.readTextFile(`${at("scored")}/results.json`));
    assert.ok(rates.looked_at > 0 && rates.recall >= 0 && rates.recall <= 1);
    assert.ok((await Deno.stat(`${at("first")}/scenes.png`)).isFile);
    const lines = (await Deno.readTextFile(`${at("first")}/metrics.jsonl`)).trim().split("\n").map((line) =>
      JSON.parse(line)
    );
    assert.deepEqual(lines.filter(({ loss }) => loss !== undefined).map(({ step }) => step), [1, 2, 3, 4]);
    assert.equal(lines.filter(({ average_precision }) => average_precision !== undefined).length, 2);
    const results = JSON.parse(await Deno.readTextFile(`${at("table")}/results.json`));
    assert.equal(results.scenes, 6);
    assert.ok(results.angles_within_45_degrees === null || results.angles_within_45_degrees <= 1);
    assert.equal(results.sizes.reduce((sum: number, { faces }: { faces: number }) => sum + faces, 0), results.faces);
    assert.ok((await Deno.stat(`${at("table")}/scenes.png`)).isFile);
    // The finder alone has scores down to 0; with a detector there are those of places that it has looked at.
    const both = JSON.parse(await Deno.readTextFile(`${at("both")}/results.json`));
    const bins = (of: { calibration: { from: number; count: number }[] }) => of.calibration;
    assert.ok(bins(results).some(({ from }) => from < 0.1));
    assert.ok(bins(both).length > 0 && bins(both).every(({ from }) => from >= 0.1));
    assert.equal(both.detector, "detector");
    assert.ok(both.faces > 0 && both.recall >= 0 && both.recall <= 1 && both.scenes_with_false <= 4);
  });
});

Deno.test("finder/calibrate goes on where it was stopped, in either pass over the scenes, and comes to the same", async () => {
  await inFolder(async (dir) => {
    await Deno.writeTextFile(
      `${dir}/test.yaml`,
      `
stages:
  faces: { uses: faces/render, with: { styles: [photo], count: 4, size_px: 32 } }
  finder: { uses: finder/load, with: { path: models/faces/finder } }
  detector: { uses: detector/load, with: { path: models/faces } }
  scored:
    uses: finder/calibrate
    in: { finder: finder, detector: detector, data: faces }
    with: { scenes: 22, side_px: 96, clutter: 0.8, dtype: f16 }
`,
    );
    const run = async (root: string, stop_at = Infinity): Promise<void> => {
      const interrupt = new AbortController();
      const reporter: Reporter = {
        event(event) {
          if (event.event === "progress" && event.stage === "scored" && event.done >= stop_at) interrupt.abort();
        },
      };
      const pipeline = await readPipeline(`${dir}/test.yaml`, stages);
      await runPipeline(pipeline, { root: `${dir}/${root}`, reporter, openDevice, signal: interrupt.signal });
    };
    const kept = () => [...Deno.readDirSync(`${dir}/stopped/test/.work/scored/files`)].map(({ name }) => name).sort();
    await run("whole");
    await assert.rejects(run("stopped", 21));
    assert.deepEqual(kept(), ["turns_000000.json"]);
    await assert.rejects(run("stopped", 43));
    assert.deepEqual(kept(), ["faces_000000.json", "turns_000000.json", "turns_000020.json"]);
    await run("stopped");
    for (const file of ["config.json", "results.json", "model.safetensors"]) {
      const [a, b] = await Promise.all(
        ["whole", "stopped"].map((root) => Deno.readFile(`${dir}/${root}/test/scored/${file}`)),
      );
      assert.deepEqual(a, b, file);
    }
  });
});
