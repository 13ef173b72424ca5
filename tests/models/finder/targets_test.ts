import assert from "node:assert/strict";
import { similarity, transformLandmarks } from "../../../faces/landmarks.ts";
import { readCells } from "../../../models/finder/decode.ts";
import { CELL_VALUES, TARGET_VALUES } from "../../../models/finder/network.ts";
import { facePlace } from "../../../faces/place.ts";
import { finderTargets, type LabelledFace } from "../../../models/finder/targets.ts";
import { neutralFace } from "../../faces/neutral_face.ts";

const close = (got: number, want: number, tolerance: number, what: string) =>
  assert.ok(Math.abs(got - want) <= tolerance, `${what}: ${got}, expected ${want}`);

Deno.test("facePlace() turns, moves and grows with the face", () => {
  const face = neutralFace(100);
  const upright = facePlace(face);
  close(upright.angle, 0, 1e-6, "angle");
  close(upright.side, 62, 1, "side");
  for (const angle of [0.3, -1.2, Math.PI / 2, 3]) {
    const move = similarity([10, 20], 1.5, angle, [4, -3]);
    const turned = facePlace(transformLandmarks(face, move));
    const [x, y] = transformLandmarks(Float32Array.of(upright.x, upright.y), move);
    close(turned.angle, angle, 1e-4, "angle");
    close(turned.side, 1.5 * upright.side, 1e-3, "side");
    close(turned.x, x!, 1e-3, "x");
    close(turned.y, y!, 1e-3, "y");
  }
});

const place = (x: number, y: number, side: number, angle = 0, counts = true): LabelledFace => ({
  x,
  y,
  side,
  angle,
  counts,
});

/** Cells as a network would give them that has learnt the targets. */
function perfect(targets: Float32Array): Float32Array {
  const cells = new Float32Array(targets.length / TARGET_VALUES * CELL_VALUES);
  for (let k = 0; k < targets.length / TARGET_VALUES; k++) {
    const [centre, , , ...values] = targets.subarray(k * TARGET_VALUES, (k + 1) * TARGET_VALUES);
    cells.set([centre! > 0 ? 3 : -3, ...values], k * CELL_VALUES);
  }
  return cells;
}

Deno.test("readCells() gives back the faces of finderTargets()", () => {
  const faces = [place(20.3, 31.7, 18, 0.4), place(70, 60, 55, -2.5), place(93.9, 5.2, 12)];
  const found = readCells(perfect(finderTargets([faces], 96)), 12, 0).toSorted((a, b) => a.side - b.side);
  assert.equal(found.length, 3);
  for (const [k, want] of faces.toSorted((a, b) => a.side - b.side).entries()) {
    const got = found[k]!;
    for (const key of ["x", "y", "side", "angle"] as const) close(got[key], want[key], 1e-3, key);
    assert.equal(got.logit, 3);
  }
});

Deno.test("finderTargets() shares its weights among the faces of a batch", () => {
  const targets = finderTargets([[place(40, 40, 40), place(12, 12, 16)], [place(50, 50, 30)], []], 64);
  const sum = (value: number) =>
    targets.filter((_, k) => k % TARGET_VALUES === value).reduce((total, weight) => total + weight, 0);
  close(sum(0), 1, 1e-6, "centres");
  close(sum(2), 1, 1e-6, "values");
  const background = targets.filter((_, k) => k % TARGET_VALUES === 1);
  assert.ok(background.every((weight) => weight >= 0 && weight <= 1 / 3 + 1e-6));
  assert.equal(background.subarray(128).every((weight) => Math.abs(weight - 1 / 3) < 1e-6), true, "no face");
});

Deno.test("finderTargets() learns nothing where a face does not count, and beside the picture", () => {
  const targets = finderTargets([[place(32, 32, 32, 0, false), place(-20, 30, 24)]], 64);
  const value = (row: number, column: number, k: number) => targets[(row * 8 + column) * TARGET_VALUES + k];
  assert.deepEqual([value(3, 3, 0), value(3, 3, 1), value(3, 3, 2)], [0, 0, 0]);
  assert.equal(value(7, 7, 1), 1);
  assert.equal(targets.some((weight, k) => k % TARGET_VALUES === 0 && weight > 0), false);
});
