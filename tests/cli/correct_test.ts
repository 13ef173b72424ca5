import assert from "node:assert/strict";
import { join } from "node:path";
import { z } from "zod";
import { CORRECTIONS, correctionsVersion, parseCorrections, readCorrections } from "../../formats/corrections.ts";
import { openDataset } from "../../faces/data/dataset.ts";
import { DatasetWriter } from "../../faces/data/dataset_writer.ts";
import { openFolder } from "../../faces/data/face_folder.ts";
import { createImage, type Image } from "../../faces/data/image.ts";
import { writePng } from "../../faces/data/image_file.ts";
import { formatPts } from "../../faces/pts.ts";
import { boundingBox } from "../../faces/landmarks.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { Random } from "../../engine/rng.ts";
import { ConflictError, type FaceState, Journal } from "../../cli/_correct_journal.ts";
import { Comparison, folderSide } from "../../cli/_correct_compare.ts";
import { Guesser } from "../../cli/_correct_guesser.ts";
import { CorrectServer } from "../../cli/_correct_server.ts";
import { openSource } from "../../cli/_correct_source.ts";
import { neutralFace } from "../faces/neutral_face.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { silent } from "../../runtime/run/progress.ts";
import { runPipeline } from "../../runtime/run/run.ts";
import { stage } from "../../runtime/stage.ts";
import { loadDetector } from "../../models/detectors/detector.ts";
import { gpuTest } from "../gpu.ts";
import { inFolder } from "../stages/run_stages.ts";
import { runCommand } from "./run_command.ts";

const SIDE = 64, PORT = 8788, TOKEN = "0123456789abcdef0123456789abcdef";
const LANDMARKS = Float32Array.from(neutralFace(SIDE));

/** A picture that differs with its number. */
const picture = (k: number): Image => createImage(SIDE, SIDE, [40 + k, 90, 200]);

/** A folder of pictures with landmarks, of which each has its own. */
async function folderOf(dir: string, count: number): Promise<string> {
  await Deno.mkdir(dir);
  for (let k = 0; k < count; k++) {
    await writePng(`${dir}/${k}.png`, picture(k));
    await Deno.writeTextFile(`${dir}/${k}.pts`, formatPts(LANDMARKS.map((px) => px + k / 4)));
  }
  return dir;
}

async function datasetOf(dir: string, count: number): Promise<string> {
  const writer = await DatasetWriter.create(dir, SCHEMAS.ibug68);
  for (let k = 0; k < count; k++) {
    await writer.add(picture(k), {
      style: "ink",
      group: `g${k}`,
      landmarks: LANDMARKS.map((px) => px + k / 4),
      doubt: 1 + k,
    });
  }
  await writer.close();
  return dir;
}

const shifted = ({ landmarks, ...rest }: FaceState, by: number): FaceState => ({
  ...rest,
  landmarks: landmarks.map(([x, y], p) => p === 30 ? [x + by, y] as const : [x, y] as const),
});

const filesOf = async (dir: string) =>
  Object.fromEntries(
    await Promise.all(
      [...Deno.readDirSync(dir)].filter(({ isFile, name }) => isFile && !name.startsWith(CORRECTIONS))
        .map(async ({ name }) => [name, (await Deno.readFile(`${dir}/${name}`)).toHex()]),
    ),
  );

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

