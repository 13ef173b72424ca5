import assert from "node:assert/strict";
import { loadTokenizer, trainTokenizer } from "../../../models/diffusion/tokenizer.ts";

const prompts = ["a portrait of cartoon style", "a portrait of oil painting style", "a photo, 3d", ""];

Deno.test("trainTokenizer() gives every word it saw a token of its own", () => {
  const tokenizer = trainTokenizer(prompts, 8);
  assert.equal(tokenizer.ids("a portrait of Cartoon style").length, 5);
  assert.ok(tokenizer.ids("cartographer").length > 1);
  const { start, end, vocab } = tokenizer.files;
  const [s, e] = [vocab[start]!, vocab[end]!];
  assert.deepEqual(tokenizer.encode(""), [s, e, e, e, e, e, e, e]);
  const long = tokenizer.encode("a a a a a a a a a a a a");
  assert.deepEqual([long.length, long[0], long[7]], [8, s, e]);
  assert.equal(tokenizer.size, e + 1);
});

Deno.test("loadTokenizer() reads what save() wrote", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const tokenizer = trainTokenizer(prompts, 12);
    await tokenizer.save(dir);
    const again = await loadTokenizer(dir);
    assert.deepEqual(again.files, tokenizer.files);
    for (const text of [...prompts, "unseen words!"]) assert.deepEqual(again.encode(text), tokenizer.encode(text));

    // As transformers writes it since version 5.
    const { vocab, merges } = tokenizer.files;
    const pairs = merges!.map((pair) => pair.split(" "));
    const json = { model: { type: "BPE", end_of_word_suffix: "</w>", vocab, merges: pairs } };
    await Deno.writeTextFile(`${dir}/tokenizer.json`, JSON.stringify(json));
    for (const name of ["vocab.json", "merges.txt"]) await Deno.remove(`${dir}/${name}`);
    assert.deepEqual((await loadTokenizer(dir)).files, tokenizer.files);
    await Deno.writeTextFile(`${dir}/tokenizer.json`, JSON.stringify({ model: { ...json.model, type: "Unigram" } }));
    await assert.rejects(loadTokenizer(dir), { message: /nor a tokenizer\.json of one of the two/ });
    await assert.rejects(loadTokenizer(`${dir}/none`), { message: /neither vocab.json with merges.txt/ });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
