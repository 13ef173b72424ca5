import assert from "node:assert/strict";
import { join } from "node:path";
import { z } from "zod";
import { CORRECTIONS, correctionsVersion, parseCorrections, readCorrections } from "../../formats/corrections.ts";
import { openDataset } from "../../faces/data/dataset.ts";
import { DatasetWriter } from "../../faces/data/dataset_writer.ts";
import { openFolder } from "../../faces/data/face_folder.ts";
import { writePng } from "../../faces/data/image_file.ts";
import { formatPts } from "../../faces/pts.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { ConflictError, Journal } from "../../cli/_correct_journal.ts";
import { openSource } from "../../cli/_correct_source.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { silent } from "../../runtime/run/progress.ts";
import { runPipeline } from "../../runtime/run/run.ts";
import { stage } from "../../runtime/stage.ts";
import { inFolder } from "../stages/run_stages.ts";
import { datasetOf, filesOf, folderOf, LANDMARKS, picture, shifted } from "./correct_faces.ts";
import { runCommand } from "./run_command.ts";

Deno.test("corrections: a dataset and a folder have them, and their files stay as they were", async () => {
  await inFolder(async (root) => {
    for (const make of [datasetOf, folderOf]) {
      const dir = await make(join(root, make.name), 3), before = await filesOf(dir);
      {
        using journal = Journal.open(await openSource(dir));
        journal.set(0, shifted(journal.original(0), 2), 0);
        journal.set(1, { ...journal.original(1), verdict: "rejected" }, 0);
        journal.set(2, { ...journal.original(2), verdict: "accepted", occluded: [7, 3] }, 0);
      }
      const { records } = make === datasetOf ? await openDataset(dir) : await openFolder(dir);
      assert.equal(records.length, 2);
      assert.ok(Math.abs(records[0]!.landmarks[60]! - LANDMARKS[60]! - 2) < 0.002);
      assert.equal(records[0]!.landmarks[0]!.toFixed(2), LANDMARKS[0]!.toFixed(2));
      assert.deepEqual(records[1]!.occluded, [7, 3]);
      assert.equal(records[0]!.doubt, undefined, "what was corrected is in no doubt");
      assert.deepEqual(await filesOf(dir), before);
      assert.equal((await openDatasetOrFolder(dir, false)).length, 3);
    }
  });
});

Deno.test("corrections: landmarks that were hidden before can be shown again", async () => {
  await inFolder(async (root) => {
    const dir = await datasetOf(join(root, "hidden"), 2), path = join(dir, "metadata.jsonl");
    const [first, second] = (await Deno.readTextFile(path)).trim().split("\n");
    const hidden = JSON.stringify({ ...JSON.parse(first!), occluded: [3, 7] });
    await Deno.writeTextFile(path, [hidden, second, ""].join("\n"));
    const occluded = async () => (await openDataset(dir)).records.map((record) => record.occluded);
    {
      using journal = Journal.open(await openSource(dir));
      assert.deepEqual(journal.original(0).occluded, [3, 7]);
      journal.set(0, { ...journal.original(0), verdict: "accepted" }, 0);
      assert.equal(correctionsVersion(dir), undefined, "an accepted face is as it was");
      journal.set(0, { ...journal.original(0), occluded: [7] }, 1);
      assert.deepEqual(await occluded(), [[7], undefined]);
      journal.set(0, { ...journal.original(0), occluded: [] }, 2);
    }
    assert.deepEqual(await occluded(), [undefined, undefined]);
  });
});

