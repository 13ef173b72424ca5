import assert from "node:assert/strict";
import { join } from "node:path";
import { CORRECTIONS, correctionsVersion, readCorrections } from "../../formats/corrections.ts";
import { pointsOf } from "../../faces/data/corrections.ts";
import { openFolder } from "../../faces/data/face_folder.ts";
import { createImage } from "../../faces/data/image.ts";
import { writePng } from "../../faces/data/image_file.ts";
import { formatPts } from "../../faces/pts.ts";
import { Guesser } from "../../cli/_correct_guesser.ts";
import { Journal } from "../../cli/_correct_journal.ts";
import { CorrectServer } from "../../cli/_correct_server.ts";
import { openSource } from "../../cli/_correct_source.ts";
import type { FaceSummary } from "../../cli/correct/api.ts";
import { loadDetector } from "../../models/detectors/detector.ts";
import { neutralFace } from "../faces/neutral_face.ts";
import { gpuTest } from "../gpu.ts";
import { inFolder } from "../stages/run_stages.ts";
import { askOf, post, statusOf, TOKEN } from "./ask_server.ts";
import { runCommand } from "./run_command.ts";

const SIDE = 64;
const FACE = Float32Array.from(neutralFace(SIDE));
const at = (dx: number) => pointsOf(FACE.map((px, i) => i % 2 ? px : px + dx));

/** Two pictures with landmarks for one face each, and one without any. */
async function picturesIn(root: string): Promise<string> {
  const dir = join(root, "pictures");
  await Deno.mkdir(dir);
  for (const name of ["a", "b", "c"]) await writePng(`${dir}/${name}.png`, createImage(3 * SIDE, SIDE, [90, 80, 70]));
  for (const name of ["a", "b"]) await Deno.writeTextFile(`${dir}/${name}.pts`, formatPts(FACE));
  return dir;
}

Deno.test("pictures: faces that are added are read with the folder, and their picture needs no landmarks of its own", async () => {
  await inFolder(async (root) => {
    const dir = await picturesIn(root), source = await openSource(dir);
    assert.deepEqual(source.pictures.map(({ file_name }) => file_name), ["a.png", "b.png", "c.png"]);
    assert.deepEqual(source.faces.map(({ file_name, added = false }) => [file_name, added]), [
      ["a.png", false],
      ["b.png", false],
      ["c.png", true],
    ]);
    await assert.rejects(openFolder(dir), /1 of 3 files are bad.*c\.png/s);
    const [a, , c] = source.pictures;
    {
      using journal = Journal.open(source);
      assert.ok(journal.isAbsent(2));
      assert.equal(journal.add(a!, at(64)), 3);
      assert.equal(journal.add(c!, at(10)), 2, "it takes the place of the one that is not there");
      assert.deepEqual([journal.faces[3]!.face, journal.faces[2]!.face], [2, 1]);
      assert.deepEqual(journal.view(3).undo, 1);
    }
    const { records, bad, passed } = await openFolder(dir);
    assert.deepEqual([bad, passed], [[], []]);
    assert.deepEqual(records.map(({ file_name, source }) => [file_name, source]), [
      ["a.png", "a"],
      ["a.png", "a#2"],
      ["b.png", "b"],
      ["c.png", "c"],
    ]);
    assert.deepEqual(pointsOf(records[1]!.landmarks), at(64));
    assert.deepEqual((await openFolder(dir, { filter: (name) => name !== "c" })).records.length, 3);
    assert.ok(correctionsVersion(dir)?.includes("a.png#2"));
    const { faces } = await openSource(dir);
    assert.equal(faces.length, 3, "the folder itself is as it was");
    const save = () => runCommand(["correct", dir, "--save", join(root, "crops"), "--size", "32"]);
    assert.match((await save()).notes, /none is accepted or corrected/, "their landmarks are nobody's yet");
    {
      using journal = Journal.open(source);
      const added = [2, 3].map((k) => [k, journal.view(k)] as const);
      for (const [k, { state, revision }] of added) {
        journal.set(k, { ...state, ...(k === 2 ? { pinned: [30] } : { verdict: "accepted" }) }, revision);
      }
    }
    assert.match((await save()).lines.join(), /^2 faces of/);
  });
});

