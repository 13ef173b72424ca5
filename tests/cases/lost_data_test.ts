/** Folders as people have them: all that is in one is used, passed over by a stated rule, or named. */
import assert from "node:assert/strict";
import { encodePng } from "../../faces/data/image_file.ts";
import { type FaceFolder, openFolder } from "../../faces/data/face_folder.ts";
import { accountOf } from "../../faces/data/folder/account.ts";
import type { FolderOptions } from "../../faces/data/folder/options.ts";
import { formatPts } from "../../faces/pts.ts";
import { drawFace, importFolder, inFolder, run, writeFace } from "./_lib.ts";
import { encodeBmp, encodeGif, encodeTiff, encodeWebp, exifOf, profileOf } from "./_pictures.ts";

/** Opens a folder, and checks that each of its files is in the account exactly once. */
async function open(dir: string, options: FolderOptions = {}): Promise<FaceFolder> {
  const folder = await openFolder(dir, { on_bad: "skip", ...options });
  const { used, passed, bad } = accountOf(folder);
  const accounted = [...used, ...passed.map(({ file }) => file), ...bad.map(({ file }) => file)].sort();
  assert.deepEqual(accounted, entriesBelow(dir), "each file is used, passed over or named");
  return folder;
}

/** Paths below a folder; hidden folders, and links to folders that are there already, are one entry. */
function entriesBelow(dir: string): string[] {
  return [...Deno.readDirSync(dir)].flatMap(({ name, isDirectory, isSymlink }) => {
    if (isDirectory && !name.startsWith(".")) return entriesBelow(`${dir}/${name}`).map((path) => `${name}/${path}`);
    if (name === "again" && isSymlink) return [`${name}/`];
    return isSymlink && Deno.statSync(`${dir}/${name}`).isDirectory
      ? entriesBelow(`${dir}/${name}`).map((path) => `${name}/${path}`)
      : [name];
  }).sort();
}

/** Makes links, by the pairs of what they lead to and where they are: a right that tests do not have themselves. */
async function link(...pairs: readonly (readonly [target: string, path: string])[]): Promise<void> {
  const code = pairs.map((pair) => `Deno.symlinkSync(${pair.map((path) => JSON.stringify(path)).join()});`).join("");
  const { success } = await new Deno.Command("deno", { args: ["eval", code] }).output();
  assert.ok(success);
}

/** Lines that the import logged. */
async function logOf(dir: string): Promise<string> {
  const lines = (await Deno.readTextFile(`${dir}/runs/imports/log.jsonl`)).trim().split("\n");
  return lines.map((line) => JSON.parse(line)).flatMap(({ event, text }) => event === "log" ? [text] : [])
    .join("\n");
}

const rulesOf = ({ passed }: Pick<FaceFolder, "passed">) =>
  Object.fromEntries(passed.map(({ file, rule }) => [file, rule]));
const badOf = ({ bad }: Pick<FaceFolder, "bad">) => Object.fromEntries(bad.map(({ file, reason }) => [file, reason]));
const notesOf = ({ notes }: Pick<FaceFolder, "notes">) => notes.map(({ message }) => message).join("\n");
const recordsOf = ({ records }: Pick<FaceFolder, "records">) =>
  records.map(({ file_name, style, group }) => `${file_name} ${style} ${group}`);

Deno.test("links to images and to folders are followed; a second path to a file is no second face", () =>
  inFolder(async (dir) => {
    await writeFace(`${dir}/in/a`);
    await writeFace(`${dir}/in/.store/z`, { seed: 1 });
    await writeFace(`${dir}/elsewhere/y`, { seed: 2 });
    await Deno.mkdir(`${dir}/in/all`);
    await link(
      ...["png", "pts"].flatMap((ending) =>
        [[`.store/z.${ending}`, `${dir}/in/z.${ending}`], [`../a.${ending}`, `${dir}/in/all/a.${ending}`]] as const
      ),
      [`${dir}/elsewhere`, `${dir}/in/linked`],
      [`${dir}/in`, `${dir}/in/again`],
    );
    const folder = await open(`${dir}/in`);
    assert.deepEqual(folder.records.map(({ file_name }) => file_name), ["a.png", "linked/y.png", "z.png"]);
    assert.deepEqual(rulesOf(folder), {
      ".store": "hidden",
      "again/": "a link to a folder that is there already",
      "all/a.png": "links to files that are there already",
      "all/a.pts": "links to files that are there already",
    });
    // A folder of nothing but links.
    assert.equal((await open(`${dir}/in/all`)).records.length, 1);
    await link(["nowhere.png", `${dir}/in/lost.png`], ["circle.png", `${dir}/in/circle.png`]);
    const broken = await openFolder(`${dir}/in`, { on_bad: "skip" });
    assert.deepEqual(badOf(broken), {
      "circle.png": "it is a link that leads nowhere",
      "lost.png": "it is a link that leads nowhere",
    });
  }));

