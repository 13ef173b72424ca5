import assert from "node:assert/strict";
import { openDataset } from "../../faces/data/dataset.ts";
import { readImage } from "../../faces/data/image_file.ts";
import { formatPts } from "../../faces/pts.ts";
import { inFolder, runStages } from "../stages/run_stages.ts";
import { runCommand } from "./run_command.ts";

Deno.test("score puts the predictions of several tools side by side", () =>
  inFolder(async (dir) => {
    const at = await runStages(
      dir,
      "  data: { uses: fake/squares, with: { count: 8, size_px: 128, styles: [ink, oil] } }",
    );
    const { records } = await openDataset(at("data"));
    // A tool's landmarks are off by a fixed share of the distance between the outer eye corners, twice that in oil.
    for (const [tool, share] of [["dlib", 0.02], ["foa", 0.04]] as const) {
      await Deno.mkdir(`${dir}/${tool}`);
      for (const { file_name, landmarks, style } of records) {
        const iod = Math.hypot(landmarks[90]! - landmarks[72]!, landmarks[91]! - landmarks[73]!);
        const off = share * iod * (style === "oil" ? 2 : 1);
        const moved = landmarks.map((value, i) => i % 2 ? value : value + off);
        await Deno.writeTextFile(`${dir}/${tool}/${file_name.replace(/.*\/|\.png/g, "")}.pts`, formatPts(moved));
      }
    }
    const tools = ["--predicted", `${dir}/dlib`, "--predicted", `second=${dir}/foa`, "--data", at("data")];
    const run = async (...args: string[]) => {
      const { code, lines, notes } = await runCommand(["score", ...args]);
      assert.equal(code, 0);
      assert.match(notes, /^(device: .+)?$/);
      return lines.join("\n");
    };
    const text = (await run(...tools, "--out", `${dir}/out`)).split("\n").map((line) => line.trim().split(/ {2,}/));
    const row = (name: string) => text.filter(([first]) => first === name);
    assert.deepEqual(row("tool"), [["tool", "images", "NME interocular, %", "fr_10", "auc_10"]]);
    assert.match(row("dlib")[0]!.join(" "), /^dlib 8 3.00 \[3.00, 3.00\] 0.00 0.\d{4}$/);
    assert.deepEqual(row("second")[1], ["second", "6.00", "6.00", "6.00", "6.00", "6.00"]);
    assert.deepEqual(row("style"), [["style", "images", "dlib", "second"]]);
    assert.deepEqual(row("oil"), [["oil", "4", "4.00 [4.00, 4.00]", "8.00 [8.00, 8.00]"]]);

    const { rows, ced } = JSON.parse(await Deno.readTextFile(`${dir}/out/results.json`));
    assert.deepEqual(rows.map(({ dataset }: { dataset: string }) => dataset).slice(0, 3), [
      "data",
      "data/ink",
      "data/oil",
    ]);
    assert.equal(ced.length, 2);
    const svg = await Deno.readTextFile(`${dir}/out/ced.svg`);
    assert.match(svg, /^<svg xmlns="http:\/\/www.w3.org\/2000\/svg"/);
    assert.equal(svg.match(/stroke="rgb\(217,72,15\)"/g)?.length, 2, "a line and its entry in the legend");
    const { width, data } = await readImage(`${dir}/out/ced.png`);
    assert.equal(width, 960);
    const orange = data.reduce((count, red, i) => count + Number(red === 217 && data[i + 1] === 72), 0);
    assert.ok(orange > 500, `${orange} pixels of the second line`);

    const lines = (await run(...tools, "--json")).split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(lines.map(({ name }) => name), ["dlib", "second"]);
    assert.ok(Math.abs(lines[1].styles.oil.nme_interocular - 8) < 0.02);
    const single = JSON.parse(await run(...tools.slice(2)));
    assert.deepEqual(single.predicted, `${dir}/foa`);

    const reject = async (args: string[], message: RegExp) => {
      const { code, notes } = await runCommand(["score", ...args]);
      assert.match(notes, message);
      assert.equal(code, 2);
    };
    await reject(
      [...tools, "--predicted", `${dir}/dlib`],
      /two tools called "dlib", hint: name them: --predicted NAME=/,
    );
    assert.match(JSON.parse(await run("--data", at("data"))).detector, /models\/faces$/, "the one that ships");
    await Deno.remove(`${dir}/foa/000003.pts`);
    await reject(tools, /Cannot score .*foa as .*000003.pts is missing, one of 1 of 8, hint/);
  }));
