import assert from "node:assert/strict";
import { Random } from "../../../engine/rng.ts";
import { fitLogistic } from "../../../models/finder/logistic.ts";
import { calibratePair, type PairOutcome, pairScore } from "../../../models/finder/pair_score.ts";

const sigmoid = (z: number) => 1 / (1 + Math.exp(-z));

Deno.test("fitLogistic() finds the weights that outcomes were drawn by", () => {
  const random = new Random(7, "logistic"), want = [0.8, -1.5, 0.3, -0.6];
  const rows = Array.from({ length: 12_000 }, () => [random.normal(), 2 * random.normal(), random.normal() + 3]);
  const outcomes = rows.map((row) =>
    random.uniform() < sigmoid(row.reduce((sum, x, i) => sum + x * want[i]!, 0) + want[3]!)
  );
  const found = fitLogistic(rows, outcomes, [0, 0, 0]);
  assert.equal(found.length, 4);
  found.forEach((weight, i) => assert.ok(Math.abs(weight - want[i]!) < (i < 3 ? 0.1 : 0.25), `${found}`));
  // At the greatest likelihood the scores are right on average, but for the outcomes' being short of sure.
  const scores = rows.reduce((sum, row) => sum + sigmoid(row.reduce((z, x, i) => z + x * found[i]!, found[3]!)), 0);
  assert.ok(Math.abs(scores / outcomes.filter(Boolean).length - 1) < 1e-3);
  assert.deepEqual(fitLogistic([], [], [2, 1]), [2, 1, 0]);
});

Deno.test("calibratePair() finds the calibration that outcomes were drawn by, and its scores mean what they say", () => {
  const random = new Random(8, "pair"), want = { slope: 0.8, doubt: -2.6, shift: -7.8 };
  const outcomes = Array.from({ length: 8000 }, (): PairOutcome => {
    const score = 0.12 + 0.87 * random.uniform(), doubt = Math.exp(-3 + 0.5 * random.normal());
    return { score, doubt, right: random.uniform() < pairScore(want, score, { doubt }) };
  });
  const found = calibratePair(outcomes);
  assert.ok(Math.abs(found.slope - want.slope) < 0.1, JSON.stringify(found));
  assert.ok(Math.abs(found.doubt - want.doubt) < 0.25, JSON.stringify(found));
  assert.ok(Math.abs(found.shift - want.shift) < 0.75, JSON.stringify(found));
  const high = outcomes.map((one) => ({ ...one, p: pairScore(found, one.score, one) }))
    .filter(({ p }) => p >= 0.75 && p < 0.85);
  assert.ok(high.length > 300);
  assert.ok(Math.abs(high.filter(({ right }) => right).length / high.length - 0.8) < 0.05);
});

Deno.test("fitLogistic() holds down weights that are penalised", () => {
  const random = new Random(9, "penalties");
  const rows = Array.from({ length: 200 }, () => [random.normal(), random.normal()]);
  const outcomes = rows.map(([x = 0, y = 0]) => random.uniform() < sigmoid(2 * x + 2 * y));
  const [free = 0, held = 0] = fitLogistic(rows, outcomes, [0, 0], [0, 100]);
  assert.ok(free > 1 && held > 0.05 && held < free / 2, `${free}, ${held}`);
});

Deno.test("calibratePair() finds which of many features tell faces from other things", () => {
  const random = new Random(10, "features"), D = 60;
  const draw = (count: number) =>
    Array.from({ length: count }, (): PairOutcome => {
      const right = random.uniform() < 0.5;
      // The first feature is of faces, the others are not, and one never changes.
      const features = Float32Array.from({ length: D }, (_, k) => k === 1 ? 3 : Math.abs(random.normal()));
      if (right) features[0]! += 2;
      return { score: 0.2 + 0.6 * random.uniform(), doubt: 0.03, features, right };
    });
  const found = calibratePair(draw(600));
  assert.equal(found.features?.length, D);
  assert.ok(Math.abs(found.features[1]!) < 1e-9);
  assert.ok(found.features.every((factor, k) => k === 0 || Math.abs(factor) < found.features![0]! / 4));
  const others = draw(600);
  const wrong = others.filter(({ score, right, ...evidence }) => pairScore(found, score, evidence) >= 0.5 !== right);
  assert.ok(wrong.length < 0.2 * others.length, `${wrong.length}`);
  assert.throws(() => pairScore(found, 0.5, { doubt: 0.03 }), /values of the detector/);
});

Deno.test("pairScore() is the finder's own where doubt has no weight, and finite at the ends", () => {
  const own = { slope: 1, doubt: 0, shift: 0 };
  for (const score of [0.1, 0.5, 0.97]) assert.ok(Math.abs(pairScore(own, score, { doubt: 0.05 }) - score) < 1e-12);
  const both = { slope: 0.8, doubt: -2.6, shift: -7.8 };
  assert.ok(pairScore(both, 0.5, { doubt: 0.03 }) > pairScore(both, 0.5, { doubt: 0.06 }));
  for (const [score, doubt] of [[0, 0], [1, 0], [0, 1e9], [1, 1]] as const) {
    assert.ok(Number.isFinite(pairScore(both, score, { doubt })));
  }
});
