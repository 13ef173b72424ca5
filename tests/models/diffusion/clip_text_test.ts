import assert from "node:assert/strict";
import { bertFormat, encodeBert } from "../../../models/diffusion/bert_text.ts";
import { readConfig, writeConfig } from "../../../models/io/config.ts";
import { countParameters, type ParameterSpec, Scope } from "../../../models/io/params.ts";
import { encodeText, textEncoderFormat } from "../../../models/diffusion/clip_text.ts";
import { Graph } from "../../../engine/graph.ts";

Deno.test("encodeText() has the parameters of Stable Diffusion v1's text encoder", () => {
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const config = readConfig(textEncoderFormat, {
    architectures: ["CLIPTextModel"],
    attention_dropout: 0,
    hidden_size: 768,
    intermediate_size: 3072,
    num_attention_heads: 12,
    torch_dtype: "float32",
  }, "config.json");
  const { context, hidden } = encodeText(new Scope(graph, specs), config, graph.input("ids", [2, 77]));
  assert.deepEqual([context.shape, hidden.length], [[2, 77, 768], 13]);
  assert.equal(countParameters(specs), 123_060_480);
  assert.throws(() => encodeText(new Scope(graph, specs), config, graph.input("long", [2, 78])), {
    message: "Cannot encode tokens of shape [2, 78]: the text encoder has 77 positions",
  });
  assert.deepEqual(readConfig(textEncoderFormat, writeConfig(textEncoderFormat, config), "config.json"), config);
});

Deno.test("encodeBert() has the parameters of LDM's text encoder, but for its unused to_logits", () => {
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const config = readConfig(bertFormat, {}, "config.json");
  assert.deepEqual(encodeBert(new Scope(graph, specs), config, graph.input("ids", [1, 77])).shape, [1, 77, 1280]);
  assert.equal(countParameters(specs), 581_994_042 - 30522 * 1281);
});
