/**
 * Golden checks of tokenizers and text encoders.
 *
 * @module
 */

import { readConfig } from "../../models/io/config.ts";
import { createParameters, type ParameterSpec, Scope } from "../../models/io/params.ts";
import { encodeText, textEncoderFormat } from "../../models/diffusion/clip_text.ts";
import { Tokenizer } from "../../models/diffusion/tokenizer.ts";
import { Graph, type Value } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { allTensors, compareGroups, type GoldenCheck, hostParametersOf, inputsOf, readOutputs } from "./case.ts";

/** Counts the texts whose ids differ; the first is named. */
function compareTexts(texts: readonly { text: string; right: boolean }[]) {
  const wrong = texts.filter(({ right }) => !right);
  return [{
    group: "ids",
    error: wrong.length,
    tolerance: 0,
    ...(wrong[0] ? { tensor: JSON.stringify(wrong[0].text) } : {}),
  }];
}

const equal = (a: readonly number[], b: readonly number[]) => a.length === b.length && a.every((id, k) => id === b[k]);

interface Vector {
  text?: string;
  text_repeat?: [string, number];
  ids: number[];
  huggingface_ids?: number[];
  sd_input_ids_77?: number[];
  padded_20?: number[];
}

const textOf = ({ text, text_repeat }: Vector) => text ?? text_repeat![0].repeat(text_repeat![1]);

/** CLIP's BPE, with the vocabulary in the JSON or openai/CLIP's file of merges. */
export const clipBpeCheck: GoldenCheck = async ({ dir, json }) => {
  let { vocab, merges } = json;
  if (!vocab) {
    const bytes = (await Deno.open(`${dir}/${json.vocab_file}`)).readable.pipeThrough(new DecompressionStream("gzip"));
    // As the peer reads it: a line of version, then so many merges.
    merges = (await new Response(bytes).text()).split("\n").slice(1, 49152 - 256 - 2 + 1);
    const symbols = byteSymbols();
    const tokens = [...symbols, ...symbols.map((s) => `${s}</w>`), ...merges.map((m: string) => m.replace(" ", ""))];
    vocab = Object.fromEntries([...tokens, "<|startoftext|>", "<|endoftext|>"].map((token, id) => [token, id]));
  }
  const length = json.config.max_length ?? 20;
  const [start, end] = ["<|startoftext|>", "<|endoftext|>"];
  const tokenizer = new Tokenizer({ vocab, merges, start, end, pad: end, length });
  return compareTexts(
    json.vectors.map((v: Vector) => ({
      text: textOf(v),
      right: equal(tokenizer.ids(textOf(v)), v.huggingface_ids ?? v.ids) &&
        equal(tokenizer.encode(textOf(v)), v.sd_input_ids_77 ?? v.padded_20!),
    })),
  );
};

/** The 256 characters that stand for bytes, in the order of GPT-2's and CLIP's vocabulary. */
function byteSymbols(): string[] {
  const printable = (b: number) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  const bytes = Array.from({ length: 256 }, (_, b) => b);
  return [
    ...bytes.filter(printable).map((b) => String.fromCharCode(b)),
    ...bytes.filter((b) => !printable(b)).map((_, k) => String.fromCharCode(256 + k)),
  ];
}

/** BERT's WordPiece. */
export const wordPieceCheck: GoldenCheck = async ({ dir, json }) => {
  const words = (await Deno.readTextFile(`${dir}/${json.vocab_file}`)).split("\n").filter((line) => line);
  const tokenizer = new Tokenizer({
    vocab: Object.fromEntries(words.map((word, id) => [word, id])),
    merges: null,
    start: "[CLS]",
    end: "[SEP]",
    pad: "[PAD]",
    length: json.config.max_length,
  });
  return compareTexts(
    json.vectors.map((v: Vector) => {
      const padded = [...v.ids, ...Array(json.config.max_length - v.ids.length).fill(json.config.pad)];
      return { text: textOf(v), right: equal(tokenizer.encode(textOf(v)), padded) };
    }),
  );
};

/** CLIP text encoder: every hidden state and the pooled output. */
export const clipTextCheck: GoldenCheck = async (c, device) => {
  const want = await allTensors(c);
  const specs = new Map<string, ParameterSpec>();
  const graph = new Graph();
  const { values, data } = inputsOf(graph, want);
  const config = readConfig(textEncoderFormat, c.json.config, c.name);
  const { context, hidden } = encodeText(new Scope(graph, specs), config, values.ids!);
  const outputs: Record<string, Value> = { "output/last_hidden_state": context };
  hidden.forEach((value, k) => outputs[`hidden/${k}`] = value);
  const parameters = createParameters(device, specs, await hostParametersOf(specs, want));
  const exe = new Executable(device, { outputs }, parameters);
  exe.run(data);
  const got = await readOutputs(exe, outputs);
  exe.destroy();
  for (const tensor of parameters.values()) tensor.destroy();
  // The network has no use for the pooled output, the row of the last token, which has the largest id.
  const [, T, D] = context.shape as [number, number, number];
  const rows = (c.json.inputs.ids as number[][]).map((ids, n) => n * T + ids.indexOf(Math.max(...ids)));
  const tokens = got.get("output/last_hidden_state")!;
  got.set("output/pooled", Float32Array.from(rows.flatMap((row) => [...tokens.subarray(row * D, (row + 1) * D)])));
  return compareGroups(c, want, got);
};
