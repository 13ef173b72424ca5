import assert from "node:assert/strict";
import { Random } from "../../../engine/rng.ts";
import { fitChoice } from "../../../models/finder/logistic.ts";
import { BY_DOUBT, calibrateTurn, type TurnOutcome, turnScore } from "../../../models/finder/turn_score.ts";

/** The alternative that the softmax of logits gives. */
function drawn(logits: readonly number[], random: Random): number {
  const parts = logits.map(Math.exp);
  let left = random.uniform() * parts.reduce((sum, part) => sum + part, 0);
  return parts.findIndex((part) => (left -= part) < 0);
}

Deno.test("fitChoice() finds the weights that choices were drawn by", () => {
  const random = new Random(3, "choices"), want = [1.2, -0.7, 0.4];
  const cases = Array.from({ length: 6000 }, () => Array.from({ length: 4 }, () => want.map(() => random.normal())));
  const chosen = cases.map((turns) => drawn(turns.map((x) => x.reduce((z, v, i) => z + v * want[i]!, 0)), random));
  const found = fitChoice(cases, chosen, [0, 0, 0]);
  found.forEach((weight, i) => assert.ok(Math.abs(weight - want[i]!) < 0.1, `${found}`));
  const [free = 0, held = 0] = fitChoice(cases.slice(0, 200), chosen.slice(0, 200), [0, 0, 0], [0, 300, 0]);
  assert.ok(free > 0.8 && held < -0.02 && held > -0.4, `${free}, ${held}`);
  assert.deepEqual(fitChoice([], [], [2, 1]), [2, 1]);
});

Deno.test("calibrateTurn() finds which features are those of upright faces", () => {
  const random = new Random(4, "turns"), D = 40;
  const draw = (count: number) =>
    Array.from({ length: count }, (): TurnOutcome => {
      const upright = Math.floor(4 * random.uniform());
      const turns = Array.from({ length: 4 }, (_, k) => {
        // The first feature is larger in upright faces, the second never changes, the others are noise.
        const features = Float32Array.from({ length: D }, (_, i) => i === 1 ? 2 : Math.abs(random.normal()));
        if (k === upright) features[0]! += 1.5;
        const sure = k === 0 ? 0.5 + (upright === 0 ? 0.4 : 0) * random.uniform() : 0;
        return { sure, doubt: 0.02 * Math.exp(0.3 * random.normal() - (k === upright ? 0.3 : 0)), features };
      });
      return { turns, upright };
    });
  const found = calibrateTurn(draw(800)), { sure, doubt, features = [] } = found;
  assert.ok(sure > 0 && doubt < 0 && features.length === D, `${sure}, ${doubt}`);
  assert.ok(Math.abs(features[1]!) < 1e-6);
  assert.ok(features.every((factor, i) => i === 0 || Math.abs(factor) < features[0]! / 3));
  const right = (weights: Parameters<typeof turnScore>[0], outcomes: readonly TurnOutcome[]) =>
    outcomes.filter(({ turns, upright }) => {
      const scores = turns.map((one) => turnScore(weights, one));
      return scores.indexOf(Math.max(...scores)) === upright;
    }).length / outcomes.length;
  const others = draw(500);
  assert.ok(right(found, others) > right({ sure, doubt }, others) + 0.1);
  // A sureness above 1 counts as 1.
  const one = others[0]!.turns[0]!;
  assert.equal(turnScore(found, { ...one, sure: 7 }), turnScore(found, { ...one, sure: 1 }));
  const plain = draw(200).map(({ turns, upright }) => ({
    upright,
    turns: turns.map(({ sure, doubt }) => ({ sure, doubt })),
  }));
  const own = calibrateTurn(plain);
  assert.deepEqual(Object.keys(own), ["sure", "doubt"]);
  assert.ok(Math.abs(own.sure / own.doubt - BY_DOUBT.sure / BY_DOUBT.doubt) < 1e-9 && own.doubt < -1.5);
});
