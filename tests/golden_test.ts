import assert from "node:assert/strict";
import { runGolden } from "../cli/golden/main.ts";
import { goldenError } from "../cli/golden/compare.ts";
import { numbersOf } from "../cli/golden/layout.ts";
import { inFolder } from "./stages/run_stages.ts";

const FOLDER = new URL("golden", import.meta.url).pathname;
/** Cases in the folder; a case that is added or lost is noticed here. */
const CASES = 29;

async function golden(dir: string): Promise<{ code: number; lines: string[] }> {
  const lines: string[] = [];
  const code = await runGolden(dir, { print: (line) => lines.push(line) });
  return { code, lines };
}

Deno.test("the cases of tests/golden agree with their peers", async () => {
  const { code, lines } = await golden(FOLDER);
  assert.equal(code, 0, lines.filter((line) => line.startsWith("FAIL")).join("\n"));
  assert.equal(lines.at(-1), `${CASES} passed, 0 failed`);
  for await (const { name } of Deno.readDir(FOLDER)) {
    assert.ok(Deno.statSync(`${FOLDER}/${name}`).size < 100_000, `${name} is under 100 kB`);
  }
});

Deno.test("a case with anything that no check reads fails, and none is skipped", () =>
  inFolder(async (dir) => {
    const given = JSON.parse(await Deno.readTextFile(`${FOLDER}/metrics-300w-pupil.json`));
    await Deno.copyFile(`${FOLDER}/metrics-300w-pupil.safetensors`, `${dir}/metrics-300w-pupil.safetensors`);
    const put = (name: string, change: Record<string, unknown>) =>
      Deno.writeTextFile(`${dir}/${name}.json`, JSON.stringify({ ...given, case: name, ...change }));
    await put("a-right-one", {});
    await put("b-kind", { kind: "star-metrix" });
    await put("c-key", { tolerence: given.tolerance });
    await put("d-option", { config: { ...given.config, nme_left: 3 } });
    await put("e-group", { tolerance: { ...given.tolerance, nmes: 1e-5 } });
    await put("f-untold", { tolerance: {} });
    await put("g-result", { nme_mean: given.nme_mean * 1.01 });
    await put("h-no-file", { files: ["missing.safetensors"] });
    await Deno.writeTextFile(`${dir}/i-not-json.json`, "{");
    const { code, lines } = await golden(dir);
    assert.equal(code, 1);
    assert.equal(lines.at(-1), "1 passed, 8 failed");
    const reasons: [string, RegExp][] = [
      ["b-kind", /its kind is "star-metrix", hint: kinds are .*star-metrics/],
      ["c-key", /a case of kind star-metrics has no key "tolerence"/],
      ["d-option", /Cannot read "config" of d-option: .*nme_left/],
      ["e-group", /Cannot check "nmes", of which there is a tolerance and no tensor/],
      ["f-untold", /Cannot check the group "nme" as "tolerance" has no number of that name/],
      ["g-result", /nme_mean 1\.0e-3 of 1\.0e-6/],
      ["h-no-file", /missing\.safetensors/],
      ["i-not-json", /JSON/],
    ];
    for (const [name, reason] of reasons) {
      assert.match(lines.find((line) => line.startsWith(`FAIL ${name} `)) ?? `${name} passed`, reason);
    }
  }));

Deno.test("goldenError() is relative to the largest value, with a floor, and never passes NaN", () => {
  assert.equal(goldenError([1, 2], [1, 2], 2), 0);
  assert.equal(goldenError([1, 2.5], [1, 2], 2), 0.25);
  assert.equal(goldenError([0.5], [0], 100), 0.5);
  assert.equal(goldenError([NaN], [1], 1), Infinity);
  assert.equal(goldenError([1, 2], [1], 1), Infinity);
});

Deno.test("numbersOf() is xorshift32 from the name's FNV-1a hash", () => {
  // The first state of "a" is 0xe40c292c, as in the test vectors of FNV; the rest by make.py.
  assert.deepEqual([...numbersOf("a", 3)], [-0.46793580055236816, -0.683794379234314, 0.47360992431640625]);
});
