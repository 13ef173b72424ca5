import assert from "node:assert/strict";
import { createImage } from "../../faces/data/image.ts";
import { decodeImage, encodeJpeg, encodePng, readImage } from "../../faces/data/image_file.ts";
import { openFolder } from "../../faces/data/face_folder.ts";
import { boundingBox } from "../../faces/landmarks.ts";
import { readPts } from "../../faces/pts.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { withOrientation } from "../faces/data/exif.ts";
import { detectorSpecs, saveDetector } from "../../models/detectors/detector.ts";
import { hourglassConfig } from "../../models/detectors/hourglass.ts";
import { saveFinder } from "../../models/finder/finder.ts";
import { finderConfig, finderSpecs } from "../../models/finder/network.ts";
import { initialise } from "../../models/io/params.ts";
import { slowTest } from "../slow.ts";
import { inFolder } from "../stages/run_stages.ts";
import { runCommand } from "./run_command.ts";

const config = hourglassConfig.parse({ size_px: 32, heatmap_px: 16, stacks: 1, depth: 1, channels: 16, groups: 2 });

interface Line {
  file: string;
  error?: string;
  width: number;
  height: number;
  faces: {
    box: number[];
    score: number | null;
    angle: number;
    landmarks: number[][];
    uncertainty_px: number[];
    track?: number;
  }[];
}
type Run = (...args: string[]) => Promise<{ code: number; lines: Line[]; notes: string }>;

/** A folder with an untrained detector, `in/` with two pictures, and what runs the command on it. */
function setUp(use: (dir: string, run: Run) => Promise<void>) {
  return inFolder(async (dir) => {
    await saveDetector(`${dir}/net`, config, initialise(detectorSpecs(config), 3));
    await Deno.mkdir(`${dir}/in`);
    for (const [name, width] of [["a", 60], ["b", 90]] as const) {
      await Deno.writeFile(`${dir}/in/${name}.png`, picture(width, 60));
    }
    await use(dir, async (...args) => {
      const { lines, ...rest } = await runCommand(["detect", ...args, "--detector", `${dir}/net`]);
      return { lines: lines.map((line) => JSON.parse(line)), ...rest };
    });
  });
}

const picture = (width: number, height: number) => encodePng(createImage(width, height, [width, 90, 30]));
const names = (dir: string) => [...Deno.readDirSync(dir)].map(({ name }) => name).sort();

Deno.test("detect writes lines, .pts files and overlays, in pixels of the pictures", () =>
  setUp(async (dir, run) => {
    const { code, lines } = await run(`${dir}/in`, "--box", "20,10,20,30", "--out", `${dir}/out`, "--flip");
    assert.deepEqual([code, lines.length], [0, 2]);
    for (const [k, name] of ["a", "b"].entries()) {
      const { file, width, height, faces } = lines[k]!;
      assert.deepEqual([file, width, height, faces.length], [`${dir}/in/${name}.png`, [60, 90][k], 60, 1]);
      const { box, score, angle, landmarks, uncertainty_px } = faces[0]!;
      assert.ok(score === null && Math.abs(angle) <= Math.PI);
      assert.ok(uncertainty_px.length === 68 && uncertainty_px.every((px) => px > 0 && px < 46.2));
      const tight = boundingBox(landmarks.flat());
      // A box counts from the corner of the picture, as --box does, and landmarks from the centre of the first pixel.
      [tight.x + 0.5, tight.y + 0.5, tight.width, tight.height].forEach((px, i) =>
        assert.ok(Math.abs(px - box[i]!) < 2e-3)
      );
      const written = await readPts(`${dir}/out/${name}.pts`, SCHEMAS.ibug68);
      landmarks.flat().forEach((px, i) => assert.ok(Math.abs(px - written[i]!) < 2e-3));
      assert.equal((await readImage(`${dir}/out/${name}.png`)).width, [60, 90][k]);
    }
    assert.deepEqual(names(`${dir}/out`), ["a.png", "a.pts", "b.png", "b.pts", "detect.json", "faces.jsonl"]);
    await Deno.rename(`${dir}/in/b.png`, `${dir}/in/b, the "second".png`);
    await Deno.writeTextFile(`${dir}/boxes.csv`, 'name,x,y,width,height\n"b, the ""second""",20,10,20,30\n');
    const listed = await run(`${dir}/in/b, the "second".png`, "--boxes", `${dir}/boxes.csv`, "--flip");
    assert.deepEqual(listed.lines[0]!.faces, lines[1]!.faces);
  }));

