import assert from "node:assert/strict";
import { join } from "node:path";
import { pointsOf } from "../../faces/data/corrections.ts";
import { createImage } from "../../faces/data/image.ts";
import { writePng } from "../../faces/data/image_file.ts";
import { formatPts } from "../../faces/pts.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { interocular } from "../../faces/landmarks.ts";
import { compareNames, Comparison, folderSide } from "../../cli/_correct_compare.ts";
import { Journal } from "../../cli/_correct_journal.ts";
import { CorrectServer } from "../../cli/_correct_server.ts";
import { openSource } from "../../cli/_correct_source.ts";
import { neutralFace } from "../faces/neutral_face.ts";
import { inFolder } from "../stages/run_stages.ts";
import { askOf, statusOf, TOKEN } from "./ask_server.ts";
import { runCommand } from "./run_command.ts";

const SIDE = 64;
const FACE = Float32Array.from(neutralFace(SIDE));
const moved = (dx: number, dy = 0) => FACE.map((px, i) => px + (i % 2 ? dy : dx));
const ones = new Array(68).fill(1);

/** A picture, and one without a face, with what `detect` found in them. */
async function makeFolders(root: string): Promise<{ dir: string; found: string }> {
  const dir = join(root, "faces"), found = join(root, "found");
  await Deno.mkdir(dir);
  await Deno.mkdir(found);
  for (const name of ["a", "b"]) {
    await writePng(`${dir}/${name}.png`, createImage(3 * SIDE, SIDE, [90, 80, 70]));
    await Deno.writeTextFile(`${dir}/${name}.pts`, formatPts(moved(SIDE)));
  }
  const faces = [moved(2 * SIDE), moved(SIDE + 2), moved(SIDE + 4, 1)];
  const row = {
    file: `${dir}/a.png`,
    faces: faces.map((face) => ({ score: 0.9, landmarks: pointsOf(face), uncertainty_px: ones })),
  };
  await Deno.writeTextFile(`${found}/faces.jsonl`, `${JSON.stringify(row)}\n`);
  return { dir, found };
}

Deno.test("compare: of a picture's faces that were found before, the one over the landmarks is taken", async () => {
  await inFolder(async (root) => {
    const { dir, found } = await makeFolders(root), source = await openSource(dir);
    const side = await folderSide(found, source);
    const [first, second] = source.faces;
    assert.deepEqual(await side.find(first!), pointsOf(moved(SIDE + 2)));
    assert.equal(await side.find(second!), null, "none was found there");
    const comparison = new Comparison([side, await folderSide(dir, source)], source.schema);
    const truth = pointsOf(first!.landmarks);
    assert.equal(comparison.errors(0, truth), undefined);
    await comparison.find(0, first!);
    const unit = interocular(FACE, SCHEMAS.ibug68), expected = Math.round(1e4 * 2 / unit) / 100;
    assert.deepEqual(comparison.errors(0, truth), { errors: [expected, 0], difference: expected });
    await comparison.find(1, second!);
    assert.deepEqual(comparison.errors(1, truth), { errors: [null, 0], difference: null });
    assert.deepEqual(comparison.errors(0, truth.map(() => [1, 1])), { errors: [null, null], difference: null });
  });
});

Deno.test("compare: the server gives what both found, and their errors in the list", async () => {
  await inFolder(async (root) => {
    const { dir, found } = await makeFolders(root), source = await openSource(dir);
    using journal = Journal.open(source);
    const comparison = new Comparison([await folderSide(found, source), await folderSide(dir, source)], source.schema);
    const server = new CorrectServer({ source, journal, comparison, token: TOKEN });
    const ask = (path: string) => askOf(server)(`/${TOKEN}/${path}`);
    const json = async (path: string) => await (await ask(path)).json();
    assert.deepEqual((await json("faces")).compare, [found, dir]);
    assert.equal((await json("faces")).faces[0].compare, null);
    await server.fillList();
    assert.equal((await json("faces")).faces[0].compare.errors[1], 0);
    const both = await json("compare/0");
    assert.deepEqual([both.found[0], both.summary.index], [pointsOf(moved(SIDE + 2)), 0]);
    assert.equal((await ask("compare/2")).status, 404);
    const without = new CorrectServer({ source, journal, token: TOKEN });
    assert.equal(await statusOf(askOf(without)(`/${TOKEN}/compare/0`)), 404);
  });
});

Deno.test("compare: a folder that cannot be compared is named with a hint", async () => {
  await inFolder(async (root) => {
    const { dir } = await makeFolders(root), other = join(root, "other");
    await Deno.mkdir(other);
    await writePng(`${other}/c.png`, createImage(SIDE, SIDE));
    await Deno.writeTextFile(`${other}/c.pts`, formatPts(FACE));
    for (const wrong of ["", dir, `${dir},`, `${dir},${dir},${dir}`]) {
      assert.throws(() => compareNames(wrong), /two names with a comma between them are expected/);
    }
    assert.throws(() => compareNames(`${dir},${root}/none`), /Cannot compare with .*none: there is no such folder/);
    const source = await openSource(dir);
    await assert.rejects(folderSide(other, source), /none of its pictures is one of .*hint: deno task detect/);
    const { code, notes } = await runCommand(["correct", dir, "--no-detector", "--compare", `${dir},${other}`]);
    assert.equal(code, 2);
    assert.match(notes, /Cannot compare with .*other/);
  });
});
