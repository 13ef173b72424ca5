import assert from "node:assert/strict";
import { saveDetector } from "../../models/detectors/detector.ts";
import { detectorSpecs } from "../../models/detectors/detector.ts";
import { starDetectorConfig } from "../../models/detectors/star_detector.ts";
import { initialise } from "../../models/io/params.ts";
import { autoencoderNames } from "../../models/io/original_names.ts";
import { checkMessages } from "../errors/messages.ts";
import { gpuTest } from "../gpu.ts";
import { vaeConfig, weights, writeTorch } from "../models/io/tiny_checkpoint.ts";
import { withFullDisk, withoutRights } from "./_faults.ts";
import { copyFolder, type Ended, inFolder, run, writeFace } from "./_lib.ts";

const TINY = new URL("../../models/tiny", import.meta.url).pathname;

/** A folder with something for every command: a model, a checkpoint, a detector, pictures, landmarks and pipelines. */
async function prepare(dir: string): Promise<void> {
  await copyFolder(TINY, `${dir}/tiny`);
  await writeTorch(`${dir}/vae.ckpt`, new Map(weights("vae", "", autoencoderNames(vaeConfig))));
  const config = starDetectorConfig.parse({ size_px: 64, stacks: 1, depth: 3, channels: 8 });
  await saveDetector(`${dir}/star`, config, initialise(detectorSpecs(config), 1));
  for (const [k, name] of ["a", "b"].entries()) {
    await writeFace(`${dir}/art/${name}`, { seed: k });
    await Deno.mkdir(`${dir}/found`, { recursive: true });
    await Deno.copyFile(`${dir}/art/${name}.pts`, `${dir}/found/${name}.pts`);
  }
  await Deno.mkdir(`${dir}/pipes`);
  for (const name of ["a", "b"]) {
    const stage = { uses: "dataset/import", with: { path: "art", size_px: 32 } };
    await Deno.writeTextFile(`${dir}/pipes/${name}.yaml`, JSON.stringify({ stages: { faces: stage } }));
  }
}

/** Everything in a folder and below it. */
function allIn(dir: string, prefix = ""): string[] {
  return [...Deno.readDirSync(dir)].flatMap(({ name, isDirectory }) => [
    prefix + name,
    ...isDirectory ? allIn(`${dir}/${name}`, `${prefix}${name}/`) : [],
  ]).sort();
}

/** A failure of the machine has a sentence and no trace. */
function isClean({ all }: Ended): void {
  assert.doesNotMatch(all, /^ {4}at |this is a bug|ext:/m);
}

/** Commands that write, without a GPU, with the bytes at which they are cut off. */
const WRITING: Readonly<Record<string, readonly [args: readonly string[], sizes: readonly number[]]>> = {
  "convert a file": [["convert", "vae.ckpt", "out/x"], [0, 700, 5000, 200_000]],
  "convert a folder": [["convert", "tiny", "out/x"], [0, 5000, 1_000_000]],
  "export onnx": [["export", "--detector", "tiny/detector", "--format", "onnx", "--out", "out/x.onnx"], [0, 5000]],
  "export star": [["export", "--detector", "star", "--format", "star", "--out", "out/x"], [0, 5000]],
  "score": [["score", "--data", "art", "--predicted", "found", "--out", "out/x"], [0, 700]],
};

Deno.test("a full disk is named with the path, and nothing half-written stays", () =>
  inFolder(async (dir) => {
    await prepare(dir);
    await Deno.mkdir(`${dir}/out`);
    const messages: Record<string, string> = {};
    for (const [key, [args, sizes]] of Object.entries(WRITING)) {
      for (const bytes of sizes) {
        const before = key === "score" ? [] : allIn(`${dir}/out`);
        const ended = await withFullDisk(bytes, () => run(args, dir));
        isClean(ended);
        assert.equal(ended.code, 1, `${key} ${bytes}: ${ended.all}`);
        messages[`${key}, ${bytes} bytes`] = ended.notes;
        const left = allIn(`${dir}/out`);
        // The results of a score are files of their own, of which each is whole.
        if (key !== "score") assert.deepEqual(left, before, `${key} ${bytes}`);
        for (const name of left) {
          assert.doesNotMatch(name, /\.tmp$|\.part$|\.unfinished/);
          const { size, isFile } = await Deno.stat(`${dir}/out/${name}`);
          assert.ok(!isFile || size > 0, `${name} is empty`);
        }
      }
      const { code, all } = await run(args, dir);
      assert.equal(code, 0, all);
      await Deno.remove(`${dir}/out`, { recursive: true });
      await Deno.mkdir(`${dir}/out`);
    }
    checkMessages("full_disk", messages, dir);
  }));

