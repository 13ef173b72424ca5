/** Landmarks that were mirrored, swapped, flattened, shifted or turned: a set that is read is not a set that is right. */
import assert from "node:assert/strict";
import { openFolder } from "../../faces/data/face_folder.ts";
import { encodeJpeg } from "../../faces/data/image_file.ts";
import { faultOf } from "../../faces/data/landmark_checks.ts";
import { type Landmarks, transformLandmarks } from "../../faces/landmarks.ts";
import { formatPts } from "../../faces/pts.ts";
import { convertLandmarks, SCHEMAS } from "../../faces/schema.ts";
import { withOrientation } from "../faces/data/exif.ts";
import { drawFace, importFolder, inFolder, writeFace } from "./_lib.ts";

const SIZE = 96;

/** The mistakes, as functions of right landmarks. */
const MISTAKES: Readonly<Record<string, (landmarks: Landmarks) => Landmarks>> = {
  landmarks_mirrored: (right) => transformLandmarks(right, [-1, 0, SIZE - 1, 0, 1, 0]),
  landmarks_swapped: (right) => right.map((_, k) => right[k ^ 1]!),
  landmarks_planar: (right) => right.map((_, k) => right[k < 68 ? 2 * k : 2 * (k - 68) + 1]!),
  landmarks_bottom_up: (right) => transformLandmarks(right, [1, 0, 0, 0, -1, SIZE - 1]),
  landmarks_on_side: (right) => transformLandmarks(right, [0, -1, SIZE - 1, 1, 0, 0]),
  landmarks_upside_down: (right) => transformLandmarks(right, [-1, 0, SIZE - 1, 0, -1, SIZE - 1]),
};

Deno.test("faultOf() names each mistake, of 50 faces, and none where there is none", () => {
  for (let seed = 0; seed < 50; seed++) {
    const { landmarks } = drawFace({ width: SIZE, height: SIZE, seed });
    // Wide, narrow and tilted heads, as caricatures and bent heads are.
    const shapes = [[1, 0, 0], [1.6, 0, 0], [0.6, 0, 0], [1, 0, 0.6], [1, 0.3, -0.6]].map(
      ([stretch = 1, shear = 0, angle = 0]) => {
        const middle = SIZE / 2;
        const shaped = transformLandmarks(landmarks, [stretch, shear, middle * (1 - stretch - shear), 0, 1, 0]);
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        return transformLandmarks(shaped, [c, -s, middle * (1 - c + s), s, c, middle * (1 - s - c)]);
      },
    );
    for (const [k, shape] of shapes.entries()) {
      assert.equal(faultOf(shape, SCHEMAS.ibug68), undefined, `face ${seed}, shape ${k}`);
    }
    for (const [fault, mistake] of Object.entries(MISTAKES)) {
      assert.equal(faultOf(mistake(landmarks), SCHEMAS.ibug68), fault, `face ${seed}`);
    }
  }
});

Deno.test("an import names the faces whose landmarks are mirrored, swapped, flattened, from the bottom or turned", () =>
  inFolder(async (dir) => {
    await writeFace(`${dir}/in/right`);
    for (const [fault, mistake] of Object.entries(MISTAKES)) {
      await writeFace(`${dir}/in/${fault}`, { seed: fault.length, pts: (landmarks) => formatPts(mistake(landmarks)) });
    }
    const { notes } = await openFolder(`${dir}/in`);
    const found = notes.filter(({ code }) => code.startsWith("landmarks_"));
    assert.deepEqual(Object.fromEntries(found.map(({ code, files }) => [code, files])), {
      ...Object.fromEntries(Object.keys(MISTAKES).map((fault) => [fault, [`${fault}.png`]])),
    });
    const { code } = await importFolder(dir, "in");
    assert.equal(code, 0, "a person decides");
    const log = await Deno.readTextFile(`${dir}/runs/imports/log.jsonl`);
    assert.match(log, /warning: landmarks of 1 of 7 faces are mirrored: .*: landmarks_mirrored\.png/);
    assert.match(log, /warning: landmarks of 1 of 7 faces have x and y swapped: landmarks_swapped\.png/);
  }));