Deno.test("images in all formats that are read are used; others, and landmarks without an image, are named", () =>
  inFolder(async (dir) => {
    const formats = {
      ".webp": encodeWebp,
      ".gif": encodeGif,
      ".bmp": encodeBmp,
      ".tif": encodeTiff,
      ".JPG": undefined,
    };
    for (const [seed, [ending, encode]] of Object.entries(formats).entries()) {
      await writeFace(`${dir}/in/f${seed}`, { seed, ending, ...(encode && { encode: (image) => encode(image) }) });
    }
    const folder = await open(`${dir}/in`);
    assert.deepEqual(folder.records.map(({ file_name }) => file_name), [
      "f0.webp",
      "f1.gif",
      "f2.bmp",
      "f3.tif",
      "f4.JPG",
    ]);
    await writeFace(`${dir}/in/g`, {
      ending: ".avif",
      encode: () => new TextEncoder().encode("\0\0\0\x20ftypavif        "),
    });
    await Deno.writeTextFile(`${dir}/in/lost.pts`, formatPts(drawFace().landmarks));
    const { code, bad } = await importFolder(dir, "in", { on_bad: "skip" });
    assert.equal(code, 0);
    assert.deepEqual(bad.map(({ file }) => file), ["lost.pts", "g.avif"]);
    assert.match(
      bad.map(({ reason }) => reason).join("\n"),
      /no image beside these landmarks\n.*is AVIF, which is not read/,
    );
    assert.match(
      await logOf(dir),
      /in: 10 files used, 1 passed over \(1 landmarks of an image that is left out\), 2 left out and named in bad\.jsonl$/,
    );
    const stopped = await importFolder(dir, "in");
    assert.equal(stopped.code, 1);
    assert.match(stopped.all, /2 of 7 files are bad[^]*lost\.pts: there is no image[^]*g\.avif: Cannot read .*AVIF/);
  }));

Deno.test("an image whose ending is of another format is read by its content", () =>
  inFolder(async (dir) => {
    await writeFace(`${dir}/in/a`, { ending: ".jpg", encode: (image) => encodeWebp(image, { EXIF: exifOf(1) }) });
    assert.equal((await open(`${dir}/in`)).records.length, 1);
  }));

Deno.test("300-W's tree is read as it is unpacked; hidden files and those of systems are passed over", () =>
  inFolder(async (dir) => {
    for (
      const name of [
        "01_Indoor/indoor_001",
        "02_Outdoor/outdoor_001",
        "helen/trainset/232194_1",
        "__MACOSX/01_Indoor/x",
      ]
    ) {
      await writeFace(`${dir}/in/${name}`, { seed: name.length });
    }
    await Deno.writeTextFile(`${dir}/in/01_Indoor/._indoor_001.png`, "Mac OS X        ");
    await Deno.writeTextFile(`${dir}/in/.DS_Store`, "x");
    await Deno.writeTextFile(`${dir}/in/README`, "x");
    const folder = await openFolder(`${dir}/in`, { format: "300w" });
    assert.deepEqual(recordsOf(folder), [
      "01_Indoor/indoor_001.png photo 01_Indoor/indoor_001",
      "02_Outdoor/outdoor_001.png photo 02_Outdoor/outdoor_001",
      "helen/trainset/232194_1.png photo helen/trainset/232194_1",
    ]);
    assert.deepEqual(rulesOf(folder), {
      "01_Indoor/._indoor_001.png": "hidden",
      ".DS_Store": "hidden",
      "README": "other files",
      "__MACOSX": "hidden",
    });
    assert.match(notesOf(folder), /^no group is given for any image: each image is a group of its own/);
  }));