Deno.test("pictures: an addition is undone, redone, removed, and survives a crash", async () => {
  await inFolder(async (root) => {
    const dir = await picturesIn(root), source = await openSource(dir), [a] = source.pictures;
    const journal = Journal.open(source), k = journal.add(a!, at(64));
    journal.step(k, "undo", 1);
    assert.ok(journal.isAbsent(k));
    assert.equal(correctionsVersion(dir), undefined);
    assert.equal(journal.add(a!, at(70)), k, "another one takes its place");
    journal.set(k, { ...journal.view(k).state, pinned: [30] }, 3);
    const second = journal.add(a!, at(120));
    assert.deepEqual([journal.faces[k]!.face, journal.faces[second]!.face], [2, 3]);
    // A process that is killed leaves the file as it is now.
    const copy = join(root, "copy");
    await Deno.mkdir(copy);
    await Deno.rename(await picturesIn(join(copy)), join(root, "other"));
    await Deno.copyFile(`${dir}/${CORRECTIONS}`, `${root}/other/${CORRECTIONS}`);
    {
      using later = Journal.open(await openSource(`${root}/other`));
      assert.equal(later.faces.length, 5);
      assert.deepEqual(later.view(3).state.landmarks, at(70));
      assert.deepEqual(later.view(3).undo, 2);
      later.set(3, { ...later.view(3).state, verdict: "rejected" }, later.view(3).revision);
    }
    assert.deepEqual([...readCorrections(`${root}/other`).keys()], ["a.png#3"], "what was taken away is gone");
    journal.close();
    assert.deepEqual([...readCorrections(dir).keys()], ["a.png#2", "a.png#3"]);
    // A picture with more faces of its own by now: the numbers would be those of others.
    await Deno.remove(`${dir}/a.pts`);
    const faces = [0, 1].map((n) => `a.png,${FACE.map((px) => px + n).join()}`);
    const columns = Array.from(FACE, (_, i) => `${i % 2 ? "y" : "x"}${i >> 1}`);
    await Deno.writeTextFile(`${root}/list.csv`, [`name,${columns}`, ...faces, ""].join("\n"));
    const other = await openSource(dir, { format: "csv", annotations: `${root}/list.csv` });
    assert.throws(() => Journal.open(other), /it has 1 correction of other faces .* a\.png#2/);
  });
});

Deno.test("pictures: the server adds faces at boxes, and says where it cannot", async () => {
  await inFolder(async (root) => {
    const dir = await picturesIn(root), source = await openSource(dir);
    using journal = Journal.open(source);
    const server = new CorrectServer({ source, journal, token: TOKEN, reason: "it has none" });
    const ask = askOf(server), add = (body: unknown) => ask(`/${TOKEN}/add`, post(body));
    const box = [70, 10, 40, 50];
    const summary = await (await add({ file_name: "a.png", box })).json();
    assert.deepEqual([summary.index, summary.face, summary.absent, summary.added, summary.changed], [
      3,
      2,
      false,
      true,
      false,
    ]);
    assert.deepEqual(summary.box.map((px: number) => Math.round(px)), box);
    for (
      const [body, status] of [
        [{ file_name: "../a.png", box }, 404],
        [{ file_name: "a.pts", box }, 404],
        [{ file_name: "a.png", box: [70, 10, 40] }, 400],
        [{ file_name: "a.png", box: [70, 10, 40, 3] }, 400],
        [{ file_name: "a.png", box: [70, 10, 40, -50] }, 400],
        [{ file_name: "a.png", box: [7e9, 10, 40, 50] }, 400],
        [{ file_name: "a.png", box, more: 1 }, 400],
      ] as const
    ) assert.equal(await statusOf(add(body)), status, JSON.stringify(body));
    assert.equal(journal.faces.length, 4);
    const thumb = await ask(`/${TOKEN}/thumb/3`);
    assert.equal(thumb.headers.get("content-type"), "image/jpeg");
    await thumb.body!.cancel();
  });
});

gpuTest("pictures: the server adds the faces that are found, but for those that are there", async (device) => {
  await inFolder(async (root) => {
    const dir = await picturesIn(root), source = await openSource(dir);
    using journal = Journal.open(source);
    const places = [32, 160].map((x, k) => ({ x, y: 32, side: 40, angle: 0, angle_sure: 1, score: 0.9 - k / 10 }));
    const finder = { find: () => Promise.resolve(places) };
    const detector = await loadDetector(device, "models/tiny/detector", { batch: 1 });
    const guesser = new Guesser(detector, source.schema, () => Promise.resolve(finder));
    await using server = new CorrectServer({ source, journal, guesser, token: TOKEN });
    const find = async (file_name: string) => {
      const answer = await askOf(server)(`/${TOKEN}/find`, post({ file_name }));
      return answer.ok ? (await answer.json() as FaceSummary[]).map(({ index }) => index) : answer.status;
    };
    assert.deepEqual(await find("c.png"), [2, 3], "the first takes the place of the one that is not there");
    const near = (k: number) => journal.view(k).state.landmarks.reduce((sum, [x]) => sum + x / 68, 0);
    assert.ok(Math.abs(near(2) - 32) < 20 && Math.abs(near(3) - 160) < 20, `${near(2)} ${near(3)}`);
    assert.deepEqual(await find("c.png"), [], "they are there");
    journal.set(3, { ...journal.view(3).state, verdict: "rejected" }, journal.view(3).revision);
    assert.deepEqual(await find("c.png"), [3], "one that was added and taken away is found again");
    // A face of the folder that was rejected is not asked about again.
    const [found] = await guesser.find(`${dir}/a.png`);
    journal.set(0, { ...journal.view(0).state, landmarks: found!.landmarks, verdict: "rejected" }, 0);
    assert.deepEqual((await find("a.png") as number[]).map((k) => near(k) > SIDE), [true]);
    assert.equal(await find("../a.png"), 404);
    using other = await loadDetector(device, "models/tiny/detector", { batch: 1 });
    await assert.rejects(new Guesser(other, source.schema).find(`${dir}/a.png`), /there is no finder/);
  });
});

Deno.test("pictures: of a folder without any face, boxes need a detector", async () => {
  await inFolder(async (root) => {
    const dir = join(root, "found");
    await Deno.mkdir(dir);
    await writePng(`${root}/a.png`, createImage(SIDE, SIDE));
    await Deno.writeTextFile(`${dir}/faces.jsonl`, `${JSON.stringify({ file: `${root}/a.png`, faces: [] })}\n`);
    const source = await openSource(dir);
    using journal = Journal.open(source);
    const server = new CorrectServer({ source, journal, token: TOKEN, reason: "it has none" });
    const ask = askOf(server);
    const answer = await ask(`/${TOKEN}/add`, post({ file_name: `${root}/a.png`, box: [1, 1, 30, 30] }));
    assert.deepEqual([answer.status, await answer.text()], [
      422,
      "There are no landmarks for the box: the folder has no face, and no detector (it has none)",
    ]);
    for (const path of ["faces", "next", "thumb/0", "face/0"]) {
      assert.equal(await statusOf(ask(`/${TOKEN}/${path}`)), 200, path);
    }
    const { code, notes } = await runCommand(["correct", dir, "--save", join(root, "out"), "--as", "coco"]);
    assert.equal(code, 2);
    assert.match(notes, /Cannot export the faces of .*: there is none/);
    assert.match((await runCommand(["correct", dir, "--as", "coco"])).notes, /Cannot use --as without --save/);
  });
});