Deno.test("detect has several faces of a picture in every format, which dataset/import reads", () =>
  setUp(async (dir, run) => {
    const formats = ["--format", "pts,json,csv,coco,svg,png,sheet"];
    await Deno.writeTextFile(`${dir}/boxes.csv`, "b,20,10,20,30\na,5,5,30,30\nb,50,20,30,30\n");
    const { code, lines, notes } = await run(
      `${dir}/in`,
      "--boxes",
      `${dir}/boxes.csv`,
      "--out",
      `${dir}/out`,
      ...formats,
    );
    assert.deepEqual([code, lines.map(({ faces }) => faces.length)], [0, [1, 2]], notes);
    assert.deepEqual(
      names(`${dir}/out`),
      "a.json a.png a.pts a.svg b.json b.png b.pts b.svg b_face2.pts coco.json contact.png detect.json faces.csv faces.jsonl"
        .split(" "),
    );
    const points = lines.flatMap(({ faces }) => faces.map(({ landmarks }) => landmarks.flat()));
    const same = (found: ArrayLike<number>, k: number) =>
      points[k]!.forEach((px, i) => assert.ok(Math.abs(px - found[i]!) < 2e-3, `coordinate ${i} of face ${k}`));
    for (const [k, name] of ["a", "b", "b_face2"].entries()) {
      same(await readPts(`${dir}/out/${name}.pts`, SCHEMAS.ibug68), k);
    }
    for (const [format, file] of [["csv", "faces.csv"], ["coco", "coco.json"]] as const) {
      const { records } = await openFolder(`${dir}/in`, { format, annotations: `${dir}/out/${file}` });
      assert.deepEqual(
        records.map(({ file_name }) => file_name),
        ["a.png", "b.png", "b.png"],
      );
      records.forEach(({ landmarks }, k) => same(landmarks, k));
    }
    assert.deepEqual(JSON.parse(await Deno.readTextFile(`${dir}/out/b.json`)), lines[1]);
    const svg = await Deno.readTextFile(`${dir}/out/b.svg`);
    assert.equal(svg.match(/<circle /g)!.length, 136);
    const [, embedded] = /href="data:image\/png;base64,([^"]*)"/.exec(svg)!;
    assert.equal(decodeImage(Uint8Array.from(atob(embedded!), (c) => c.charCodeAt(0))).width, 90);
    const sheet = await readImage(`${dir}/out/contact.png`);
    assert.ok(sheet.width > 640 && sheet.height > 320, "two cells of 320 pixels");
  }));

Deno.test("detect has a row without faces where there is none, and that is no failure", () =>
  setUp(async (dir, run) => {
    const config = finderConfig.parse({ stem: 4, c4: 4, c8: 8, c16: 8, c32: 8, neck: 8 });
    await saveFinder(`${dir}/finder`, config, initialise(finderSpecs(config), 3));
    const args = [`${dir}/in/b.png`, "--finder", `${dir}/finder`];
    const { code, lines, notes } = await run(...args, "--min-score", "1");
    assert.deepEqual([code, lines], [0, [{ file: `${dir}/in/b.png`, width: 90, height: 60, faces: [] }]]);
    assert.match(notes, /1 picture, 0 faces, 0 failed/);
    // It is not trained, and sees faces everywhere.
    const two = await run(...args, "--min-score", "0.001", "--max-faces", "2");
    const scores = two.lines[0]!.faces.map(({ score }) => score!);
    assert.ok(scores.length >= 1 && scores.length <= 2 && scores.every((score) => score > 0 && score <= scores[0]!));
  }));