Deno.test("corrections: a review's findings come with its dataset and with the one it was given", async () => {
  await inFolder(async (root) => {
    const given = await datasetOf(join(root, "given"), 3), kept = await datasetOf(join(root, "kept"), 2);
    const { records } = await openDataset(given);
    const pairs = records.map(({ file_name, landmarks }, k) => ({
      file_name,
      style: "ink",
      alignment_nme: 5 + k,
      doubt: k,
      verdict: k === 1 ? "rejected" : "kept",
      found: Array.from(landmarks, (px, i) => i % 2 ? px : px + k),
    })).reverse();
    await Deno.writeTextFile(join(kept, "review.json"), JSON.stringify({ styles: [], pairs }));
    const facts = async (dir: string, review?: string) =>
      (await openSource(dir, { review })).faces.map(({ review }) => review && [review.alignment_nme, review.verdict]);
    assert.deepEqual(await facts(given, kept), [[5, "kept"], [6, "rejected"], [7, "kept"]]);
    assert.deepEqual(await facts(kept), [[5, "kept"], [7, "kept"]]);
    assert.deepEqual(await facts(given), [undefined, undefined, undefined]);
    const [, second] = (await openSource(given, { review: kept })).faces;
    assert.deepEqual(second!.review!.found[0], [pairs[1]!.found[0], pairs[1]!.found[1]]);
    await assert.rejects(openSource(given, { review: given }), /Cannot read a review in .*there is no review\.json/);
    await Deno.writeTextFile(join(kept, "review.json"), JSON.stringify({ pairs: pairs.slice(1) }));
    await assert.rejects(openSource(kept), /its pairs are not those of the dataset beside it/);
    await Deno.writeTextFile(join(kept, "review.json"), "{}");
    await assert.rejects(openSource(given, { review: kept }), /Cannot read .*review\.json: pairs: /);
  });
});

const openDatasetOrFolder = async (dir: string, corrected: boolean) => (await openFolder(dir, { corrected })).records;

Deno.test("corrections: undo and redo are unlimited, also after a crash; closing keeps the current state", async () => {
  await inFolder(async (root) => {
    const dir = await folderOf(join(root, "faces"), 2), source = await openSource(dir), copy = join(root, "copy");
    const journal = Journal.open(source), original = journal.original(0);
    const states = Array.from({ length: 50 }, (_, k) => shifted(original, k + 1));
    for (const [k, state] of states.entries()) journal.set(0, state, k);
    for (let k = 50; k < 90; k++) journal.step(0, "undo", k);
    assert.deepEqual(journal.view(0), { state: states[9], revision: 90, undo: 10, redo: 40 });
    assert.throws(() => journal.set(0, original, 3), ConflictError);

    // A process that is killed leaves the file as it is now, with half a line at worst.
    await folderOf(copy, 2);
    const text = await Deno.readTextFile(`${dir}/${CORRECTIONS}`);
    await Deno.writeTextFile(`${copy}/${CORRECTIONS}`, text + text.slice(0, 100));
    {
      using later = Journal.open(await openSource(copy));
      assert.deepEqual(later.view(0), { state: states[9], revision: 0, undo: 10, redo: 40 });
      assert.deepEqual(later.step(0, "redo", 0).state, states[10]);
      for (let k = 1; later.view(0).undo; k++) later.step(0, "undo", k);
      assert.deepEqual(later.view(0).state, original);
    }
    assert.ok(!await Deno.stat(`${copy}/${CORRECTIONS}`).catch(() => false), "nothing is corrected");

    journal.close();
    const lines = parseCorrections(await Deno.readTextFile(`${dir}/${CORRECTIONS}`), "file");
    assert.deepEqual(lines.map(({ file_name, landmarks }) => [file_name, landmarks[30]]), [
      ["0.png", states[9]!.landmarks[30]],
    ]);
    using again = Journal.open(source);
    assert.deepEqual([again.view(0).undo, again.step(0, "undo", 0).state], [1, original]);
  });
});

