import assert from "node:assert/strict";
import { detectorSpecs, saveDetector } from "../../models/detectors/detector.ts";
import { hourglassConfig } from "../../models/detectors/hourglass.ts";
import { initialise } from "../../models/io/params.ts";
import { importFolder, inFolder, run, writeFace } from "./_lib.ts";

const config = hourglassConfig.parse({ size_px: 32, heatmap_px: 16, stacks: 1, depth: 1, channels: 16, groups: 2 });

/** Faces of two pictures that a detector found in boxes, or the reasons that it did not. */
async function detected(dir: string, ...args: string[]) {
  const { code, lines, notes } = await run(["detect", "in", "--detector", "net", ...args], dir);
  return { code, notes, rows: lines.map((line) => JSON.parse(line)) };
}

Deno.test("boxes: outside of the picture, in fractions, with a minus sign, and two of one picture", () =>
  inFolder(async (dir) => {
    await saveDetector(`${dir}/net`, config, initialise(detectorSpecs(config), 3));
    await writeFace(`${dir}/in/a`, { pts: null });
    for (const box of ["1000,1000,50,50", "-90,10,40,40", "10,-90,40,40"]) {
      const { code, rows } = await detected(dir, "--box", box);
      assert.equal(code, 1, box);
      assert.match(rows[0].error, /its centre is outside the picture, which is 96 x 96/);
    }
    for (const box of ["0.1,0.1,0.9,0.9", "0,0,1,1", "-0.1,0,0.9,0.9"]) {
      const { code, notes } = await detected(dir, "--box", box);
      assert.equal(code, 2, box);
      assert.match(notes, /hint: are these fractions\?/);
    }
    for (const args of [["--box", "-5,-5,100,100"], ["--box=-5,-5,100,100"]]) {
      const { code, rows, notes } = await detected(dir, ...args);
      assert.deepEqual([code, rows[0].faces?.length], [0, 1], notes);
    }
    await Deno.writeTextFile(`${dir}/same.csv`, "a,5,5,40,40\na,40,40,50,50\n");
    assert.equal((await detected(dir, "--boxes", "same.csv")).rows[0].faces.length, 2);
  }));

Deno.test("score: thresholds are percent, and fractions are refused", () =>
  inFolder(async (dir) => {
    await writeFace(`${dir}/in/a`);
    const score = (thresholds: string) =>
      run(["score", "--data", "in", "--predicted", "in", "--thresholds", thresholds], dir);
    for (const [given, meant] of [["0.08", "8"], ["0.08,0.1", "8,10"]] as const) {
      const { code, notes } = await score(given);
      assert.equal(code, 2);
      assert.ok(notes.includes(`They are percent: ${meant} for these fractions?`), notes);
    }
    assert.equal((await score("8,0.5")).code, 0);
    await Deno.writeTextFile(
      `${dir}/evaluate.yaml`,
      "stages: { t: { uses: detector/evaluate, in: {}, with: { thresholds: [0.08] } } }",
    );
    assert.match((await run(["validate", "evaluate.yaml"], dir)).notes, /a number from 0\.5: current value is 0\.08/);
  }));

Deno.test("score: one picture, and several of one group, have no interval", () =>
  inFolder(async (dir) => {
    await writeFace(`${dir}/in/a`);
    const interval = async () => {
      const { lines, all } = await run(["score", "--data", "in", "--predicted", "in"], dir);
      return JSON.parse(lines[0] ?? assert.fail(all)).nme_interval;
    };
    assert.equal(await interval(), null);
    await writeFace(`${dir}/in/b`, { seed: 1 });
    await Deno.writeTextFile(`${dir}/in/index.csv`, "name,group\na,g\nb,g\n");
    assert.equal(await interval(), null);
    await Deno.writeTextFile(`${dir}/in/index.csv`, "name,group\na,g\nb,h\n");
    assert.equal((await interval()).length, 2);
  }));

Deno.test("a dataset from elsewhere reads no image of another folder", () =>
  inFolder(async (dir) => {
    await writeFace(`${dir}/in/a`);
    await importFolder(dir, "in");
    const path = `${dir}/runs/imports/faces/metadata.jsonl`;
    const [line] = (await Deno.readTextFile(path)).split("\n");
    const record = JSON.parse(line!);
    for (const file_name of ["../../../in/a.png", `${dir}/in/a.png`, "images/../../x.png", "..\\a.png", "C:\\a.png"]) {
      await Deno.writeTextFile(path, JSON.stringify({ ...record, file_name }));
      const { code, all } = await run(["score", "--data", "runs/imports/faces", "--predicted", "in"], dir);
      assert.equal(code, 2, all);
      assert.match(all, /metadata\.jsonl:1: its image .* is outside of the folder/);
    }
    await Deno.writeTextFile(path, JSON.stringify({ ...record, file_name: "images/none.png" }));
    assert.match(
      (await run(["score", "--data", "runs/imports/faces", "--predicted", "in"], dir)).all,
      /its image images\/none\.png is missing/,
    );
  }));