Deno.test("detect sees a photograph of a phone upright", () =>
  setUp(async (dir, run) => {
    const jpeg = encodeJpeg(createImage(60, 40, [90, 60, 30]));
    await Deno.writeFile(`${dir}/in/phone.jpg`, withOrientation(jpeg, 6));
    const { lines } = await run(
      `${dir}/in/phone.jpg`,
      "--box",
      "5,20,30,30",
      "--out",
      `${dir}/out`,
      "--format",
      "png,svg",
    );
    assert.deepEqual([lines[0]!.width, lines[0]!.height], [40, 60]);
    const { width, height } = await readImage(`${dir}/out/phone.png`);
    assert.deepEqual([width, height], [40, 60]);
    const [, kind, embedded] = /href="data:image\/(\w+);base64,([^"]*)"/.exec(
      await Deno.readTextFile(`${dir}/out/phone.svg`),
    )!;
    const shown = decodeImage(Uint8Array.from(atob(embedded!), (c) => c.charCodeAt(0)));
    assert.deepEqual([kind, shown.width, shown.height], ["jpeg", 40, 60]);
  }));

Deno.test("detect names the pictures that are bad, does the others, and tries the bad ones again", () =>
  setUp(async (dir, run) => {
    await Deno.writeTextFile(`${dir}/in/c.png`, "no picture");
    const first = await run(`${dir}/in`, "--crop", "none", "--out", `${dir}/out`);
    assert.equal(first.code, 1);
    assert.deepEqual(first.lines.map(({ error }) => error === undefined), [true, false, false]);
    assert.match(first.lines[1]!.error!, /b\.png whole: its size is 90 x 60/);
    assert.match(first.lines[2]!.error!, /c\.png as an image/);
    await Deno.writeFile(`${dir}/in/b.png`, picture(50, 50));
    await Deno.writeFile(`${dir}/in/c.png`, picture(60, 60));
    const second = await run(`${dir}/in`, "--crop", "none", "--out", `${dir}/out`);
    assert.deepEqual([second.code, second.lines.map(({ error }) => error)], [0, [undefined, undefined, undefined]]);
    assert.match(second.notes, /done already: 1 of 3 pictures;/);
  }));

Deno.test("detect goes on after a run that was killed, and has the same results", () =>
  setUp(async (dir, run) => {
    for (let k = 0; k < 8; k++) await Deno.writeFile(`${dir}/in/c${k}.png`, picture(40 + k, 50));
    const args = [`${dir}/in`, "--box", "5,5,30,30", "--out", `${dir}/out`, "--format", "pts,csv,coco"];
    const { lines } = await run(...args);
    const rows = await Deno.readTextFile(`${dir}/out/faces.jsonl`),
      csv = await Deno.readTextFile(`${dir}/out/faces.csv`);
    // Killed while the fifth row was written: its file is there, the row is cut, and there are no tables yet.
    const cut = rows.split("\n").slice(0, 4).join("\n").length + 100;
    await Deno.writeTextFile(`${dir}/out/faces.jsonl`, rows.slice(0, cut));
    await Deno.remove(`${dir}/out/faces.csv`);
    await Deno.remove(`${dir}/out/a.pts`);
    const again = await run(...args);
    assert.deepEqual([again.code, again.lines], [0, lines]);
    assert.match(again.notes, /done already: 4 of 10 pictures[^]*6 pictures, 6 faces/);
    assert.equal(await Deno.readTextFile(`${dir}/out/faces.jsonl`), rows);
    assert.equal(await Deno.readTextFile(`${dir}/out/faces.csv`), csv);
    assert.ok(!names(`${dir}/out`).includes("a.pts"), "what is done is not done again");
    const whole = await run(...args);
    assert.deepEqual([whole.code, whole.lines], [0, lines]);
    await Deno.writeFile(`${dir}/in/d.png`, picture(40, 40));
    assert.match((await run(...args)).notes, /done already: 10 of 11 pictures[^]*1 picture, 1 face,/);
  }));

