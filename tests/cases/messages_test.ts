/**
 * The whole text of messages about folders, index files, pictures and sets of landmarks: tests/errors/folders.txt, which
 * `deno task test --allow-write=tests/errors tests/cases/messages_test.ts -- --update` writes anew; read it then.
 */
import assert from "node:assert/strict";
import { openFolder } from "../../faces/data/face_folder.ts";
import { accountLine, accountOf } from "../../faces/data/folder/account.ts";
import type { FolderOptions } from "../../faces/data/folder/options.ts";
import { decodeImage } from "../../faces/data/image_file.ts";
import { noteLine } from "../../faces/data/index_file.ts";
import { type Affine, type Landmarks, transformLandmarks } from "../../faces/landmarks.ts";
import { formatPts } from "../../faces/pts.ts";
import { drawFace, inFolder, writeFace } from "./_lib.ts";
import { bytesOf, encodeBmp, encodeGif, encodeTiff, encodeWebp, integer, profileOf } from "./_pictures.ts";

const EXPECTED = "tests/errors/folders.txt";

/** Files that are no picture which is read. */
const PICTURES: Readonly<Record<string, ArrayLike<number> | string>> = {
  "empty.png": "",
  "text.png": "no image",
  "a.avif": bytesOf([0, 0, 0, 32], "ftypavif", new Uint8Array(20)),
  "a.heic": bytesOf([0, 0, 0, 32], "ftypheic", new Uint8Array(20)),
  "a.mp4": bytesOf([0, 0, 0, 32], "ftypisom", new Uint8Array(20)),
  "a.jxl": [0xff, 0x0a, 0, 0],
  "a.jp2": bytesOf([0, 0, 0, 12], "jP  "),
  "a.psd": "8BPS",
  "a.hdr": "#?RADIANCE",
  "a.qoi": "qoif",
  "a.ppm": "P6\n1 1",
  "big.tif": bytesOf("II", 43, 0, 8, 0),
  "a.pdf": "%PDF-1.7",
  "pointer.png": "version https://git-lfs.github.com/spec/v1\n",
  "page.jpg": "<!DOCTYPE html>",
  "moving.gif": encodeGif(drawFace({ width: 8, height: 8 }).image, 2),
  "moving.webp": bytesOf("RIFF", integer(30, 4), "WEBPVP8X", integer(10, 4), 2, new Uint8Array(9)),
  "cut.gif": "GIF89a",
  "cut.webp": "RIFF\0\0\0\0WEBP",
  "cut.jpg": [0xff, 0xd8, 0xff, 0xe0],
  "cut.bmp": encodeBmp(drawFace({ width: 64, height: 64 }).image).slice(0, 9000),
  "rle.bmp": encodeBmp(drawFace({ width: 8, height: 8 }).image).fill(1, 30, 31),
  "jpeg.tif": encodeTiff(drawFace({ width: 8, height: 8 }).image, { 259: 7 }),
  "planes.tif": encodeTiff(drawFace({ width: 8, height: 8 }).image, { 284: 2 }),
};

/** Index files that are wrong, for the images a and b. */
const INDEXES = [
  "person,style\na,x",
  "name;style;group\na;x;p1",
  "name,styl,group\na,x,p1",
  "name,group,group\na,p1,p2",
  "name,group\na",
  "name,group\n,p1",
  "name,group\na,p1\na.png,p2",
  "name,group\nx,p1\ny,p2",
];

/** The message of what an action throws, without the folder of the test. */
async function messageOf(action: () => Promise<unknown>, dir: string): Promise<string> {
  const error = await action().then(() => assert.fail("no error"), (error: Error) => error);
  assert.equal(error.name, "InputError", String(error));
  return error.message.replaceAll(dir, "DIR");
}

