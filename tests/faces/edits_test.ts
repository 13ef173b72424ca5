import assert from "node:assert/strict";
import { applyEdit, applyEdits, type Edit, parseEdit, readEdits, spoils } from "../../faces/edits.ts";
import { interocular, type Landmarks, mirrorLandmarks, similarity, transformLandmarks } from "../../faces/landmarks.ts";
import { Random } from "../../runtime/rng.ts";
import { neutralFace } from "./neutral_face.ts";

const SIZE = 256;
const edits = await readEdits("pipelines/edits");
const random = new Random(7, "tests/edits");

/** A face that is neither upright nor symmetric. */
function crookedFace(): Landmarks {
  const face = transformLandmarks(neutralFace(SIZE), similarity([128, 128], 0.8, 0.3, [5, -4]));
  return face.map((value) => value + 1.5 * random.normal());
}

function drawsOf(edit: Edit): Record<string, number> {
  return Object.fromEntries([...edit.draws].map(([key, { min, max }]) => [key, min + (max - min) * random.uniform()]));
}

function assertClose(a: Landmarks, b: Landmarks, limit: number, what: string): void {
  const worst = Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));
  assert.ok(worst <= limit, `${what}: landmarks differ by ${worst} pixels`);
}

Deno.test("the eight edits of the paper are there", () => {
  const names = "chubby eye_shift linear_transform mouth_shift nose_shift open_eyes raised_eyebrow stretched_nostrils";
  for (const name of names.split(" ")) assert.ok(edits.some((edit) => edit.name === name), name);
});

for (const edit of edits) {
  Deno.test(`edit ${edit.name}: amount 0 changes nothing`, () => {
    const face = crookedFace();
    assert.deepEqual(applyEdit(face, edit, 0, drawsOf(edit)), face);
  });

  Deno.test(`edit ${edit.name}: mirroring before is mirroring after`, () => {
    for (let i = 0; i < 5; i++) {
      const face = crookedFace(), draws = drawsOf(edit);
      const mirrored = Object.fromEntries(
        Object.entries(draws).map(([key, value]) => [key, edit.draws.get(key)!.lateral ? -value : value]),
      );
      const before = applyEdit(mirrorLandmarks(face, SIZE), edit, 0.8, mirrored);
      const after = mirrorLandmarks(applyEdit(face, edit, 0.8, draws), SIZE);
      assertClose(before, after, 1e-3, `with ${JSON.stringify(draws)}`);
    }
  });

  Deno.test(`edit ${edit.name}: turns, grows and shifts with the face`, () => {
    const face = crookedFace(), draws = drawsOf(edit);
    const place = similarity([100, 90], 0.6, -0.7, [20, 10]);
    const before = applyEdit(transformLandmarks(face, place), edit, 0.9, draws);
    assertClose(before, transformLandmarks(applyEdit(face, edit, 0.9, draws), place), 2e-3, "moved face");
  });

  Deno.test(`edit ${edit.name}: keeps the order round each contour and stays in the frame`, () => {
    const face = neutralFace(SIZE);
    for (let i = 0; i < 50; i++) {
      const draws = drawsOf(edit);
      assert.equal(spoils(face, applyEdit(face, edit, edit.amount.max, draws), SIZE), undefined, JSON.stringify(draws));
      assert.equal(spoils(face, applyEdit(face, edit, edit.amount.min, draws), SIZE), undefined, JSON.stringify(draws));
    }
  });

  Deno.test(`edit ${edit.name}: is seen, and is within reason`, () => {
    const face = neutralFace(SIZE);
    const extremes = Object.fromEntries([...edit.draws].map(([key, { max }]) => [key, max]));
    const edited = applyEdit(face, edit, edit.amount.max, extremes);
    const moved = Math.max(...edited.map((value, i) => Math.abs(value - face[i]!))) / interocular(face);
    assert.ok(moved > 0.05 && moved < 0.6, `the largest move is ${moved} iod`);
  });
}