Deno.test("detect overwrites nothing unless it is asked to", () =>
  setUp(async (dir, run) => {
    await Deno.mkdir(`${dir}/out`);
    await Deno.writeTextFile(`${dir}/out/b.pts`, "mine");
    const args = [`${dir}/in`, "--out", `${dir}/out`, "--box"];
    const refused = await run(...args, "5,5,30,30");
    assert.deepEqual([refused.code, refused.lines], [2, []]);
    assert.match(
      refused.notes,
      /Cannot write .*b\.pts: there is such a file, hint: --out with another folder, or --overw/,
    );
    assert.deepEqual(names(`${dir}/out`), ["b.pts"]);
    const first = await run(...args, "5,5,30,30", "--overwrite");
    assert.equal(first.code, 0);
    assert.match(await Deno.readTextFile(`${dir}/out/b.pts`), /^version: 1/);
    const other = await run(...args, "5,5,20,20");
    assert.equal(other.code, 2);
    assert.match(other.notes, /other settings: --box is "5,5,30,30" there, and now "5,5,20,20", hint: .*--overwrite/);
    await Deno.writeTextFile(`${dir}/boxes.csv`, "name,x,y,width,height\nb,5,5,30,30\n");
    const listed = await run(`${dir}/in/b.png`, "--out", `${dir}/listed`, "--boxes", `${dir}/boxes.csv`);
    assert.equal(listed.code, 0, listed.notes);
    await Deno.writeTextFile(`${dir}/boxes.csv`, "name,x,y,width,height\nb,5,5,20,20\n");
    const moved = await run(`${dir}/in/b.png`, "--out", `${dir}/listed`, "--boxes", `${dir}/boxes.csv`);
    assert.match(moved.notes, /other settings: the digest of the file of --boxes is "\w+" there, and now "\w+", hint/);
    const anew = await run(...args, "5,5,20,20", "--overwrite");
    assert.notDeepEqual(anew.lines, first.lines);
    assert.equal((await Deno.readTextFile(`${dir}/out/faces.jsonl`)).trim().split("\n").length, 2);
  }));

Deno.test("detect takes folders with all below them, patterns, and no picture twice", () =>
  setUp(async (dir, run) => {
    await Deno.mkdir(`${dir}/in/deep/er`, { recursive: true });
    await Deno.writeFile(`${dir}/in/deep/er/a.png`, picture(50, 50));
    await Deno.writeTextFile(`${dir}/in/notes.txt`, "no picture");
    const box = ["--box", "5,5,30,30"], files = ["a.png", "b.png", "deep/er/a.png"].map((name) => `${dir}/in/${name}`);
    const seen = async (...args: string[]) => (await run(...args, ...box)).lines.map(({ file }) => file);
    assert.deepEqual(await seen(`${dir}/in`, `${dir}/in/b.png`), files);
    assert.deepEqual(await seen(`${dir}/in/**/a.png`), [files[0], files[2]]);
    assert.deepEqual(await seen(`${dir}/in/?.png`), files.slice(0, 2));
    // The results of pictures below a folder are below theirs; and they are no pictures of the next run.
    const args = [`${dir}/in`, "--out", `${dir}/in/found`, ...box];
    for (let k = 0; k < 2; k++) assert.deepEqual((await run(...args)).lines.map(({ file }) => file), files);
    assert.ok(names(`${dir}/in/found/deep/er`).includes("a.pts"));
  }));

