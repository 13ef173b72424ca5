import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { createImage } from "../../faces/data/image.ts";
import { writePng } from "../../faces/data/image_file.ts";
import { openDataset } from "../../faces/data/dataset.ts";
import { formatPts } from "../../faces/pts.ts";
import { Adaptation, type AdaptState } from "../../cli/_correct_adapt.ts";
import { Journal } from "../../cli/_correct_journal.ts";
import { CorrectServer } from "../../cli/_correct_server.ts";
import { openSource } from "../../cli/_correct_source.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { stages } from "../../stages/mod.ts";
import { neutralFace } from "../faces/neutral_face.ts";
import { inFolder } from "../stages/run_stages.ts";
import { askOf, post, TOKEN } from "./ask_server.ts";
import { runCommand } from "./run_command.ts";

const SIDE = 64, FACES = 22;
const TINY = fileURLToPath(new URL("../../models/tiny/detector", import.meta.url));

/** A pipeline that reads the faces and "fits" a detector without a GPU. */
const pipeline = (before = "tiny") =>
  `name: small
params:
  folder: { required: folder of faces }
  size_px: 32
stages:
  before: { uses: detector/load, with: { path: ${before} } }
  faces: { uses: dataset/import, with: { path: "\${folder}", size_px: "\${size_px}" } }
  after: { uses: detector/load, with: { path: tiny } }
`;

/** A folder of faces, of which as many are accepted as is said, and the working folder that runs are in. */
async function setUp(
  accepted: number,
  use: (dir: string, adaptation: (file?: string) => Promise<Adaptation>) => Promise<void>,
): Promise<void> {
  await inFolder(async (root) => {
    const dir = join(root, "faces"), home = Deno.cwd();
    await Deno.mkdir(dir);
    for (let k = 0; k < FACES; k++) {
      await writePng(`${dir}/${k}.png`, createImage(SIDE, SIDE, [40 + k, 90, 200]));
      await Deno.writeTextFile(`${dir}/${k}.pts`, formatPts(neutralFace(SIDE)));
    }
    {
      using journal = Journal.open(await openSource(dir));
      for (let k = 0; k < accepted; k++) journal.set(k, { ...journal.original(k), verdict: "accepted" }, 0);
      if (accepted) journal.set(accepted, { ...journal.original(accepted), verdict: "rejected" }, 0);
    }
    const make = async (text = pipeline()) => {
      const file = `${root}/small.yaml`;
      await Deno.writeTextFile(file, text);
      const read = () => readPipeline(file, stages, { allowUnset: true });
      return new Adaptation({ source: await openSource(dir), file, set: [], read });
    };
    for (const folder of ["tiny", "broken"]) {
      await Deno.mkdir(`${root}/${folder}`);
      await Deno.copyFile(`${TINY}/config.json`, `${root}/${folder}/config.json`);
    }
    await Deno.copyFile(`${TINY}/model.safetensors`, `${root}/tiny/model.safetensors`);
    await Deno.writeTextFile(`${root}/broken/model.safetensors`, "no weights");
    Deno.chdir(root);
    try {
      await use(dir, make);
    } finally {
      Deno.chdir(home);
    }
  });
}

