import assert from "node:assert/strict";
import { openDataset } from "../../faces/data/dataset.ts";
import { stylePrompt } from "../../faces/render/styles.ts";
import { promptOf } from "../../stages/lib/diffusion.ts";
import { encodeText, type Ended, importFolder, inFolder, run, writeFace } from "./_lib.ts";

const IMPORT = `
params: { dir: { required: a folder }, size: 32, style: photo }
stages:
  faces: { uses: dataset/import, with: { path: "\${dir}", size_px: "\${size}", style: "\${style}" } }
`;

/** Runs `use` in a folder with `imp.yaml`, and with a face in each of these folders. */
function withFaces(names: readonly string[], use: (dir: string) => Promise<void>): Promise<void> {
  return inFolder(async (dir) => {
    await Deno.writeTextFile(`${dir}/imp.yaml`, IMPORT);
    for (const [seed, name] of names.entries()) await writeFace(`${dir}/${name}/face${seed}`, { seed });
    await use(dir);
  });
}

/** Imports by `imp.yaml`; the names of the images that came in. */
async function imported(dir: string, ...set: string[]): Promise<{ sources: (string | undefined)[]; ended: Ended }> {
  const ended = await run(["run", "imp.yaml", ...set.flatMap((text) => ["--set", text])], dir);
  if (ended.code !== 0) return { sources: [], ended };
  return { sources: (await openDataset(`${dir}/runs/imp/faces`)).records.map(({ source }) => source), ended };
}

const ODD_FOLDERS = [
  "My faces",
  "My faces #2",
  "faces: 2",
  "300",
  "007",
  "1e3",
  "true",
  "null",
  "[old] photos",
  "{a}",
  "*starred",
  "&co",
  "50% off!",
  "it's",
  'the "best"',
  "-dash",
  "a=b",
  "${dir}",
  "@home",
  "ends with a blank ",
];

Deno.test("--set names a folder as it was typed, whatever its name means in YAML", () =>
  withFaces(ODD_FOLDERS, async (dir) => {
    for (const [seed, name] of ODD_FOLDERS.entries()) {
      const { sources, ended } = await imported(dir, `dir=${name}`);
      assert.deepEqual(sources, [`face${seed}`], `${name}: ${ended.all}`);
    }
    // Quotes around the whole value are those of YAML, as they were before.
    assert.deepEqual((await imported(dir, `dir="My faces #2"`)).sources, ["face1"]);
    assert.deepEqual((await imported(dir, `dir=${dir}/My faces #2`)).sources, ["face1"]);
  }));

Deno.test("--set of an option that takes a text keeps digits, signs and what looks like YAML", () =>
  withFaces(["in"], async (dir) => {
    for (const style of ["007", "1e3", "true", "ink: wet", "no. 5 #2", "null", "[a", "$& $1 $$", "costs $5"]) {
      for (const key of ["style", "stages.faces.with.style"]) {
        if (style === "null" && key !== "style") continue; // takes an option out, as in a file
        const { ended } = await imported(dir, "dir=in", `${key}=${style}`);
        assert.equal(ended.code, 0, `${key}=${style}: ${ended.all}`);
        const [record] = (await openDataset(`${dir}/runs/imp/faces`)).records;
        assert.equal(record!.style, style);
      }
    }
  }));

Deno.test("--set of a number or a list is YAML, and nothing of it is left out in silence", () =>
  withFaces(["in"], async (dir) => {
    const { ended } = await imported(dir, "dir=in", "size=64 #2");
    assert.equal(ended.code, 2);
    assert.match(ended.notes, /--set:1:6: Cannot read the value as " #" begins a comment in YAML[^]*hint: .*quotes/);
    const list = await imported(dir, "dir=in", "stages.faces.with.exclude=[a*, b*");
    assert.equal(list.ended.code, 2);
    assert.match(list.ended.notes, /--set:1:34: Cannot read YAML as flow sequence must end/);
    assert.equal((await imported(dir, "dir=in", "stages.faces.with.exclude=[x*]")).ended.code, 0);
    assert.equal((await imported(dir, "dir=in", "size=64")).ended.code, 0);
  }));

