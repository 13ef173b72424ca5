import assert from "node:assert/strict";
import { contactSheet } from "../../faces/draw.ts";
import { readEdits } from "../../faces/edit_file.ts";
import { applyEdit, type Edit } from "../../faces/edits.ts";
import { createImage, type Image } from "../../faces/data/image.ts";
import { readImage, writePng } from "../../faces/data/image_file.ts";
import type { Landmarks } from "../../faces/landmarks.ts";
import { type RenderedFace, renderFaces, samplePerson, sampleShot } from "../../faces/render/render.ts";
import { loadStyle } from "../../faces/render/styles.ts";
import { openDevice } from "../../engine/device.ts";
import { Random } from "../../engine/rng.ts";

const PICTURE = "docs/edits.png";
const SIZE = 104;
/** Radians that the second head is turned by. */
const YAW = 0.4;

/** One person, seen from the front and turned. */
async function twoFaces(): Promise<RenderedFace[]> {
  const { gpu } = await openDevice();
  const random = new Random(5, "tests/edits_picture").at(69);
  const shot = sampleShot(random, { yaw_deg: 0, pitch_deg: 0, roll_deg: 0 });
  const person = samplePerson(random);
  const calm = { ...shot, open: 0.1, smile: 0, stretch: 0, frown: 0, skew: 0, frame: [1.05, 0, 0] } as const;
  const style = await loadStyle("pipelines/styles/cartoon.yaml");
  const heads = [0, YAW].map((yaw) => ({ person, shot: { ...calm, pose: [yaw, 0, 0] as const } }));
  const faces = await renderFaces(gpu, heads, style.render, SIZE);
  gpu.destroy();
  return faces;
}

/**
 * Bends a picture so that landmarks come to lie elsewhere; its border stays. Thin-plate splines, from each pixel of the
 * result back to where it was (Bookstein 1989).
 */
function bend(image: Image, from: Landmarks, to: Landmarks): Image {
  const { width } = image, last = width - 1;
  const border = [0, last / 2, last].flatMap((x) => [0, last / 2, last].map((y) => [x, y] as const))
    .filter(([x, y]) => x % last === 0 || y % last === 0);
  const at = [...Array.from({ length: 68 }, (_, p) => [to[2 * p]!, to[2 * p + 1]!] as const), ...border];
  const was = [...Array.from({ length: 68 }, (_, p) => [from[2 * p]!, from[2 * p + 1]!] as const), ...border];
  const kernel = (x: number, y: number) => {
    const r2 = x * x + y * y;
    return r2 === 0 ? 0 : r2 * Math.log(r2);
  };
  const n = at.length, SOFT = 1; // lets landmarks that lie on each other part
  const rows = Array.from({ length: n + 3 }, (_, i) => {
    const row = new Float64Array(n + 5);
    for (let k = 0; k < n; k++) {
      if (i < n) row[k] = i === k ? SOFT : kernel(at[i]![0] - at[k]![0], at[i]![1] - at[k]![1]);
      else row[k] = [1, ...at[k]!][i - n]!;
    }
    if (i < n) row.set([1, ...at[i]!, ...was[i]!], n);
    return row;
  });
  solve(rows);
  // The map is smooth: every fourth pixel is computed.
  const STEP = 4, side = Math.ceil(last / STEP) + 1;
  const map = Array.from({ length: side * side }, (_, i) => {
    const x = STEP * (i % side), y = STEP * Math.floor(i / side);
    let sx = 0, sy = 0;
    [...at.map(([u, v]) => kernel(x - u, y - v)), 1, x, y].forEach((weight, k) => {
      sx += weight * rows[k]![n + 3]!;
      sy += weight * rows[k]![n + 4]!;
    });
    return [sx, sy] as const;
  });
  const result = createImage(width, width);
  const inside = (value: number) => Math.min(last, Math.max(0, value));
  for (let y = 0; y < width; y++) {
    for (let x = 0; x < width; x++) {
      const from = (axis: 0 | 1) =>
        inside(between(side, x / STEP, y / STEP, (row, column) => map[row * side + column]![axis]));
      const [sx, sy] = [from(0), from(1)];
      for (let c = 0; c < 3; c++) {
        const value = between(width, sx, sy, (row, column) => image.data[3 * (row * width + column) + c]!);
        result.data[3 * (y * width + x) + c] = Math.round(value);
      }
    }
  }
  return result;
}

/** Gauss-Jordan elimination with pivots: the columns behind the square become the solutions. */
function solve(rows: Float64Array[]): void {
  for (let k = 0; k < rows.length; k++) {
    let pivot = k;
    for (let i = k; i < rows.length; i++) if (Math.abs(rows[i]![k]!) > Math.abs(rows[pivot]![k]!)) pivot = i;
    [rows[k], rows[pivot]] = [rows[pivot]!, rows[k]!];
    const own = rows[k]!, scale = 1 / own[k]!;
    own.forEach((value, j) => own[j] = value * scale);
    for (const row of rows) {
      const factor = row[k]!;
      if (row !== own && factor !== 0) row.forEach((value, j) => row[j] = value - factor * own[j]!);
    }
  }
}

/** Bilinear: the value of a square grid at a place between its points. */
function between(side: number, x: number, y: number, value: (row: number, column: number) => number): number {
  const x0 = Math.min(side - 2, Math.floor(x)), y0 = Math.min(side - 2, Math.floor(y)), u = x - x0, v = y - y0;
  const top = value(y0, x0) * (1 - u) + value(y0, x0 + 1) * u;
  const bottom = value(y0 + 1, x0) * (1 - u) + value(y0 + 1, x0 + 1) * u;
  return top * (1 - v) + bottom * v;
}

/** Each edit in six cells: least, middle and greatest amount from the front, then on the turned head. */
function sheetOf(faces: readonly RenderedFace[], edits: readonly Edit[]): Image {
  const cells: Image[] = [], labels: string[] = [];
  for (const edit of edits) {
    const { min, max } = edit.amount;
    const draws = Object.fromEntries([...edit.random].map(([key, range]) => [key, range.max]));
    for (const { image, landmarks } of faces) {
      for (const amount of [min, (min + max) / 2, max]) {
        cells.push(bend(image, landmarks, applyEdit(landmarks, edit, amount, draws)));
        labels.push(labels.length % 6 === 0 ? edit.name : labels.length % 6 < 3 ? String(amount) : "");
      }
    }
  }
  return contactSheet(cells, 12, { labels });
}

// Drawn anew by `deno test -RWE tests/faces/edits_picture_test.ts -- --update`.
Deno.test(`${PICTURE} shows what the edits do`, async () => {
  const sheet = sheetOf(await twoFaces(), await readEdits("pipelines/edits"));
  if (Deno.args.includes("--update")) await writePng(PICTURE, sheet);
  const { width, height, data } = await readImage(PICTURE);
  const hint = `hint: deno test -RWE tests/faces/edits_picture_test.ts -- --update`;
  assert.deepEqual([width, height], [sheet.width, sheet.height], hint);
  // Other drivers round otherwise; another edit is another picture.
  const row = Math.floor(height / Math.ceil(height / (SIZE + 11))) * width * 3;
  for (let first = 0; first < data.length; first += row) {
    let difference = 0;
    const end = Math.min(data.length, first + row);
    for (let i = first; i < end; i++) difference += Math.abs(data[i]! - sheet.data[i]!);
    assert.ok(difference / (end - first) < 1, `${difference / (end - first)} levels in row ${first / row}, ${hint}`);
  }
});