/** Folder of the images a and b, with an index. */
async function indexed(dir: string, index: string): Promise<FaceFolder> {
  await Deno.remove(dir, { recursive: true }).catch(() => {});
  await writeFace(`${dir}/a`);
  await writeFace(`${dir}/b`, { seed: 1 });
  await Deno.writeTextFile(`${dir}/index.csv`, index);
  return await open(dir);
}

Deno.test("index.csv: names with endings, quotes, folders, other case and Unicode forms fit", () =>
  inFolder(async (dir) => {
    const both = ["a.png cartoon p1", "b.png cartoon p1"];
    const tables = [
      "name,style,group\na.png,cartoon,p1\nb.png,cartoon,p1\n",
      'name,style,group\n"a","cartoon","p1"\n"b","cartoon","p1"\n',
      "\uFEFFName,Style,Group\r\nA,cartoon,p1\r\nB.PNG,cartoon,p1\r\n",
      "file_name,style,group\n./a.png,cartoon,p1\nphotos\\b.png,cartoon,p1\n".replace("photos\\", ".\\"),
      "image,group,style\na,p1,cartoon\na.png,p1,cartoon\nb,p1,cartoon\n",
    ];
    for (const table of tables) {
      const folder = await indexed(`${dir}/in`, table);
      assert.deepEqual([recordsOf(folder), notesOf(folder)], [both, ""], table);
    }
    const name = "Mu\u0308ller"; // decomposed, as macOS stores it
    await writeFace(`${dir}/nfd/${name}`);
    await Deno.writeTextFile(`${dir}/nfd/index.csv`, "name,group\nM\u00fcller,p1\n");
    assert.deepEqual(recordsOf(await open(`${dir}/nfd`)), [`${name}.png photo p1`]);
  }));

Deno.test("index.csv: rows that fit nothing, images without a row, unused columns and groups alike are said", () =>
  inFolder(async (dir) => {
    const cases: [string, RegExp][] = [
      ["name,group\na,p1\nb,p1\nc,p1\n", /^1 row fits no image: c \(.*index\.csv\)$/],
      ["name,group\na,p1\n", /^1 of 2 images have no row in index\.csv and are groups of their own: b\.png$/],
      [
        "name,group,person,age\na,p1,x,1\nb,p1,y,2\n",
        /^of .*index\.csv, columns person, age are not used: name, style/,
      ],
      ["name,group\na,p1\nb,P1\n", /^groups "p1" and "P1" differ in case only, and are not one group$/],
      ["name,group\na,p1\nb,\n", /^no group is given for 1 of 2 faces: .* as in b\.png$/],
    ];
    for (const [table, message] of cases) assert.match(notesOf(await indexed(`${dir}/in`, table)), message);
    const wrong: [string, RegExp][] = [
      ["name,styl,group\na,cartoon,p1\n", /index\.csv:1: there is no column "styl", hint: did you mean "style"\?/],
      ["name,style,gruop\na,cartoon,p1\n", /index\.csv:1: there is no column "gruop", hint: did you mean "group"\?/],
      ["name,style,group\na,cartoon,p1\na,comic,p2\n", /index\.csv:3: a\.png has another style or group in line 2/],
      ["name,group\na,p1\nA.PNG,p2\n", /index\.csv:3: a\.png has another style or group in line 2/],
      ["name,group,group\na,p1,p2\n", /index\.csv:1: column "group" is there twice/],
      ["name;style;group\na;cartoon;p1\n", /hint: fields are separated by commas, not by ";"/],
      [
        "name,group\nx,p1\ny,p1\n",
        /none of its 2 names is of an image in the folder, hint: it has x, y; the folder has a\.png/,
      ],
      ["name,group\n,p1\n", /index\.csv:2: the name is empty/],
    ];
    for (const [table, message] of wrong) await assert.rejects(indexed(`${dir}/in`, table), message);
  }));