Deno.test("$${name} in a pipeline is the text ${name}, also in the pipeline that a run writes", () =>
  withFaces(["in"], async (dir) => {
    await Deno.writeTextFile(
      `${dir}/text.yaml`,
      `stages: { faces: { uses: dataset/import, with: { path: in, size_px: 32, style: "a $\${b} c" } } }`,
    );
    for (const file of ["text.yaml", "runs/text/pipeline.yaml"]) {
      const ended = await run(["run", file], dir);
      assert.equal(ended.code, 0, ended.all);
      assert.equal((await openDataset(`${dir}/runs/text/faces`)).records[0]!.style, "a ${b} c");
    }
    await Deno.writeTextFile(`${dir}/bad.yaml`, (await Deno.readTextFile(`${dir}/text.yaml`)).replace("$$", "$"));
    const { code, notes } = await run(["validate", "bad.yaml"], dir);
    assert.equal(code, 2);
    assert.match(notes, /no such parameter[^]*hint: \$\$\{b\} stands for the text itself/);
  }));

Deno.test("a style's name goes into its prompt as it is, dollar signs too", () => {
  assert.equal(promptOf({ style: "$& and $1" }, "in {style} style"), "in $& and $1 style");
  assert.equal(stylePrompt({ style: "$$5 bill", prompt: "{style}, {style}" }), "$$5 bill, $$5 bill");
});

Deno.test("paths on the command line are those of the folder that the user is in", () =>
  withFaces(["in", "deep/in"], async (dir) => {
    const deep = `${dir}/deep`;
    const sources = async () => (await openDataset(`${dir}/runs/imp/faces`)).records.map(({ source }) => source);
    // The pipeline is named from below, and so is the folder: deep/in, not in.
    const ended = await run(["run", "../imp.yaml", "--set", "dir=in"], dir, deep);
    assert.equal(ended.code, 0, ended.all);
    assert.deepEqual(await sources(), ["face1"]);
    assert.ok(ended.lines.includes(`summary: ${dir}/runs/imp/summary.json`), ended.all);
    for (const set of ["dir=../in", `dir=${dir}/in`, "stages.faces.with.path=../in"]) {
      const more = set.startsWith("dir") ? [] : ["--set", "dir=in"];
      assert.equal((await run(["run", "../imp.yaml", ...more, "--set", set], dir, deep)).code, 0);
      assert.deepEqual(await sources(), ["face0"]);
    }
    // A path that begins with a parameter, and a file of another place.
    await Deno.writeTextFile(
      `${deep}/sub.yaml`,
      IMPORT.replace("${dir}", "${dir}/in").replace("stages", "name: imp\nstages"),
    );
    assert.equal((await run(["run", "sub.yaml", "--set", "dir=."], dir, deep)).code, 0);
    assert.deepEqual(await sources(), ["face1"]);
    // A path of the file itself is the project's.
    await Deno.writeTextFile(
      `${deep}/own.yaml`,
      (await Deno.readTextFile(`${dir}/imp.yaml`)).replace("${dir}", "deep/in"),
    );
    assert.equal((await run(["validate", "own.yaml"], dir, deep)).code, 0);
    await Deno.writeTextFile(
      `${deep}/own.yaml`,
      (await Deno.readTextFile(`${dir}/imp.yaml`)).replace("${dir}", "nowhere"),
    );
    assert.match(
      (await run(["validate", "own.yaml"], dir, deep)).notes,
      new RegExp(`paths in a pipeline are relative to ${dir}`),
    );
    // Options with a name before the path, and those that may be a word or a file.
    const scored = await run(["score", "--data", "in", "--predicted", "them=in"], dir, deep);
    assert.equal(scored.code, 0, scored.all);
    assert.equal(JSON.parse(scored.lines[0]!).predicted, "deep/in");
    assert.match(
      (await run(["run", "../imp.yaml", "--set", "dir=in", "--tune", "none.json"], dir, deep)).notes,
      /--tune=deep\/none\.json/,
    );
  }));