Deno.test("landmarks of the stored pixels of an image that EXIF data turn are named", () =>
  inFolder(async (dir) => {
    // The head lies on its side in the stored pixels, and so do landmarks that were made on them.
    await writeFace(`${dir}/in/a`, {
      ending: ".jpg",
      encode: (image) => withOrientation(encodeJpeg(image), 6),
      pts: (landmarks) => formatPts(MISTAKES["landmarks_on_side"]!(landmarks)),
    });
    const { notes } = await openFolder(`${dir}/in`);
    assert.match(
      notes.at(-1)!.message,
      /lie on their side in images that EXIF data turn: they seem to be of the stored/,
    );
  }));

Deno.test("a wrong origin is named where landmarks reach the edges of their images", () =>
  inFolder(async (dir) => {
    // A tool that keeps landmarks in the image: faces that its edges cut.
    const write = (origin: number) => async (seed: number) => {
      await writeFace(`${dir}/from${origin}/f${seed}`, {
        seed,
        face_px: 150,
        at: [-40, -20],
        pts: (landmarks) => formatPts(landmarks.map((px) => Math.min(SIZE - 1, Math.max(0, px)) + origin)),
      });
    };
    for (const origin of [0, 1]) await Promise.all([0, 1, 2].map(write(origin)));
    const codes = async (written: number, origin: 0 | 1) =>
      (await openFolder(`${dir}/from${written}`, { origin })).notes.map(({ code }) => code)
        .filter((code) => code === "landmarks_origin");
    assert.deepEqual(await codes(0, 0), []);
    assert.deepEqual(await codes(1, 1), []);
    assert.deepEqual(await codes(1, 0), ["landmarks_origin"]);
    assert.deepEqual(await codes(0, 1), ["landmarks_origin"]);
  }));

Deno.test("300-W's folders and names, read as files that count from 0, are said to count from 1", () =>
  inFolder(async (dir) => {
    await writeFace(`${dir}/in/01_Indoor/indoor_001`);
    const said = async (format: "pts" | "300w") =>
      (await openFolder(`${dir}/in`, { format })).notes.filter(({ code }) => code === "landmarks_origin");
    assert.match(
      (await said("pts"))[0]!.message,
      /names of 1 image are as in 300-W, whose files count from 1: .* format: 300w/,
    );
    assert.deepEqual(await said("300w"), []);
  }));

Deno.test("shares of the sides, and landmarks of an image of another size, are named", () =>
  inFolder(async (dir) => {
    await writeFace(`${dir}/in/large`, { pts: (landmarks) => formatPts(landmarks.map((px) => 1.6 * px)) });
    await writeFace(`${dir}/in/share`, { seed: 1, pts: (landmarks) => formatPts(landmarks.map((px) => px / SIZE)) });
    const { notes, bad } = await openFolder(`${dir}/in`, { on_bad: "skip" });
    assert.match(
      notes.map(({ message }) => message).join("\n"),
      /landmarks of 1 of 1 face are to a fifth or more outside of the image: is it of another size\?: large\.png/,
    );
    assert.match(bad[0]!.reason, /its landmarks span 0\.\d+ x 0\.\d+ pixels: are they shares of the image's sides\?/);
  }));

Deno.test("mistakes are found in landmarks that were converted to another schema", () => {
  const { landmarks } = drawFace();
  const at98 = new Float32Array(196);
  SCHEMAS.wflw98.maps["ibug68"]!.forEach((sources, i) => {
    for (const source of sources) at98.set(landmarks.subarray(2 * i, 2 * i + 2), 2 * source);
  });
  const back = convertLandmarks(at98, SCHEMAS.wflw98, SCHEMAS.ibug68);
  assert.equal(faultOf(back, SCHEMAS.ibug68), undefined);
  assert.equal(faultOf(transformLandmarks(back, [-1, 0, 95, 0, 1, 0]), SCHEMAS.ibug68), "landmarks_mirrored");
});