Deno.test("index.csv: each folder may have one; a name that several images have is refused", () =>
  inFolder(async (dir) => {
    for (const name of ["x/a", "y/a"]) await writeFace(`${dir}/in/${name}`, { seed: name.charCodeAt(0) });
    await Deno.writeTextFile(`${dir}/in/x/index.csv`, "name,group\na,p1\n");
    await Deno.writeTextFile(`${dir}/in/y/index.csv`, "name,group\na,p2\n");
    assert.deepEqual(recordsOf(await open(`${dir}/in`)), ["x/a.png photo p1", "y/a.png photo p2"]);
    await Deno.remove(`${dir}/in/x/index.csv`);
    await Deno.rename(`${dir}/in/y/index.csv`, `${dir}/in/index.csv`);
    await assert.rejects(open(`${dir}/in`), /index\.csv:2: "a" may be x\/a\.png, y\/a\.png, hint: give paths relative/);
  }));

Deno.test("landmarks are found in another Unicode form and case; two images with one file are refused", () =>
  inFolder(async (dir) => {
    const face = await writeFace(`${dir}/in/Mu\u0308ller`);
    await Deno.rename(`${dir}/in/Mu\u0308ller.pts`, `${dir}/in/M\u00fcller.pts`);
    await writeFace(`${dir}/in/b`, { ending: ".PNG", seed: 1 });
    await Deno.rename(`${dir}/in/b.pts`, `${dir}/in/b.PTS`);
    assert.equal((await open(`${dir}/in`)).records.length, 2);
    await Deno.writeFile(`${dir}/in/b.webp`, encodeWebp(face.image));
    assert.deepEqual(badOf(await open(`${dir}/in`)), {
      "b.PNG": "b.webp has the same file of landmarks, b.PTS",
      "b.webp": "b.PNG has the same file of landmarks, b.PTS",
    });
    // c.png takes the file of its own name, although C.png has none.
    await writeFace(`${dir}/case/c`);
    await writeFace(`${dir}/case/C`, { seed: 1, pts: null });
    assert.deepEqual(badOf(await open(`${dir}/case`)), { "C.png": "there is no C.pts beside it" });
  }));

Deno.test("text files without landmarks are no lost landmarks", () =>
  inFolder(async (dir) => {
    const { landmarks } = await writeFace(`${dir}/in/a`, { pts: null });
    await Deno.writeTextFile(`${dir}/in/a.txt`, [...landmarks].join(" "));
    await Deno.writeTextFile(`${dir}/in/README.txt`, "Faces of 2021, see https://example.org");
    await Deno.writeTextFile(`${dir}/in/lost.txt`, [...landmarks].join(" "));
    const folder = await open(`${dir}/in`, { format: "text" });
    assert.deepEqual(badOf(folder), { "lost.txt": "there is no image beside these landmarks" });
    assert.deepEqual(rulesOf(folder), { "README.txt": "other files" });
  }));

Deno.test("copies of an image in another group, odd colours and patterns that fit nothing are said", () =>
  inFolder(async (dir) => {
    const { image } = await writeFace(`${dir}/in/a`);
    await writeFace(`${dir}/in/copy`);
    const profile = profileOf("Display P3");
    await writeFace(`${dir}/in/p3`, {
      seed: 2,
      ending: ".webp",
      encode: (image) => encodeWebp(image, { ICCP: profile }),
    });
    const folder = await open(`${dir}/in`);
    assert.match(notesOf(folder), /other groups have copies of 1 image, .*: copy\.png of a\.png/);
    assert.match(notesOf(folder), /1 image has the colour profile "Display P3"; colours are taken as sRGB: p3\.webp/);
    await Deno.writeFile(`${dir}/in/sub.png`, encodePng(image));
    assert.equal((await importFolder(dir, "in", { exclude: ["sub", "fame_*"] })).code, 0);
    const all = await logOf(dir);
    assert.match(all, /note: include and exclude have patterns that fit no name: fame_\*; names are without endings/);
    assert.match(all, /1 passed over \(1 not chosen by include, exclude or list\), none left out/);
  }));