Deno.test("deno task run from a folder of the project reads the files of that folder", async () => {
  const { code, stdout } = await new Deno.Command("deno", {
    args: ["task", "-q", "validate", "full.yaml"],
    cwd: "pipelines",
    env: { INIT_CWD: `${Deno.cwd()}/pipelines` },
    stdout: "piped",
    stderr: "piped",
  }).output();
  assert.deepEqual([code, new TextDecoder().decode(stdout).trim()], [0, "ok pipelines/full.yaml: 15 stages"]);
});

Deno.test("text files of other editors and shells are read, or their encoding is named", () =>
  inFolder(async (dir) => {
    for (const [seed, encoding] of (["utf-8-bom", "utf-16le", "utf-16be"] as const).entries()) {
      await writeFace(`${dir}/in/${encoding}`, { seed, encoding });
    }
    const index = 'name,style,group\nutf-16le,"encre à pois",g\nutf-16be,b,h\nutf-8-bom,c,i\n';
    for (const encoding of ["utf-8", "utf-16le", "utf-16be"] as const) {
      await Deno.writeFile(`${dir}/in/index.csv`, encodeText(index, encoding));
      const { dataset, all } = await importFolder(dir, "in");
      assert.deepEqual(dataset?.records.map(({ style }) => style).sort(), ["b", "c", "encre à pois"], all);
    }
    await Deno.writeFile(`${dir}/in/index.csv`, encodeText(index, "latin1"));
    const { code, all } = await importFolder(dir, "in");
    assert.equal(code, 1);
    assert.match(all, /index\.csv:2:17 as UTF-8: byte e0/);

    const boxes = "name,x,y,width,height\nutf-16le,10,10,60,60\nutf-16be,10,10,60,60\nutf-8-bom,10,10,60,60\n";
    const pipeline = 'stages: { faces: { uses: dataset/import, with: { path: in, size_px: 32, style: "à" } } }';
    await Deno.remove(`${dir}/in/index.csv`);
    for (const encoding of ["utf-8-bom", "utf-16le", "utf-16be"] as const) {
      await Deno.writeFile(`${dir}/encoded.yaml`, encodeText(pipeline, encoding));
      const ended = await run(["validate", "encoded.yaml"], dir);
      assert.equal(ended.code, 0, ended.all);
      await Deno.writeFile(`${dir}/boxes.csv`, encodeText(boxes, encoding));
      // A detector that is not there: the boxes are read before it.
      const { notes } = await run(["detect", "in", "--boxes", "boxes.csv", "--detector", "none"], dir);
      assert.match(notes, /none/);
      assert.doesNotMatch(notes, /boxes\.csv/);
    }
    await Deno.writeFile(`${dir}/encoded.yaml`, encodeText(pipeline, "latin1"));
    const ended = await run(["plan", "encoded.yaml", "--json"], dir);
    assert.equal(ended.code, 2);
    assert.equal(JSON.parse(ended.lines.at(-1)!).error.code, "encoding");
  }));

Deno.test("a binary .pts file is called so", () =>
  inFolder(async (dir) => {
    const { landmarks } = await writeFace(`${dir}/in/a`);
    const binary = new Uint8Array(4 + landmarks.byteLength);
    new DataView(binary.buffer).setInt32(0, 68, true);
    binary.set(new Uint8Array(landmarks.buffer), 4);
    await Deno.writeFile(`${dir}/in/a.pts`, binary);
    const { code, all } = await importFolder(dir, "in");
    assert.equal(code, 1);
    assert.match(all, /a\.pts as text: it is binary/);
  }));

/** Sets a title, colours text, moves up and clears, the same by one character, and turns the text's direction. */
const ESCAPES = "\x1b]0;title\x07\x1b[31mred\x9b2A\x7f\u202Etxt";
// deno-lint-ignore no-control-regex
const RAW = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/;