Deno.test("detect reads a picture from standard input", () =>
  setUp(async (dir) => {
    const args = [
      "run",
      "-q",
      "--no-prompt",
      "-P=cli",
      "--allow-write",
      "main.ts",
      "detect",
      "-",
      "--box",
      "5,5,30,30",
    ];
    const child = new Deno.Command("deno", {
      args: [...args, "--detector", `${dir}/net`, "--out", `${dir}/out`, "--format", "pts,svg,sheet"],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(picture(60, 50));
    await writer.close();
    const { code, stdout, stderr } = await child.output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    const { file, width, faces } = JSON.parse(new TextDecoder().decode(stdout));
    assert.deepEqual([file, width, faces.length], ["-", 60, 1]);
    assert.deepEqual(
      names(`${dir}/out`),
      ["contact.png", "detect.json", "faces.jsonl", "stdin.pts", "stdin.svg"],
    );
  }));

Deno.test("detect says what is wrong with its arguments, before anything is written", () =>
  setUp(async (dir, run) => {
    await Deno.writeTextFile(`${dir}/quote.csv`, '"a,1,2,3,4');
    await Deno.writeTextFile(`${dir}/short.csv`, "a,1,2,3,4\nb,1,2");
    await Deno.writeFile(`${dir}/in/a_face2.png`, picture(50, 50));
    const wrong: [string[], RegExp][] = [
      [[`${dir}/in`, "--box", "1,2,3"], /--box "1,2,3" as a box: x,y,width,height/],
      [[`${dir}/in`, "--box", "0.1,0.2,0.3,0.4"], /it is not larger than a pixel, hint: are these fractions\?/],
      [[`${dir}/in`, "--box", "1,2,3,4", "--crop", "none"], /cannot be used with option '--crop <HOW>'/],
      [[`${dir}/in`, "--box", "1,2,3,4", "--max-faces", "2"], /Cannot use --max-faces where boxes or crops are given/],
      [[`${dir}/in`, "--crop", "face"], /'face' is invalid. Allowed choices are none/],
      [[`${dir}/in`, "--fps", "30"], /Cannot use --fps without --frames/],
      [[`${dir}/in`, "--min-score", "80"], /It must be a number from 0 to 1/],
      [[`${dir}/in`, "--format", "pts,xml"], /"xml" is none of pts, json, svg, png, csv, coco, sheet/],
      [[`${dir}/in/a.png`, "--out", `${dir}/in`], /it holds the images/],
      [[`${dir}/in`, "--out", `${dir}/out`], /another face of the first could be a_face2\.pts/],
      [[`${dir}/in/a.png`, `${dir}/in/deep/../A.png`, "--out", `${dir}/out`], /no such file or folder/],
      [[`${dir}/net`], /there is no image in it, hint: PNG, JPEG/],
      [[`${dir}/none.png`], /none\.png: there is no such file or folder\nusage/],
      [[`${dir}/in/*.gif`], /no file matches the pattern/],
      [[`${dir}/in`, "--boxes", `${dir}/none.csv`], /none\.csv: there is no such file/],
      [[`${dir}/in`, "--boxes", `${dir}/quote.csv`], /Cannot read .*quote\.csv:1: a quote is not closed/],
      [[`${dir}/in`, "--boxes", `${dir}/short.csv`], /Cannot read .*short\.csv:2 "1,2" as a box/],
    ];
    for (const [args, message] of wrong) {
      const { code, lines, notes } = await run(...args);
      assert.match(notes, message);
      assert.deepEqual([code, lines], [2, []]);
    }
    await assert.rejects(Deno.stat(`${dir}/out`), Deno.errors.NotFound);
    await Deno.mkdir(`${dir}/more`);
    await Deno.writeFile(`${dir}/more/a.jpg`, encodeJpeg(createImage(40, 40)));
    const twice = await run(`${dir}/in/a.png`, `${dir}/more/a.jpg`, "--out", `${dir}/out`);
    assert.match(twice.notes, /both would be a\.pts/);
    const outside = await run(`${dir}/in/a.png`, "--box", "900,10,50,50");
    assert.equal(outside.code, 1);
    assert.match(outside.lines[0]!.error!, /Cannot use box 900,10,50,50: its centre is outside .* 60 x 60/);
  }));

Deno.test("detect --frames numbers the faces of a video and smooths them, in the order of its frames", () =>
  setUp(async (dir, run) => {
    await Deno.mkdir(`${dir}/video`);
    for (let k = 8; k < 12; k++) {
      const image = createImage(60, 60, [40, 90, 30]);
      image.data.fill(250, 3 * 60 * 3 * k, 3 * 60 * 3 * (k + 4));
      await Deno.writeFile(`${dir}/video/frame${k}.png`, encodePng(image));
    }
    const args = [`${dir}/video`, "--box", "15,15,30,30"];
    const raw = await run(...args),
      smooth = await run(...args, "--frames", "--fps", "100", "--out", `${dir}/out`, "--format", "pts");
    assert.deepEqual(smooth.lines.map(({ file }) => file), [8, 9, 10, 11].map((k) => `${dir}/video/frame${k}.png`));
    const ofFrame = ({ lines }: typeof raw, k: number) =>
      lines.find(({ file }) => file.endsWith(`frame${k}.png`))!.faces[0]!;
    assert.ok(
      smooth.lines.every(({ faces: [face] }) => face!.track === 1) && raw.lines[0]!.faces[0]!.track === undefined,
    );
    assert.deepEqual(ofFrame(smooth, 8).landmarks, ofFrame(raw, 8).landmarks, "the first frame is as it is");
    let [step, smoothStep] = [0, 0];
    for (let k = 9; k < 12; k++) {
      const change = (result: typeof raw) =>
        ofFrame(result, k).landmarks.flat().reduce(
          (sum, px, i) => sum + Math.abs(px - ofFrame(result, k - 1).landmarks.flat()[i]!),
          0,
        );
      [step, smoothStep] = [step + change(raw), smoothStep + change(smooth)];
    }
    assert.ok(smoothStep < 0.7 * step, `${smoothStep} of ${step}`);
    assert.deepEqual(
      (await readPts(`${dir}/out/frame9.pts`, SCHEMAS.ibug68))[1],
      Math.fround(ofFrame(smooth, 9).landmarks[0]![1]!),
    );
    // A part of a video is not gone on with, as smoothing depends on the frames before.
    const rows = await Deno.readTextFile(`${dir}/out/faces.jsonl`);
    await Deno.writeTextFile(`${dir}/out/faces.jsonl`, rows.split("\n").slice(0, 2).join("\n") + "\n");
    const again = await run(...args, "--frames", "--fps", "100", "--out", `${dir}/out`, "--format", "pts");
    assert.deepEqual(again.lines, smooth.lines);
    assert.match(again.notes, /4 pictures, 4 faces/);
  }));

Deno.test("detect shows its progress with an estimate on a terminal", () =>
  setUp(async (dir) => {
    let shown = "";
    const progress = {
      writeSync: (bytes: Uint8Array) => (shown += new TextDecoder().decode(bytes), bytes.length),
      isTerminal: () => false,
    };
    const { main } = await import("../../cli/main.ts");
    const { stages } = await import("../../stages/mod.ts");
    const given = { registry: stages, print() {}, note() {}, progress };
    const args = ["detect", `${dir}/in`, "--box", "5,5,30,30", "--detector", `${dir}/net`];
    assert.equal(await main(args, given), 0);
    assert.match(shown, /done in/);
  }));

slowTest("detect takes the same memory for 1,000 pictures as for 200", () =>
  setUp(async (dir) => {
    await Deno.mkdir(`${dir}/many`);
    for (let k = 0; k < 1000; k++) await Deno.writeFile(`${dir}/many/${k}.png`, picture(200, 150));
    const { main } = await import("../../cli/main.ts");
    const { stages } = await import("../../stages/mod.ts");
    const bytes: number[] = [];
    const print = () => void bytes.push(Deno.memoryUsage().rss);
    const args = ["detect", `${dir}/many`, "--box", "50,50,60,60", "--detector", `${dir}/net`, "--out", `${dir}/out`];
    assert.equal(await main([...args, "--format", "pts,csv,coco"], { registry: stages, print, note() {} }), 0);
    assert.equal(bytes.length, 1000);
    // A picture has 90 kB as pixels, so 800 of them would be 72 MB.
    const grown = Math.max(...bytes.slice(900)) - Math.max(...bytes.slice(100, 200));
    assert.ok(grown < 36e6, `${(grown / 1e6).toFixed(0)} MB more`);
  }));