Deno.test("applyEdits() picks, records and can be repeated", () => {
  const face = neutralFace(SIZE);
  const draw = (seed: number) => applyEdits(face, edits, { pick: 2, size_px: SIZE }, new Random(seed, "edits"));
  for (let seed = 0; seed < 20; seed++) {
    const { landmarks, applied } = draw(seed);
    assert.equal(new Set(applied.map(({ edit }) => edit)).size, 2);
    assert.deepEqual(draw(seed), { landmarks, applied });
    const again = applied.reduce(
      (at, { edit, amount, draws }) => applyEdit(at, edits.find(({ name }) => name === edit)!, amount, draws),
      face,
    );
    assert.deepEqual(again, landmarks);
    assert.equal(spoils(face, landmarks, SIZE), undefined);
  }
  assert.notDeepEqual(draw(1), draw(2));
  assert.deepEqual(applyEdits(face, edits, { pick: 0 }, random), { landmarks: face, applied: [] });
});

const YAML = `edit: test
schema: ibug68
doc: For tests.
amount: { min: 1, max: 1 }
draws: { aside: { min: -1, max: 1, lateral: true } }
moves:
  - { points: [37, 38], by_iod: [0, 0.2] }
`;

Deno.test("applyEdits() weakens what would spoil the face, and leaves out what cannot fit", () => {
  const face = neutralFace(SIZE);
  const closing = parseEdit(YAML.replace("0.2", "0.3"), "test.yaml"); // 0.3 iod down takes the upper lids through the lower ones
  assert.match(spoils(face, applyEdit(face, closing, 1))!, /left_eye|outside|inside out/);
  const { applied } = applyEdits(face, [closing], { pick: 1 }, random);
  assert.deepEqual(applied.map(({ amount }) => amount), [0.25]);
  const shifted = transformLandmarks(face, [1, 0, -48, 0, 1, 0]); // the jaw touches the left border
  const wide = parseEdit(YAML.replace("[37, 38], by_iod: [0, 0.2]", "[0], by_iod: [-1, 0]"), "test.yaml");
  assert.deepEqual(applyEdits(shifted, [wide], { pick: 1, size_px: SIZE }, random).applied, []);
});

Deno.test("a move without falloff moves only what it names, with falloff the neighbours less", () => {
  const face = neutralFace(SIZE);
  const moved = (text: string) => {
    const edited = applyEdit(face, parseEdit(text, "test.yaml"), 1);
    return Array.from({ length: 68 }, (_, i) => edited[2 * i + 1]! - face[2 * i + 1]!);
  };
  const alone = moved(YAML), dragging = moved(YAML.replace("0.2]", "0.2], falloff_iod: 0.3"));
  assert.deepEqual(alone.flatMap((dy, i) => dy === 0 ? [] : [i]), [37, 38, 43, 44]);
  assert.ok(dragging[41]! > 0 && dragging[41]! < dragging[37]!);
  assert.equal(dragging[8], 0);
});

Deno.test("parseEdit() points at every mistake", () => {
  const cases: [string, string, RegExp][] = [
    ["[37, 38], by_iod: [0,", "[36, 45], by_iod: [0.1,", /test\.yaml:7:20: Cannot move landmark 45 by \[0\.1, 0\.2\]/],
    [
      "[37, 38], by_iod: [0,",
      "[8], by_iod: [0.1,",
      /test\.yaml:7:16: Cannot move landmark 8 .*\n.*\n.*\n.*only y may change/,
    ],
    ["[37, 38]", "[37, chin]", /test\.yaml:7:20: Cannot read "chin" as landmarks/],
    ["[37, 38]", "[60-70]", /test\.yaml:7:16: Cannot read "60-70" as landmarks/],
    [
      "0.2]",
      "2]",
      /test\.yaml:7:37: Cannot read "moves\.0\.by_iod\.1" in the edit as it must be a number from -1 to 1: current value is 2/,
    ],
    ["0.2] }", "0.2], times: side }", /test\.yaml:7:50: Cannot multiply by "side".*\n.*\n.*\n.*draws: aside/],
    ["min: -1", "min: 0", /test\.yaml:5:17: Cannot draw "aside" from 0 to 1 as it is lateral/],
    ["min: 1,", "min: 2,", /test\.yaml:4:16: Cannot read "amount\.min" in the edit as it must be/],
    [
      "doc:",
      "dcc:",
      /the edit as "doc" is missing: it must be a text[^]*key "dcc"[^]*did you mean "doc"[^]*2 errors in test\.yaml/,
    ],
  ];
  for (const [from, to, message] of cases) {
    assert.throws(() => parseEdit(YAML.replace(from, to), "test.yaml"), (error: Error) => {
      assert.match(error.message, message);
      return true;
    });
  }
});