Deno.test("messages about folders, index files, pictures and sets of landmarks are the expected ones", () =>
  inFolder(async (dir) => {
    const lines: string[] = ["# Pictures", ""];
    for (const [name, content] of Object.entries(PICTURES)) {
      lines.push(await messageOf(() => Promise.try(() => decodeImage(bytesOf(content), { name })), dir));
    }
    lines.push("", "# Index files", "");
    for (const name of ["a", "b"]) await writeFace(`${dir}/index/${name}`, { seed: name.charCodeAt(0) });
    for (const table of INDEXES) {
      await Deno.writeTextFile(`${dir}/index/index.csv`, table);
      lines.push(await messageOf(() => openFolder(`${dir}/index`), dir));
    }
    const said = async (path: string, options: FolderOptions = {}) => {
      const folder = await openFolder(`${dir}/${path}`, { on_bad: "skip", ...options });
      const bad = folder.bad.map(({ file, reason }) => `bad: ${file}: ${reason}`);
      return [...bad, ...folder.notes.map(noteLine), accountLine(accountOf(folder))].map((line) =>
        line.replaceAll(dir, "DIR")
      );
    };
    lines.push("", "# Notes on index files", "");
    for (const table of ["name,group,age\na,p1,3\nb,P1,4\nc,p2,5", "name,style\na,ink", "name,group\na,p1\nb,"]) {
      await Deno.writeTextFile(`${dir}/index/index.csv`, table);
      lines.push(...await said("index"), "");
    }
    lines.push("# A folder with something of everything", "");
    await writeFace(`${dir}/mixed/a`);
    await writeFace(`${dir}/mixed/copy`);
    await writeFace(`${dir}/mixed/bare`, { pts: null, seed: 1 });
    await writeFace(`${dir}/mixed/two`, { seed: 2 });
    await Deno.writeFile(`${dir}/mixed/two.webp`, encodeWebp(drawFace({ seed: 3 }).image));
    await writeFace(`${dir}/mixed/p3`, {
      seed: 4,
      ending: ".webp",
      encode: (image) => encodeWebp(image, { ICCP: profileOf("Display P3") }),
    });
    await writeFace(`${dir}/mixed/out_1`, { seed: 5 });
    await Deno.writeTextFile(`${dir}/mixed/lost.pts`, formatPts(drawFace().landmarks));
    for (const name of [".DS_Store", "notes.md"]) await Deno.writeTextFile(`${dir}/mixed/${name}`, "x");
    const filter = (name: string) => !name.startsWith("out_");
    lines.push(...await said("mixed", { filter }), "");
    lines.push(await messageOf(() => openFolder(`${dir}/mixed`, { filter }), dir));
    lines.push(await messageOf(() => openFolder(`${dir}/mixed`, { filter: () => false }), dir));
    await Deno.mkdir(`${dir}/empty`);
    lines.push(await messageOf(() => openFolder(`${dir}/empty`), dir));
    lines.push("", "# Landmarks", "");
    const mistakes: Readonly<Record<string, Affine>> = {
      mirrored: [-1, 0, 95, 0, 1, 0],
      swapped: [0, 1, 0, 1, 0, 0],
      bottom: [1, 0, 0, 0, -1, 95],
      side: [0, -1, 95, 1, 0, 0],
      head: [-1, 0, 95, 0, -1, 95],
      large: [1.6, 0, 0, 0, 1.6, 0],
      shares: [0.01, 0, 0, 0, 0.01, 0],
    };
    for (const [seed, [name, map]] of Object.entries(mistakes).entries()) {
      const pts = (landmarks: Landmarks) => formatPts(transformLandmarks(landmarks, map));
      await writeFace(`${dir}/landmarks/afw/${name}`, { seed, pts });
    }
    await writeFace(`${dir}/landmarks/afw/planar`, {
      seed: 9,
      pts: (landmarks) => formatPts(landmarks.map((_, k) => landmarks[k < 68 ? 2 * k : 2 * (k - 68) + 1]!)),
    });
    lines.push(...await said("landmarks"));
    const text = `${lines.join("\n")}\n`;
    if (Deno.args.includes("--update")) await Deno.writeTextFile(EXPECTED, text);
    assert.equal(text, await Deno.readTextFile(EXPECTED));
  }));
