import assert from "node:assert/strict";
import { importFolder, inFolder, writeFace } from "./_lib.ts";

Deno.test("a folder of drawn faces imports: what the other tests of this folder start from", () =>
  inFolder(async (dir) => {
    await writeFace(`${dir}/faces/a`);
    await writeFace(`${dir}/faces/b`, { ending: ".JPG", seed: 1, width: 120, at: [20, 0] });
    const { code, dataset, bad, all } = await importFolder(dir, "faces");
    assert.deepEqual([code, dataset?.records.length, bad], [0, 2, []], all);
  }));