Deno.test("control characters of names and files reach no terminal", () =>
  inFolder(async (dir) => {
    await writeFace(`${dir}/text/a`, { pts: () => `version: 1\nn_points: 68\n{\n${ESCAPES} 1\n}\n` });
    await writeFace(`${dir}/name/x${ESCAPES}`, { pts: () => "" });
    await Deno.writeTextFile(`${dir}/x${ESCAPES}.yaml`, `stages: { "${"\\x1b"}[31m": { uses: "${"\\x9b"}" } }\n`);
    await Deno.writeTextFile(`${dir}/boxes.csv`, `name,x,y,width,height\na,${ESCAPES},1,2`);
    const all = [
      (await importFolder(dir, "text")).all,
      (await importFolder(dir, "name")).all,
      (await run(["status", "runs/imports"], dir)).all,
      (await run(["status", "runs/imports", "--json"], dir)).all,
      (await run(["validate", `x${ESCAPES}.yaml`], dir)).all,
      (await run(["validate", `x${ESCAPES}.yaml`, "--json"], dir)).all,
      (await run(["plan", "imports.yaml", "--set", `${ESCAPES}=1`], dir)).all,
      (await run(["plan", "imports.yaml", "--only", ESCAPES, "--json"], dir)).all,
      (await run(["run", "imports.yaml", "--json"], dir)).all,
      (await run(["detect", "name", "--boxes", "boxes.csv"], dir)).all,
      (await run(["score", "--data", "name"], dir)).all,
      (await run([ESCAPES], dir)).all,
      (await run(["export", "--detector", ESCAPES, "--format", "onnx", "--out", "x"], dir)).all,
    ];
    for (const text of all) assert.doesNotMatch(text, RAW);
    for (const text of all) assert.match(text, /\\u00(1b|9b)/);
    // Still JSON, with the characters.
    const listed = (await run(["validate", `x${ESCAPES}.yaml`, "--json"], dir)).lines.map((line) => JSON.parse(line));
    assert.equal(listed[0].file, `x${ESCAPES}.yaml`);
  }));

Deno.test("hints of commands have the values that the user set, as words of a shell", () =>
  withFaces(["My faces #2"], async (dir) => {
    await Deno.writeTextFile(`${dir}/imp.yaml`, IMPORT.replace("params: {", "params: { more: { required: x },"));
    const set = ["--set", "dir=My faces #2", "--set", "style=it's"];
    const hint = `run with --set 'dir=My faces #2' --set 'style=it'\\''s' --set more=…`;
    for (const command of ["plan", "validate"]) {
      const { code, all } = await run([command, "imp.yaml", ...set], dir);
      assert.equal(code, 0, all);
      assert.ok(all.includes(hint), all);
    }
    await Deno.writeTextFile(`${dir}/My faces #2/face0.pts`, "");
    assert.equal((await run(["run", "imp.yaml", ...set, "--set", "more=1"], dir)).code, 1);
    const { all } = await run(["status", "runs/imp"], dir);
    assert.ok(
      all.includes(`go on with deno task run imp.yaml --set 'dir=My faces #2' --set 'style=it'\\''s' --set more=1`),
      all,
    );
    await Deno.writeTextFile(
      `${dir}/far.yaml`,
      `stages: { faces: { uses: dataset/import, with: { path: "/usr/share", size_px: 32 } } }`,
    );
    assert.match(
      (await run(["validate", "far.yaml"], dir)).notes,
      /only the command line may name it: --set stages\.faces/,
    );
  }));

Deno.test("plan and validate find the same mistakes, with the same exit code", () =>
  withFaces(["in"], async (dir) => {
    const files = {
      "missing.yaml": IMPORT.replace("${dir}", "nowhere"),
      "number.yaml": IMPORT.replace("${size}", "many"),
      "broken.yaml": "stages: [",
      "empty.yaml": "",
      "list.yaml": "- 1",
      "none.yaml": "stages: {}",
      "loop.yaml": "extends: loop.yaml\nstages: {}",
    };
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${dir}/${name}`, text);
    for (
      const args of [...Object.keys(files).map((name) => [name]), ["imp.yaml", "--set", "size=-1"], [
        "imp.yaml",
        "--set",
        "siz=1",
      ]]
    ) {
      const [plan, validate] = [await run(["plan", ...args], dir), await run(["validate", ...args], dir)];
      assert.deepEqual([plan.code, plan.notes], [validate.code, validate.notes], args.join(" "));
    }
  }));