Deno.test("missing permissions are named with the path in every command, and other files are read", () =>
  inFolder(async (dir) => {
    await prepare(dir);
    const messages: Record<string, string> = {};
    const refused = async (
      key: string,
      rights: { readonly read?: RegExp; readonly write?: RegExp },
      args: readonly string[],
    ) => {
      const ended = await withoutRights(rights, () => run(args, dir));
      isClean(ended);
      assert.ok(ended.code === 1 || ended.code === 2, ended.all);
      messages[key] = (args[0] === "validate" ? ended.all : ended.notes).trimEnd();
    };
    const onnx = ["export", "--detector", "tiny/detector", "--format", "onnx", "--out"];
    await refused("convert what may not be read", { read: /vae\.ckpt/ }, ["convert", "vae.ckpt", "x"]);
    await refused("convert to where nothing may be written", { write: /./ }, ["convert", "vae.ckpt", "x"]);
    await refused("convert a folder with one file", { read: /vae\/config/ }, ["convert", "tiny", "x"]);
    await refused("export from what may not be read", { read: /detector\/model/ }, [...onnx, "x.onnx"]);
    await refused("export to where nothing may be written", { write: /x\.onnx/ }, [...onnx, "x.onnx"]);
    await refused("validate a folder", { read: /^pipes$/ }, ["validate", "pipes"]);
    await refused("validate a folder with one file", { read: /a\.yaml/ }, ["validate", "pipes"]);
    for (const command of ["run", "plan", "graph"]) {
      await refused(`${command} a pipeline`, { read: /a\.yaml/ }, [command, "pipes/a.yaml"]);
      await refused(`${command} on a folder`, { read: /^art$/ }, [command, "pipes/a.yaml"]);
    }
    await refused("run with a picture", { read: /art\/a\.png/ }, ["run", "pipes/a.yaml"]);
    await refused("golden", { read: /^art$/ }, ["golden", "art"]);
    await refused("score landmarks", { read: /found\/a\.pts/ }, ["score", "--data", "art", "--predicted", "found"]);
    await refused("score a folder", { read: /^art$/ }, ["score", "--data", "art", "--predicted", "found"]);
    await Deno.mkdir(`${dir}/runs/one`, { recursive: true });
    await Deno.writeTextFile(`${dir}/runs/one/log.jsonl`, "{}\n");
    await refused("status", { read: /log\.jsonl/ }, ["status", "runs/one"]);
    checkMessages("missing_rights", messages, dir);

    // The state of the other runs is printed.
    const { code, notes } = await withoutRights({ read: /one\/log\.jsonl/ }, () => run(["status"], dir));
    assert.equal(code, 0);
    assert.match(
      notes,
      /^Cannot read runs\/one\/log\.jsonl: Permission denied \(os error 13\), hint: make it readable/,
    );
  }));

Deno.test("folders and links where files are expected are named", () =>
  inFolder(async (dir) => {
    await prepare(dir);
    const messages: Record<string, string> = {};
    await Deno.mkdir(`${dir}/folder.ckpt`);
    await Deno.mkdir(`${dir}/given/config.json`, { recursive: true });
    const cases: Record<string, string[]> = {
      "a configuration that is a folder": ["export", "--detector", "given", "--format", "onnx", "--out", "x"],
      "a file below a file": ["convert", "vae.ckpt/x", "x"],
      "an empty folder": ["convert", "folder.ckpt", "x"],
      "a result below a file": ["export", "--detector", "tiny/detector", "--format", "onnx", "--out", "vae.ckpt/x"],
      "a name that is too long": ["convert", "vae.ckpt", "x".repeat(300)],
    };
    for (const [key, args] of Object.entries(cases)) {
      const ended = await run(args, dir);
      isClean(ended);
      assert.ok(ended.code === 1 || ended.code === 2, ended.all);
      messages[key] = ended.notes.replace(/x{300}/g, "LONG");
    }
    checkMessages("wrong_places", messages, dir);
  }));

gpuTest(
  "detect names a picture that may not be read and does the others; a full disk ends it cleanly",
  () =>
    inFolder(async (dir) => {
      await prepare(dir);
      const args = ["detect", "art", "--detector", "tiny/detector", "--crop", "none"];
      const ended = await withoutRights({ read: /art\/a\.png/ }, () => run(args, dir));
      isClean(ended);
      assert.equal(ended.code, 1, ended.all);
      const lines = ended.lines.map((line) => JSON.parse(line));
      assert.equal(lines.length, 2);
      assert.match(
        lines[0].error,
        /Cannot read art\/a\.png: Permission denied \(os error 13\), hint: make it readable/,
      );
      assert.equal(lines[1].error, undefined);
      const full = await withFullDisk(700, () => run([...args, "--out", "out"], dir));
      isClean(full);
      assert.equal(full.code, 1, full.all);
      assert.match(full.notes, /No space left on device/);
      for (const name of allIn(`${dir}/out`)) {
        assert.doesNotMatch(name, /\.tmp$/);
        assert.ok((await Deno.stat(`${dir}/out/${name}`)).size > 0, name);
      }
    }),
);