Deno.test("corrections: of other faces, damaged, or by a second process, they are refused with a hint", async () => {
  await inFolder(async (root) => {
    const dir = await folderOf(join(root, "faces"), 2);
    {
      using journal = Journal.open(await openSource(dir));
      journal.set(1, shifted(journal.original(1), 1), 0);
      const source = await openSource(dir);
      assert.throws(() => Journal.open(source), /another process corrects it, hint: open the address/);
      const { code, notes } = await runCommand(["correct", dir, "--undo-all"]);
      assert.equal(code, 2);
      assert.match(notes, /a process corrects it, hint: stop it first/);
    }
    await Deno.writeTextFile(`${dir}/1.pts`, formatPts(LANDMARKS.map((px) => px + 3)));
    await assert.rejects(openFolder(dir), /it has 1 correction of other faces .* 1\.png#1, hint: .* --undo-all/);
    const source = await openSource(dir);
    assert.throws(() => Journal.open(source), /it has 1 correction of other faces/);
    const undone = await runCommand(["correct", dir, "--undo-all"]);
    assert.deepEqual([undone.code, undone.lines], [0, [
      `the corrections of 1 face are set aside in ${dir}/${CORRECTIONS}.undone1`,
    ]]);
    assert.equal((await openFolder(dir)).records.length, 2);
    assert.deepEqual((await runCommand(["correct", dir, "--undo-all"])).lines, [`${dir} has no corrections`]);
    await Deno.writeTextFile(`${dir}/${CORRECTIONS}`, '{"file_name":"0.png"}\n');
    await assert.rejects(openFolder(dir), /corrections\.jsonl:1: face: .*hint: remove the line/);
  });
});

Deno.test("corrections: the version changes with what they change, and with nothing else", async () => {
  await inFolder(async (root) => {
    const dir = await folderOf(join(root, "faces"), 2);
    const work = async (act: (journal: Journal) => void) => {
      using journal = Journal.open(await openSource(dir));
      act(journal);
    };
    assert.equal(correctionsVersion(dir), undefined);
    await work((journal) => void journal.set(0, { ...journal.original(0), verdict: "accepted", pinned: [4] }, 0));
    assert.equal(correctionsVersion(dir), undefined, "a face that is right is as it was");
    assert.equal(readCorrections(dir).size, 1);
    await work((journal) => void journal.set(0, shifted(journal.original(0), 1), 0));
    const version = correctionsVersion(dir);
    assert.ok(version);
    await work(() => {});
    assert.equal(correctionsVersion(dir), version);
    await work((journal) => void journal.step(0, "undo", 0));
    assert.equal(correctionsVersion(dir), undefined);
  });
});

Deno.test("corrections: stages that read a corrected dataset run again, no others, and a new dataset keeps its corrections", async () => {
  await inFolder(async (root) => {
    const file = join(root, "flow.yaml"), runs = join(root, "runs"), seen: string[] = [];
    const flow = (shift: number) =>
      `stages:
  faces: { uses: fake/faces, with: { shift: ${shift} } }
  others: { uses: fake/faces }
  read: { uses: fake/read, in: { data: faces } }
  unrelated: { uses: fake/read, in: { data: others } }
`;
    const faces = stage({
      id: "fake/faces",
      doc: "Makes faces.",
      version: 1,
      inputs: {},
      output: "dataset",
      options: z.object({ shift: z.number().default(0) }),
      async run(ctx, _inputs, { shift }) {
        seen.push("faces");
        const writer = await DatasetWriter.create(ctx.dir, SCHEMAS.ibug68);
        await writer.add(picture(0), { style: "ink", group: "g", landmarks: LANDMARKS.map((px) => px + shift) });
        await writer.close();
      },
    });
    const read = stage({
      id: "fake/read",
      doc: "Reads faces.",
      version: 1,
      inputs: { data: "dataset" },
      output: "report",
      options: z.object({}),
      async run(_ctx, { data }) {
        seen.push(`x ${(await openDataset(data.dir)).records[0]!.landmarks[60]!.toFixed(1)}`);
      },
    });
    const run = async (shift = 0) => {
      await Deno.writeTextFile(file, flow(shift));
      seen.length = 0;
      const types = { "fake/faces": () => Promise.resolve(faces), "fake/read": () => Promise.resolve(read) };
      const openDevice = () => assert.fail("no GPU is needed");
      await runPipeline(await readPipeline(file, types), { root: runs, reporter: silent, openDevice });
      return [...seen].sort();
    };
    const nose = (by: number) => `x ${(LANDMARKS[60]! + by).toFixed(1)}`;
    assert.deepEqual(await run(), ["faces", "faces", nose(0), nose(0)]);
    assert.deepEqual(await run(), []);
    const dir = join(runs, "flow/faces");
    const correct = async (by: number) => {
      using journal = Journal.open(await openSource(dir));
      journal.set(0, shifted(journal.original(0), by), 0);
    };
    await correct(2);
    assert.deepEqual(await run(), [nose(2)]);
    assert.deepEqual(await run(), []);
    await runCommand(["correct", dir, "--undo-all"]);
    assert.deepEqual(await run(), [nose(0)]);
    await correct(3);
    assert.deepEqual(await run(), [nose(3)]);
    await assert.rejects(run(5), /it has 1 correction of other faces .*--undo-all/s);
    assert.equal(readCorrections(dir).size, 1, "the work of a person is there");
    assert.deepEqual(await run(), ["faces", nose(3)], "and fits where the faces are as they were");
  });
});

Deno.test("correct --save writes what was accepted or corrected, with its landmarks in the crops", async () => {
  await inFolder(async (root) => {
    const dir = await folderOf(join(root, "faces"), 4), out = join(root, "out");
    const save = async () => await runCommand(["correct", dir, "--save", out, "--size", "48"]);
    assert.match((await save()).notes, /none is accepted or corrected, hint: deno task correct/);
    {
      using journal = Journal.open(await openSource(dir));
      journal.set(0, { ...journal.original(0), verdict: "accepted" }, 0);
      journal.set(1, shifted(journal.original(1), 4), 0);
      journal.set(2, { ...shifted(journal.original(2), 4), verdict: "rejected" }, 0);
    }
    const { code, lines } = await save();
    assert.deepEqual([code, lines], [0, [
      `2 faces of ${dir}: ${out}; next: deno task run pipelines/adapt.yaml --set folder=${out}`,
    ]]);
    const { records, size_px } = await openDataset(out);
    assert.deepEqual([size_px, records.map(({ source }) => source)], [48, ["0.png", "1.png"]]);
    const nose = (k: number) => records[k]!.landmarks[60]!, lip = (k: number) => records[k]!.landmarks[66]!;
    const scale = (records[0]!.landmarks[32]! - records[0]!.landmarks[0]!) / (LANDMARKS[32]! - LANDMARKS[0]!);
    assert.ok(Math.abs(nose(1) - lip(1) - (nose(0) - lip(0)) - 4 * scale) < 0.01);
    assert.match((await save()).notes, /it is not empty/);
    // `dataset/import` takes it as a folder.
    assert.equal((await openFolder(out)).records.length, 2);
  });
});

Deno.test("correct: a folder that cannot be corrected is named with a hint", async () => {
  await inFolder(async (root) => {
    const bare = join(root, "bare");
    await Deno.mkdir(bare);
    await writePng(`${bare}/a.png`, picture(0));
    const message = async (dir: string) => (await runCommand(["correct", dir, "--no-detector"])).notes;
    assert.match(await message(join(root, "none")), /there is no such folder/);
    assert.match(
      await message(bare),
      /hint: pictures without landmarks: deno task detect .* then deno task correct FOUND/,
    );
    await Deno.writeTextFile(`${bare}/faces.jsonl`, '{"file":"gone.png","faces":[]}\n');
    assert.match(await message(bare), /gone\.png is missing, hint: .* run detect again/);
    await Deno.writeTextFile(`${bare}/faces.jsonl`, '{"file":"notes.txt","error":"it is no picture"}\n');
    assert.match(await message(bare), /faces\.jsonl has no picture/);
    await Deno.writeTextFile(`${bare}/faces.jsonl`, "{\n");
    assert.match(await message(bare), /faces\.jsonl:1: /);
    const row = { file: `${bare}/gone.png`, faces: [{ score: 1, landmarks: points(LANDMARKS), uncertainty_px: ones }] };
    await Deno.writeTextFile(`${bare}/faces.jsonl`, `${JSON.stringify(row)}\n`);
    assert.match(await message(bare), /gone\.png is missing, hint: .* run detect again/);
    await Deno.writeTextFile(`${bare}/faces.jsonl`, `${JSON.stringify({ ...row, file: `${bare}/a.png` })}\n`);
    const { faces: [face], kind } = await openSource(bare);
    assert.deepEqual([kind, face!.file_name, face!.face, face!.score], ["results of detect", `${bare}/a.png`, 1, 1]);
    assert.ok(face!.doubt! > 0);
  });
});

const points = (flat: Float32Array) => Array.from({ length: 68 }, (_, p) => [flat[2 * p], flat[2 * p + 1]]);
const ones = new Array(68).fill(1);