/** A CSV list of faces, by the names that it gives the images. */
async function writeList(path: string, names: readonly string[]): Promise<void> {
  const { landmarks } = drawFace();
  const header = Array.from(landmarks, (_, i) => `${i % 2 ? "y" : "x"}${i >> 1}`);
  await Deno.writeTextFile(path, [`name,${header}`, ...names.map((name) => `${name},${landmarks.join()}`)].join("\n"));
}

Deno.test("a list of faces: images outside of the folder are refused, however they are written", () =>
  inFolder(async (dir) => {
    await writeFace(`${dir}/mine/a`, { pts: null });
    await writeFace(`${dir}/elsewhere/secret`, { pts: null });
    const names = [
      "../elsewhere/secret.png",
      `${dir}/elsewhere/secret.png`,
      "x/../../elsewhere/secret.png",
      "..\\elsewhere\\secret.png",
      "C:\\elsewhere\\secret.png",
    ];
    for (const name of names) {
      await writeList(`${dir}/mine/list.csv`, [name]);
      const { code, all } = await importFolder(dir, "mine", { format: "csv", annotations: "mine/list.csv" });
      assert.equal(code, 1);
      assert.match(all, /secret\.png: it is outside of mine, and only images in it are read/);
    }
  }));

Deno.test("a list of faces: other spellings are found, images that it leaves out and names for one image are named", () =>
  inFolder(async (dir) => {
    for (const name of ["a", "b", "sub/c"]) await writeFace(`${dir}/in/${name}`, { seed: name.length, pts: null });
    await writeList(`${dir}/in/list.csv`, ["./A.png", "old\\b.png", "b.PNG", "./A.png"]);
    const folder = await open(`${dir}/in`, { format: "csv", annotations: `${dir}/in/list.csv` }).catch((error) =>
      error
    );
    assert.match(String(folder), /each file is used/, "an image is in the list twice");
    const listed = await openFolder(`${dir}/in`, { format: "csv", annotations: `${dir}/in/list.csv` });
    assert.deepEqual(listed.records.map(({ source }) => source), ["a", "b"]);
    assert.deepEqual(rulesOf(listed), {
      "a.png": "faces that are listed twice",
      "b.png": "faces that are listed twice",
      "sub/c.png": "images that list.csv does not list",
    });
    await writeList(`${dir}/in/list.csv`, ["x/c.png", "y/c.png"]);
    const confused = await openFolder(`${dir}/in`, { format: "csv", annotations: `${dir}/in/list.csv`, on_bad: "skip" })
      .catch((error) => error);
    assert.match(String(confused), /sub\/c\.png: x\/c\.png, y\/c\.png would all be this image/);
  }));

Deno.test("score names what it passes over, and takes no file for two images", () =>
  inFolder(async (dir) => {
    for (const name of ["x/a", "y/a"]) await writeFace(`${dir}/in/${name}`, { seed: name.charCodeAt(0) });
    await writeFace(`${dir}/found/x/a`, { seed: 7 });
    await writeFace(`${dir}/found/y/a`, { seed: 8 });
    await Deno.writeTextFile(`${dir}/in/notes.txt`, "x");
    const scored = await run(["score", "--predicted", "found", "--data", "in"], dir);
    assert.equal(scored.code, 0, scored.all);
    assert.match(scored.notes, /in: 4 files used, 1 passed over \(1 other files\), none left out/);
    await Deno.rename(`${dir}/found/x/a.pts`, `${dir}/found/a.pts`);
    await Deno.remove(`${dir}/found/y`, { recursive: true });
    const twice = await run(["score", "--predicted", "found", "--data", "in"], dir);
    assert.equal(twice.code, 2);
    assert.match(
      twice.notes,
      /a\.pts would be the landmarks of x\/a\.png and of y\/a\.png, hint: use the same folders/,
    );
    await Deno.writeTextFile(`${dir}/in/lost.pts`, formatPts(drawFace().landmarks));
    const lost = await run(["score", "--predicted", "found", "--data", "in"], dir);
    assert.match(lost.notes, /lost\.pts: there is no image/);
    assert.match(lost.notes, /hint: mend them, or move them to another folder/);
  }));
