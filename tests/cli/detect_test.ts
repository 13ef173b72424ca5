import assert from "node:assert/strict";
import { createImage } from "../../faces/data/image.ts";
import { encodeJpeg, encodePng, readImage } from "../../faces/data/image_file.ts";
import { readPts } from "../../faces/pts.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { withOrientation } from "../faces/data/exif.ts";
import { detectorSpecs, saveDetector } from "../../models/detectors/detector.ts";
import { hourglassConfig } from "../../models/detectors/hourglass.ts";
import { initialise } from "../../models/io/params.ts";
import { inFolder } from "../stages/run_stages.ts";
import { runCommand } from "./run_command.ts";

const config = hourglassConfig.parse({ size_px: 32, heatmap_px: 16, stacks: 1, depth: 1, channels: 16, groups: 2 });

interface Line {
  file: string;
  error?: string;
  crop: number[];
  crop_from: string;
  landmarks: number[][];
  uncertainty_px: number[];
}

/** A folder with an untrained detector, `in/` with two pictures, and what runs the command on it. */
function setUp(
  use: (
    dir: string,
    run: (...args: string[]) => Promise<{ code: number; lines: Line[]; notes: string }>,
  ) => Promise<void>,
) {
  return inFolder(async (dir) => {
    await saveDetector(`${dir}/net`, config, initialise(detectorSpecs(config), 3));
    await Deno.mkdir(`${dir}/in`);
    for (const [name, width] of [["a", 60], ["b", 90]] as const) {
      await Deno.writeFile(`${dir}/in/${name}.png`, encodePng(createImage(width, 60, [width, 90, 30])));
    }
    await use(dir, async (...args) => {
      const { lines, ...rest } = await runCommand(["detect", ...args, "--detector", `${dir}/net`]);
      return { lines: lines.map((line) => JSON.parse(line)), ...rest };
    });
  });
}

Deno.test("detect writes lines, .pts files and overlays, in pixels of the pictures", () =>
  setUp(async (dir, run) => {
    const { code, lines } = await run(`${dir}/in`, "--box", "20,10,20,30", "--out", `${dir}/out`, "--flip");
    assert.deepEqual([code, lines.length], [0, 2]);
    for (const [k, name] of ["a", "b"].entries()) {
      const { file, crop, crop_from, landmarks, uncertainty_px } = lines[k]!;
      assert.deepEqual([file, crop_from], [`${dir}/in/${name}.png`, "box"]);
      // 1.54 times the longer side, about the middle of the box; the first pixel's centre is 0.
      assert.deepEqual(crop, [6.4, 1.4, 46.2]);
      assert.ok(landmarks.every(([x, y]) => x! > 6.4 && x! < 52.6 && y! > 1.4 && y! < 47.6));
      assert.ok(uncertainty_px.length === 68 && uncertainty_px.every((px) => px > 0 && px < 46.2));
      const written = await readPts(`${dir}/out/${name}.pts`, SCHEMAS.ibug68);
      landmarks.flat().forEach((px, i) => assert.ok(Math.abs(px - written[i]!) < 2e-3));
      assert.equal((await readImage(`${dir}/out/${name}.png`)).width, [60, 90][k]);
    }
    await Deno.rename(`${dir}/in/b.png`, `${dir}/in/b, the "second".png`);
    await Deno.writeTextFile(`${dir}/boxes.csv`, 'name,x,y,width,height\n"b, the ""second""",20,10,20,30\n');
    const listed = await run(`${dir}/in/b, the "second".png`, "--boxes", `${dir}/boxes.csv`, "--flip");
    assert.deepEqual(listed.lines[0]!.landmarks, lines[1]!.landmarks);
  }));

Deno.test("detect sees a photograph of a phone upright", () =>
  setUp(async (dir, run) => {
    const jpeg = encodeJpeg(createImage(60, 40, [90, 60, 30]));
    await Deno.writeFile(`${dir}/in/phone.jpg`, withOrientation(jpeg, 6));
    const { lines } = await run(`${dir}/in/phone.jpg`, "--box", "5,20,30,30", "--out", `${dir}/out`);
    assert.equal(lines.length, 1);
    const { width, height } = await readImage(`${dir}/out/phone.png`);
    assert.deepEqual([width, height], [40, 60]);
  }));

Deno.test("detect tells which picture is bad, and does the others", () =>
  setUp(async (dir, run) => {
    await Deno.writeTextFile(`${dir}/in/c.png`, "no picture");
    const { code, lines } = await run(`${dir}/in`, "--crop", "none");
    assert.equal(code, 1);
    assert.deepEqual(lines.map(({ error }) => error === undefined), [true, false, false]);
    assert.match(lines[1]!.error!, /b\.png whole: its size is 90 x 60/);
    assert.match(lines[2]!.error!, /c\.png as an image/);
  }));

Deno.test("detect says what is wrong with its arguments, before anything is written", () =>
  setUp(async (dir, run) => {
    await Deno.writeTextFile(`${dir}/quote.csv`, '"a,1,2,3,4');
    await Deno.writeTextFile(`${dir}/short.csv`, "a,1,2,3,4\nb,1,2");
    const wrong: [string[], RegExp][] = [
      [[`${dir}/in`, "--box", "1,2,3"], /--box "1,2,3" as a box: x,y,width,height/],
      [[`${dir}/in`, "--box", "1,2,3,4", "--crop", "none"], /cannot be used with option '--crop <HOW>'/],
      [[`${dir}/in`, "--crop", "face"], /'face' is invalid. Allowed choices are none/],
      [[`${dir}/in`, "--out", `${dir}/in`], /it holds the images/],
      [[`${dir}/in/a.png`, `${dir}/net/../in/a.png`, "--out", `${dir}/out`], /both would be a\.pts/],
      [[`${dir}/net`], /there is no PNG or JPEG/],
      [[`${dir}/none.png`], /none\.png/],
      [[`${dir}/in`, "--boxes", `${dir}/quote.csv`], /Cannot read .*quote\.csv:1: a quote is not closed/],
      [[`${dir}/in`, "--boxes", `${dir}/short.csv`], /Cannot read .*short\.csv:2 "1,2" as a box/],
    ];
    for (const [args, message] of wrong) {
      const { code, lines, notes } = await run(...args);
      assert.match(notes, message);
      assert.deepEqual([code, lines], [2, []]);
    }
    await assert.rejects(Deno.stat(`${dir}/out`), Deno.errors.NotFound);
  }));
