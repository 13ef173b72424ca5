import assert from "node:assert/strict";
import { Random } from "../../../engine/rng.ts";
import {
  angleErrors,
  averagePrecision,
  calibrate,
  judge,
  type Judgement,
  type Outcome,
  rateAt,
  reliability,
} from "../../../models/finder/measure.ts";

const face = (x: number, side: number, counts = true) => ({ x, y: 0, side, angle: 0, counts });
const candidate = (x: number, side: number, logit: number) => ({ x, y: 0, side, angle: 0, logit });

Deno.test("judge() gives each face to the surest of those that overlap it", () => {
  const faces = [face(0, 10), face(40, 20), face(80, 10, false)];
  const found = [
    candidate(1, 10, 2),
    candidate(0, 10, 3),
    candidate(40, 22, 1),
    candidate(81, 10, 5),
    candidate(120, 9, 0),
  ];
  const judged = judge(found, faces);
  assert.deepEqual(judged.faces, faces.slice(0, 2));
  assert.deepEqual(judged.found.map(({ logit, face }) => [logit, face]), [
    [3, faces[0]],
    [2, null],
    [1, faces[1]],
    [0, null],
  ]);
  assert.deepEqual(rateAt([judged, { found: [], faces: [] }], 0.5), {
    recall: 1,
    false_per_picture: 0.5,
    precision: 2 / 3,
  });
  assert.deepEqual(rateAt([judged], 4), { recall: 0, false_per_picture: 0, precision: 1 });
});

Deno.test("angleErrors() are of the faces that are found, the short way around", () => {
  const judged = (angle: number, of: number | null, logit = 1) => ({
    ...candidate(0, 10, logit),
    angle,
    face: of === null ? null : { ...face(0, 10), angle: of },
  });
  const found = [judged(3, -3), judged(-0.5, 0.25), judged(1, null), judged(1, 0, -1)];
  const errors = angleErrors([{ found, faces: [] }, { found: [], faces: [] }], 0);
  assert.deepEqual(errors.map((off) => Math.round(off * 1e6) / 1e6), [Math.round((2 * Math.PI - 6) * 1e6) / 1e6, 0.75]);
});

Deno.test("averagePrecision() is the area under the best precision at each recall", () => {
  const [one, two] = [face(0, 10), face(40, 10)];
  const judged = (logit: number, face: typeof one | null) => ({ ...candidate(0, 10, logit), face });
  const pictures: Judgement[] = [
    { found: [judged(3, one), judged(2, null)], faces: [one, face(9, 9)] },
    { found: [judged(1, two)], faces: [two] },
  ];
  assert.ok(Math.abs(averagePrecision(pictures) - (1 + 2 / 3) / 3) < 1e-12);
  assert.equal(averagePrecision([{ found: [], faces: [] }]), 1);
});

Deno.test("calibrate() finds the map that outcomes were drawn by, and scores mean what they say", () => {
  const random = new Random(2, "calibrate");
  const [slope, shift] = [0.7, -0.4];
  const outcomes: Outcome[] = Array.from({ length: 8000 }, () => {
    const logit = 3 * random.normal();
    const right = random.uniform() < 1 / (1 + Math.exp(-(slope * logit + shift)));
    return { logit, face: right ? face(0, 10) : null };
  });
  const found = calibrate(outcomes);
  assert.ok(Math.abs(found.slope - slope) < 0.05 && Math.abs(found.shift - shift) < 0.1, JSON.stringify(found));
  const bins = reliability(outcomes, (logit) => 1 / (1 + Math.exp(-(found.slope * logit + found.shift))));
  assert.equal(bins.length, 10);
  assert.equal(bins.reduce((sum, { count }) => sum + count, 0), outcomes.length);
  for (const { score, right } of bins) assert.ok(Math.abs(score - right) < 0.06, `${score}, ${right}`);
});

Deno.test("calibrate() is finite where the outcomes are apart, or all alike", () => {
  const outcomes = [-3, -2, 2, 3].map((logit) => ({ logit, face: logit > 0 ? face(0, 10) : null }));
  const { slope, shift } = calibrate(outcomes);
  assert.ok(slope > 0 && slope < 10 && Math.abs(shift) < 1);
  for (const some of [[], outcomes.slice(0, 2), outcomes.slice(2)]) {
    const { slope, shift } = calibrate(some);
    assert.ok(Number.isFinite(slope) && slope > 0 && Number.isFinite(shift));
  }
});
