import assert from "node:assert/strict";
import { openDataset } from "../../faces/data/dataset.ts";
import { inFolder, promptsOf, runStages } from "./run_stages.ts";

Deno.test("dataset/split gives two parts that share no group and are the whole together", () =>
  inFolder(async (dir) => {
    const of = await runStages(
      dir,
      `
  faces: { uses: fake/squares, with: { count: 20, styles: [photo, ink] } }
  train: { uses: dataset/split, in: { data: faces }, with: { part: train, fraction: 0.3 } }
  holdout: { uses: dataset/split, in: { data: faces }, with: { part: holdout, fraction: 0.3 } }
  other: { uses: dataset/split, in: { data: faces }, with: { part: holdout, fraction: 0.3, seed: 1 } }
`,
    );
    const [faces, train, holdout, other] = await Promise.all(
      ["faces", "train", "holdout", "other"].map((id) => promptsOf(of(id))),
    );
    assert.deepEqual([...train!, ...holdout!].sort(), faces!.sort());
    assert.equal(holdout!.length, 6);
    assert.notDeepEqual(other, holdout);
    const groups = async (id: string) => (await openDataset(of(id))).records.map(({ group }) => group);
    const trained = new Set(await groups("train"));
    assert.ok((await groups("holdout")).every((group) => !trained.has(group)));
    // images and landmarks go with their records
    const { image, record } = await (await openDataset(of("holdout"))).load(3);
    assert.equal(record.prompt!.split(" ")[1], String(image.data[0]));
  }));
