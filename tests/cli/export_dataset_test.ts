import assert from "node:assert/strict";
import { DATASET_FORMATS, EXPORT_NAMES } from "../../faces/data/annotations/registry.ts";
import { openDataset } from "../../faces/data/dataset.ts";
import { DatasetWriter } from "../../faces/data/dataset_writer.ts";
import { createImage } from "../../faces/data/image.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { neutralFace } from "../faces/neutral_face.ts";
import { inFolder, runStages } from "../stages/run_stages.ts";
import { runCommand } from "./run_command.ts";

/** A dataset of three images of two groups and styles. */
async function writeDataset(dir: string): Promise<void> {
  const writer = await DatasetWriter.create(dir, SCHEMAS.ibug68);
  for (const [i, style] of ["ink", 'oil, "wet"', "ink"].entries()) {
    await writer.add(createImage(64, 64, [i * 40, 120, 200]), {
      style,
      group: `person ${i >> 1}`,
      landmarks: neutralFace(64).map((px) => px + i / 8),
      source: `in/${i}`,
      ...(i === 0 && { prompt: "a portrait" }),
    });
  }
  await writer.close();
}

for (const name of EXPORT_NAMES) {
  Deno.test(`export-dataset --format ${name}: dataset/import reads the same dataset by the options that it prints`, () =>
    inFolder(async (dir) => {
      await writeDataset(`${dir}/data`);
      const out = `${dir}/out`;
      const { code, lines, notes } = await runCommand([
        "export-dataset",
        `${dir}/data`,
        "--format",
        name,
        "--out",
        out,
      ]);
      assert.deepEqual([code, notes], [0, ""]);
      assert.equal(lines[0], `3 images, landmarks of ibug68 as ${name}: ${out}`);
      const { lacks = [] } = DATASET_FORMATS[name] as { lacks?: readonly string[] };
      assert.equal(
        lines.some((line) => /has no place for style and group: .*index\.csv has them$/.test(line)),
        lacks.length > 0,
      );
      assert.ok(lines.includes("left out: source, prompt"));
      const [, how] = /^dataset\/import reads it with (\{.*\})$/.exec(lines.at(-1)!)!;
      const of = await runStages(dir, `  again: { uses: dataset/import, with: ${how} }`);
      const [before, after] = [await openDataset(`${dir}/data`), await openDataset(of("again"))];
      const about = ({ records }: typeof before) => records.map(({ style, group }) => [style, group]);
      assert.deepEqual(about(after), about(before));
      const exact = !lacks.includes("fractions of a pixel");
      assert.equal(lines.includes(`${name} has whole pixels: coordinates were rounded`), !exact);
      for (const [i, { landmarks }] of after.records.entries()) {
        landmarks.forEach((px, k) => {
          const want = before.records[i]!.landmarks[k]!;
          assert.ok(Math.abs(px - want) < (exact ? 5e-4 : 0.501), `${name}: ${px} is not ${want}`);
        });
        assert.deepEqual((await after.load(i)).image.data, (await before.load(i)).image.data);
      }
    }));
}

for (const name of ["coco", "cvat", "csv"] as const) {
  Deno.test(`export-dataset --format ${name}: hidden landmarks are written and read back, or named as left out`, () =>
    inFolder(async (dir) => {
      await writeDataset(`${dir}/data`);
      const [first, ...others] = (await Deno.readTextFile(`${dir}/data/metadata.jsonl`)).trim().split("\n");
      const hidden = JSON.stringify({ ...JSON.parse(first!), occluded: [3, 30, 67] });
      await Deno.writeTextFile(`${dir}/data/metadata.jsonl`, [hidden, ...others, ""].join("\n"));
      const { code, lines } = await runCommand([
        "export-dataset",
        `${dir}/data`,
        "--format",
        name,
        "--out",
        `${dir}/out`,
      ]);
      assert.equal(code, 0);
      assert.equal(lines.includes("left out: source, prompt, occluded"), name === "csv");
      const [, how] = /^dataset\/import reads it with (\{.*\})$/.exec(lines.at(-1)!)!;
      const of = await runStages(dir, `  again: { uses: dataset/import, with: ${how} }`);
      const { records } = await openDataset(of("again")), before = await openDataset(`${dir}/data`);
      assert.deepEqual(
        records.map(({ occluded }) => occluded),
        [name === "csv" ? undefined : [3, 30, 67], undefined, undefined],
      );
      assert.deepEqual(
        records.map(({ style, group }) => [style, group]),
        before.records.map((r) => [r.style, r.group]),
      );
      records.forEach(({ landmarks }, i) =>
        landmarks.forEach((px, k) => assert.ok(Math.abs(px - before.records[i]!.landmarks[k]!) < 5e-4))
      );
    }));
}

Deno.test("export-dataset overwrites only when asked, and leaves other files", () =>
  inFolder(async (dir) => {
    await writeDataset(`${dir}/data`);
    const run = (...args: string[]) =>
      runCommand(["export-dataset", `${dir}/data`, "--format", "csv", "--out", ...args]);
    await Deno.mkdir(`${dir}/out`);
    await Deno.writeTextFile(`${dir}/out/notes.txt`, "mine");
    const refused = await run(`${dir}/out`);
    assert.equal(refused.code, 2);
    assert.match(
      refused.notes,
      /^Cannot write to .*out as it is not empty: it has "notes\.txt", hint: name a new folder/,
    );
    assert.deepEqual([...Deno.readDirSync(`${dir}/out`)].map(({ name }) => name), ["notes.txt"]);
    assert.equal((await run(`${dir}/out/`, "--overwrite")).code, 0);
    assert.equal((await run(`${dir}/out`, "--overwrite")).code, 0);
    const names = [...Deno.readDirSync(`${dir}/out`)].map(({ name }) => name).sort();
    assert.deepEqual(names, ["000000.png", "000001.png", "000002.png", "landmarks.csv", "notes.txt"]);
    assert.equal(await Deno.readTextFile(`${dir}/out/notes.txt`), "mine");
    await Deno.mkdir(`${dir}/empty`);
    assert.equal((await run(`${dir}/empty`)).code, 0);
    const file = await run(`${dir}/out/notes.txt`, "--overwrite");
    assert.deepEqual([file.code, /as it is a file/.test(file.notes)], [2, true]);
  }));

Deno.test("export-dataset names what is wrong; exit code 2", () =>
  inFolder(async (dir) => {
    await writeDataset(`${dir}/data`);
    const fails = async (message: RegExp, ...args: string[]) => {
      const { code, notes } = await runCommand(["export-dataset", ...args]);
      assert.match(notes, message);
      assert.equal(code, 2);
    };
    await fails(
      /^Cannot export .*nowhere as there is no .*metadata\.jsonl, hint: .*dataset\/import/,
      `${dir}/nowhere`,
      "--format",
      "csv",
      "--out",
      `${dir}/out`,
    );
    await fails(/Allowed choices are pts, 300w, text/, `${dir}/data`, "--format", "wflw", "--out", `${dir}/out`);
    await fails(/required option '--format <NAME>' not specified/, `${dir}/data`, "--out", `${dir}/out`);
    await Deno.remove(`${dir}/data/images/000001.png`);
    const { code, notes } = await runCommand([
      "export-dataset",
      `${dir}/data`,
      "--format",
      "csv",
      "--out",
      `${dir}/out`,
    ]);
    assert.deepEqual([code, /000001\.png/.test(notes), /bug/.test(notes)], [1, true, false]);
    assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["data"], "nothing is half written");
  }));