Deno.test("corrections: undo and redo have no end, also after a crash, and after the end what counts is left", async () => {
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

Deno.test("corrections: of other faces, damaged, or by a second process, they are refused with the way on", async () => {
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

Deno.test("corrections: a stage's dataset is corrected: what reads it runs again, nothing else, and a new one keeps them", async () => {
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

Deno.test("correct: what cannot be corrected is named with the way on", async () => {
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

async function withServer(
  count: number,
  use: (ask: (path: string, init?: RequestInit) => Promise<Response>, journal: Journal, dir: string) => Promise<void>,
  make = datasetOf,
): Promise<void> {
  await inFolder(async (root) => {
    const dir = await make(join(root, "faces"), count), source = await openSource(dir);
    using journal = Journal.open(source);
    const side = await folderSide(dir, source), comparison = new Comparison([side, side], source.schema);
    const server = new CorrectServer({ source, journal, comparison, token: TOKEN, reason: "none is loaded" });
    const ask = (path: string, init?: RequestInit) =>
      server.handle(new Request(path.startsWith("/") ? `http://127.0.0.1:${PORT}${path}` : path, init), PORT);
    await use(ask, journal, dir);
  });
}

const post = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({
  method: "POST",
  headers: { origin: `http://127.0.0.1:${PORT}`, "content-type": "application/json", ...headers },
  body: typeof body === "string" ? body : JSON.stringify(body),
});

Deno.test("correct: the server answers its own page, under its secret, and nobody else", async () => {
  await withServer(2, async (ask, journal) => {
    const status = async (path: string, init?: RequestInit) => {
      const response = await ask(path, init);
      await response.body?.cancel();
      return response.status;
    };
    const state = shifted(journal.original(0), 1);
    for (
      const [path, expected] of [
        ["", 200],
        ["style.css", 200],
        ["cli/correct/app.ts", 200],
        ["faces/refit.ts", 200],
        ["faces", 200],
        ["face/1", 200],
        ["image/0", 200],
        ["thumb/1", 200],
        ["compare/1", 200],
        ["compare/2", 404],
        ["face/2", 404],
        ["image/-1", 404],
        ["image/0/..", 404],
        ["cli/correct.ts", 404],
        ["cli/correct/index.html", 404],
        ["metadata.jsonl", 404],
        ["%2e%2e/deno.json", 404],
        ["../deno.json", 404],
        ["set", 404],
      ] as const
    ) assert.equal(await status(`/${TOKEN}/${path}`), expected, path);
    for (const path of ["/", `/${TOKEN}`, `/${TOKEN.replace("0", "1")}/`, "/faces", `/${TOKEN}x/faces`]) {
      assert.equal(await status(path), 404, path);
    }
    const page = await ask(`/${TOKEN}/`);
    assert.match(page.headers.get("content-security-policy")!, /^default-src 'none'; script-src 'self';/);
    assert.equal(page.headers.get("referrer-policy"), "no-referrer");
    assert.doesNotMatch(await page.text(), /(?:src|href)="(?:https?:)?\/\//, "nothing is loaded from elsewhere");

    const body = { face: 0, revision: 0, state };
    assert.equal(await status(`http://evil.example:${PORT}/${TOKEN}/`), 403);
    assert.equal(await status(`/${TOKEN}/faces`, { headers: { origin: "http://evil.example" } }), 403);
    assert.equal(await status(`/${TOKEN}/set`, post(body, { origin: "null" })), 403);
    const { origin: _, ...noOrigin } = post(body).headers as Record<string, string>;
    assert.equal(await status(`/${TOKEN}/set`, { ...post(body), headers: noOrigin }), 403);
    assert.equal(await status(`/${TOKEN}/set`, post(body, { "content-type": "text/plain" })), 415);
    assert.equal(await status(`/${TOKEN}/set`, post("x".repeat(2 << 20))), 413);
    assert.equal(await status(`/${TOKEN}/set`, { method: "PUT" }), 405);
    for (
      const wrong of [
        "{",
        [],
        {},
        { ...body, face: 9 },
        { ...body, more: 1 },
        { ...body, state: { ...state, landmarks: state.landmarks.slice(1) } },
        { ...body, state: { ...state, landmarks: state.landmarks.with(0, [1e9, 0]) } },
        { ...body, state: { ...state, pinned: [68] } },
        { ...body, state: { ...state, occluded: [1, 1] } },
        { ...body, state: { ...state, verdict: "fine" } },
      ]
    ) {
      const answer = await status(`/${TOKEN}/set`, post(wrong));
      assert.ok(answer === 400 || answer === 404, `${answer} for ${JSON.stringify(wrong).slice(0, 60)}`);
    }
    assert.equal(journal.view(0).revision, 0, "nothing was changed");
    assert.equal(await status(`/${TOKEN}/set`, post(body)), 200);
    assert.equal(await status(`/${TOKEN}/set`, post(body)), 409, "of an old revision");
    assert.equal(await status(`/${TOKEN}/undo`, post({ face: 0, revision: 1 })), 200);
    assert.deepEqual(journal.view(0).state, journal.original(0));
    const guess = await ask(`/${TOKEN}/guess`, post({ face: 0, landmarks: state.landmarks }));
    assert.deepEqual([guess.status, await guess.text()], [422, "none is loaded"]);
  });
});

Deno.test("correct: a window gets the changes of others", async () => {
  await withServer(2, async (ask, journal) => {
    const { body } = await ask(`/${TOKEN}/events`), reader = body!.pipeThrough(new TextDecoderStream()).getReader();
    assert.match((await reader.read()).value!, /^: open/);
    const state = shifted(journal.original(1), 1);
    await (await ask(`/${TOKEN}/set`, post({ face: 1, revision: 0, state }))).body?.cancel();
    const event = JSON.parse((await reader.read()).value!.replace(/^data: /, ""));
    assert.deepEqual([event.summary.index, event.summary.changed, event.revision, event.state], [1, true, 1, state]);
    await reader.cancel();
  });
});

gpuTest(
  "correct: a detector guesses the landmarks of a face at its place, and says where it cannot",
  async (device) => {
    await inFolder(async (root) => {
      const image = createImage(3 * SIDE, 2 * SIDE, [200, 170, 150]), path = `${root}/face.png`;
      await writePng(path, image);
      using detector = await loadDetector(device, "models/tiny/detector", { batch: 1 });
      const guesser = new Guesser(detector, SCHEMAS.ibug68), face = LANDMARKS.map((px) => px + SIDE / 2);
      const [first, second] = await Promise.all([guesser.guess(path, face), guesser.guess(path, face)]);
      assert.deepEqual(first, second);
      assert.equal(first.uncertainty_px.length, 68);
      assert.ok(first.uncertainty_px.every((px) => px > 0));
      const right = await guesser.guess(path, face.map((px, i) => i % 2 ? px : px + SIDE));
      const mean = (list: typeof first) => list.landmarks.reduce((sum, [x]) => sum + x / 68, 0);
      assert.ok(Math.abs(mean(right) - mean(first) - SIDE) < 0.2 * SIDE, "it looks at the place of the landmarks");
      // A box around the landmarks is the same place.
      const { x, y, width, height } = boundingBox(face), inBox = await guesser.guessIn(path, [x, y, width, height]);
      assert.deepEqual(inBox, await guesser.guessIn(path, [x, y, width, height]));
      assert.ok(Math.abs(mean(inBox) - mean(first)) < 0.2 * SIDE);
      await assert.rejects(guesser.guess(path, new Float32Array(136)), /whose eyes are at one place/);
      await assert.rejects(guesser.guess(`${root}/none.png`, face), /none\.png/);
      assert.deepEqual(await guesser.guess(path, face), first, "it goes on after an error");
      assert.throws(() => new Guesser(detector, SCHEMAS.wflw98), /Cannot convert landmarks of ibug68 to wflw98/);
    });
  },
);

/** Number of requests; `deno task fuzz` asks for more. */
const REQUESTS = Number(Deno.args.find((arg) => arg.startsWith("--fuzz="))?.slice("--fuzz=".length) ?? 1000);

async function fuzz(make: typeof datasetOf): Promise<void> {
  await withServer(3, async (ask, journal, dir) => {
    const random = new Random(1, "correct.fuzz");
    const one = <T>(list: readonly T[]): T => list[Math.floor(random.uniform() * list.length)]!;
    const secret = "the secret of another folder";
    await Deno.writeTextFile(`${dir}/../secret.txt`, secret);
    const before = await filesOf(dir), parent = [...Deno.readDirSync(`${dir}/..`)].length;
    const inside = make === datasetOf ? `${dir}/images` : dir, images = await filesOf(inside);
    const number = () => one([0, 1, 2, 3, -1, 1.5, 1e20, "0", null, NaN]);
    const pieces = [
      ..."set undo redo guess add find face image thumb compare faces events style.css cli correct app.ts .. ../.. %2e%2e %00 secret.txt"
        .split(" "),
      "metadata.jsonl",
      "0",
      "1",
      "\\",
      "",
      "é",
    ];
    const path = () =>
      Array.from({ length: Math.floor(random.uniform() * 5) }, () => one(pieces)).join(one(["/", "/", "//", "%2f"]));
    const state = (): unknown =>
      one<() => unknown>([
        () => shifted(journal.original(0), random.uniform()),
        () => ({ ...journal.original(1), verdict: one(["accepted", "rejected", null, "x"]), pinned: [number()] }),
        () => ({ landmarks: [[number(), number()]], occluded: [], pinned: [], verdict: null }),
        () => null,
      ])();
    const body = (formed: boolean): string => {
      const json = JSON.stringify(
        one<() => unknown>([
          () => ({ face: number(), revision: number(), state: state() }),
          () => ({ face: one([0, 1, 2]), revision: journal.view(0).revision, state: state() }),
          () => ({ face: number(), landmarks: [[number(), number()]] }),
          () => ({ file_name: one(["0.png", "1.png", "../secret.txt", "", 7]), box: [number(), 3, 20, number()] }),
          () => ({ file_name: one(["0.png", "2.png"]), box: [1, 2, 30 * random.uniform(), 40] }),
          () => ({ file_name: one(["0.png", "../secret.txt", 7]) }),
          () => ({ ["__proto__"]: { face: 0 }, file_name: "../../secret.txt" }),
          () => [[[[number()]]]],
        ])(),
      );
      return formed ? json : one([
        json,
        json,
        json,
        json.slice(0, random.uniform() * json.length),
        "\u0000" + json,
        "x".repeat(1e6 + 1e6 * random.uniform()),
      ]);
    };
    const counts = new Map<number, number>();
    for (let k = 0; k < REQUESTS; k++) {
      // A part of the requests is formed as those of the page, so that what is in them is looked at.
      const formed = random.uniform() < 0.3, hits = formed || random.uniform() < 0.6;
      const any = <T>(right: T, ...others: T[]): T => formed ? right : one([right, right, ...others]);
      const target = `${any("", "http://evil.example", "http://127.0.0.1:1")}/${any(TOKEN, "", "x")}/${
        hits
          ? one([
            "set",
            "undo",
            "redo",
            "guess",
            "adapt",
            "add",
            "add",
            "find",
            "face/0",
            "image/1",
            "thumb/2",
            "compare/1",
            "faces",
          ])
          : path()
      }`;
      const method = hits ? any("POST", "POST", "GET") : one(["GET", "POST", "PUT", "DELETE", "OPTIONS"]);
      const init: RequestInit = method === "GET" ? {} : {
        ...post(body(formed), {
          origin: any(`http://127.0.0.1:${PORT}`, "null", "http://evil.example"),
          "content-type": any("application/json", "text/plain", "multipart/form-data"),
        }),
        method,
      };
      let response: Response;
      try {
        response = await ask(target, init);
      } catch (error) {
        assert.fail(`${method} ${target} ${String(init.body).slice(0, 300)}: ${(error as Error).stack}`);
      }
      counts.set(response.status, (counts.get(response.status) ?? 0) + 1);
      assert.ok(response.status < 500, `${response.status} for ${method} ${target}`);
      if (response.headers.get("content-type") === "text/event-stream") await response.body!.cancel();
      else assert.ok(!(await response.text()).includes(secret));
    }
    assert.deepEqual([await filesOf(dir), await filesOf(inside)], [before, images]);
    assert.equal([...Deno.readDirSync(`${dir}/..`)].length, parent);
    assert.ok(counts.get(200) && counts.get(400) && counts.get(404) && counts.get(403), JSON.stringify([...counts]));
    for (const { landmarks } of parseCorrections(await Deno.readTextFile(`${dir}/${CORRECTIONS}`), "file")) {
      assert.equal(landmarks.length, 68, "what was written can be read");
    }
    const count = journal.faces.length;
    assert.ok(make === datasetOf ? count === 3 : count > 3, `there are ${count} faces`);
  }, make);
}

for (const make of [datasetOf, folderOf]) {
  Deno.test(
    `correct: ${REQUESTS} random requests read and write nothing but the faces, and none is a crash: ${make.name}`,
    async () => await fuzz(make),
  );
}