/** Waits for the end of the run; resolves to the states on the way. */
async function ended(adaptation: Adaptation): Promise<AdaptState[]> {
  const states: AdaptState[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  adaptation.onChange = (state) => {
    states.push(state);
    if (state.status !== "running" && state.status !== "saving") resolve();
  };
  await promise;
  return states;
}

Deno.test("adapt: the accepted faces are saved and the pipeline runs; a later server knows its end", () =>
  setUp(20, async (dir, make) => {
    await using adaptation = await make();
    assert.equal((await adaptation.state()).status, "none");
    const end = ended(adaptation);
    await adaptation.start();
    await assert.rejects(adaptation.start(), /it is being adapted/);
    const states = await end, last = states.at(-1)!;
    assert.deepEqual([states[0]!.status, last.status, last.message], ["saving", "done", null]);
    assert.deepEqual(last.stages.map(({ stage, status }) => [stage, status]), [
      ["before", "done"],
      ["faces", "done"],
      ["after", "done"],
    ]);
    assert.deepEqual([last.detectors, last.weights, last.report], [["before", "after"], "runs/small/after", null]);
    assert.equal(last.command, `deno task correct ${dir} --adapt --pipeline ${dir.replace(/faces$/, "small.yaml")}`);
    assert.equal((await openDataset("runs/small/faces")).records.length, 20, "the rejected one is left out");

    await using later = await make();
    assert.deepEqual((await later.state()).status, "done");
    const other = new Adaptation({
      source: { ...await openSource(dir), dir: `${dir}2` },
      file: "small.yaml",
      set: [],
      read: () => readPipeline("small.yaml", stages, { allowUnset: true }),
    });
    assert.equal((await other.state()).status, "none", "the run is of another folder");
  }));

Deno.test("adapt: of too few faces it says how many are missing, and of a failed run why", () =>
  setUp(3, async (dir, make) => {
    await using few = await make();
    const missing =
      /Cannot adapt a detector to 3 faces of .*faces: 20 are needed at least, hint: accept or correct 17 more/;
    await assert.rejects(few.start(), missing);
    assert.equal((await few.state()).status, "none");
    {
      using journal = Journal.open(await openSource(dir));
      for (let k = 4; k < FACES; k++) journal.set(k, { ...journal.original(k), verdict: "accepted" }, 0);
    }
    await using wrong = await make(pipeline("broken"));
    const end = ended(wrong);
    await wrong.start();
    const last = (await end).at(-1)!;
    assert.equal(last.status, "failed");
    assert.match(last.message!, /broken.model\.safetensors/);
    assert.deepEqual(last.results, []);
    await using without = await make(
      pipeline().replace("folder: {", "pictures: {").replace("${folder}", "${pictures}"),
    );
    await assert.rejects(without.state(), /it makes no detector from a parameter "folder"/);
  }));

Deno.test("adapt: the server starts it by a POST of its own page, and has none unless it is offered", () =>
  setUp(2, async (dir, make) => {
    await using adaptation = await make();
    const source = await openSource(dir);
    using journal = Journal.open(source);
    const answer = async (server: CorrectServer, init?: RequestInit) => {
      const response = await askOf(server)(`/${TOKEN}/adapt`, init);
      return [response.status, await response.text()] as const;
    };
    await using server = new CorrectServer({ source, journal, adaptation, token: TOKEN, reason: "none is loaded" });
    assert.equal(JSON.parse((await answer(server))[1]).status, "none");
    assert.match((await answer(server, post({ act: "start" })))[1], /^Cannot adapt a detector to 2 faces/);
    assert.deepEqual(await answer(server, post({ act: "use" })), [422, "none is loaded"]);
    assert.equal((await answer(server, post({ act: "cancel" })))[0], 200, "nothing is running");
    assert.equal((await answer(server, post({ act: "remove" })))[0], 400);
    assert.equal((await answer(server, post({ act: "start", set: ["folder=/"] })))[0], 400);
    assert.equal((await answer(server, post({ act: "start" }, { origin: "http://evil.example" })))[0], 403);
    await using plain = new CorrectServer({ source, journal, token: TOKEN });
    for (const init of [undefined, post({ act: "start" })]) assert.equal((await answer(plain, init))[0], 404);
  }));

Deno.test("correct --adapt runs the pipeline on the terminal, and says where the weights lie", () =>
  setUp(20, async (dir, make) => {
    await make();
    const main = fileURLToPath(new URL("../../main.ts", import.meta.url));
    const permissions = ["-P=cli", "--allow-write=.", "--allow-run=deno"];
    const adapt = async (...set: string[]) => {
      const args = ["correct", dir, "--adapt", "--pipeline", "small.yaml", ...set];
      const { code, stdout } = await new Deno.Command("deno", {
        args: ["run", "-q", "--no-prompt", ...permissions, main, ...args],
        env: { INIT_CWD: Deno.cwd() },
        stderr: "null",
      }).output();
      return [code, new TextDecoder().decode(stdout)] as const;
    };
    const [code, text] = await adapt("--set", "size_px=16");
    assert.equal(code, 0);
    assert.match(text, /20 images of .*16 x 16 pixels/);
    assert.match(
      text,
      /weights: runs\/small\/after; next: deno task detect PICTURES --out FOUND --detector runs\/small\/after/,
    );
    assert.equal((await adapt("--set", "size_px=1"))[0], 2);
  }));

Deno.test("correct --adapt says what is missing, and --pipeline and --set are checked before the page is there", () =>
  setUp(2, async (dir, make) => {
    await make();
    assert.match(
      (await runCommand(["correct", dir, "--adapt"])).notes,
      /to 2 faces of .*hint: accept or correct 18 more/,
    );
    const { code, notes } = await runCommand(["correct", dir, "--pipeline", "small.yaml", "--set", "size=3"]);
    assert.equal(code, 2);
    assert.match(notes, /size/);
  }));
