import assert from "node:assert/strict";
import { inFolder, promptsOf, runStages } from "./run_stages.ts";

const FACES = `
  a: { uses: fake/squares, with: { count: 6, styles: [photo, ink_wash, ink] } }
  b: { uses: fake/squares, with: { count: 4, styles: [oil] } }
`;

Deno.test("dataset/merge puts datasets together in their order", () =>
  inFolder(async (dir) => {
    const of = await runStages(dir, FACES + "  all: { uses: dataset/merge, in: { data: [b, a] } }");
    assert.deepEqual(await promptsOf(of("all")), [...await promptsOf(of("b")), ...await promptsOf(of("a"))]);
  }));

Deno.test("dataset/merge limits datasets and chooses styles", () =>
  inFolder(async (dir) => {
    const of = await runStages(
      dir,
      FACES + `
  two: { uses: dataset/merge, in: { data: [a, b] }, with: { limit: 2 } }
  each: { uses: dataset/merge, in: { data: [a, b] }, with: { limit: [5, 1] } }
  inks: { uses: dataset/merge, in: { data: [a, b] }, with: { include: ["ink*", oil], exclude: [oil] } }
`,
    );
    const styles = async (id: string) => (await promptsOf(of(id))).map((prompt) => prompt.split(" ")[0]);
    assert.equal((await styles("two")).filter((style) => style === "oil").length, 2);
    assert.equal((await styles("two")).length, 4);
    assert.equal((await styles("each")).length, 6);
    assert.deepEqual(await styles("inks"), ["ink_wash", "ink", "ink_wash", "ink"]);
  }));

Deno.test("dataset/merge says what does not fit", () =>
  inFolder(async (dir) => {
    const merge = (text: string) => runStages(dir, FACES + text);
    await assert.rejects(
      merge("  none: { uses: dataset/merge, in: { data: a }, with: { include: [oil] } }"),
      /no image is of a chosen style, hint: there are ink, ink_wash, photo/,
    );
    await assert.rejects(
      merge("  list: { uses: dataset/merge, in: { data: [a, b] }, with: { limit: [3] } }"),
      /Cannot use "limit" in stage "\w+" as 2 datasets take as many numbers/,
    );
    await assert.rejects(
      merge(`  big: { uses: fake/squares, with: { count: 1, size_px: 32 } }
  all: { uses: dataset/merge, in: { data: [a, big] } }`),
      /their side is 32 pixels, 16 is expected/,
    );
  }));
