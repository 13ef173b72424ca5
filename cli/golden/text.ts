/**
 * Golden checks of tokenizers and text encoders.
 *
 * @module
 */

import { z } from "zod";
import { readText } from "../../formats/files.ts";
import { readConfig } from "../../models/io/config.ts";
import { encodeText, textEncoderFormat } from "../../models/diffusion/clip_text.ts";
import { Tokenizer } from "../../models/diffusion/tokenizer.ts";
import { mse } from "../../ops/mse.ts";
import { dims, type Value } from "../../engine/graph.ts";
import { type GoldenCheck, parsePart, tensorOf } from "./case.ts";
import { networkCheck } from "./network.ts";

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

const ids = z.array(z.int());
const vector = z.strictObject({
  text: z.string().optional(),
  text_repeat: z.tuple([z.string(), z.int()]).optional(),
  ids,
  huggingface_ids: ids.optional(),
  sd_input_ids_77: ids.optional(),
  padded_20: ids.optional(),
  padded_to: z.int().optional(),
  ids_count: z.int().optional(),
  openai_equals_huggingface: z.boolean().optional(),
}).refine(({ text, text_repeat }) => (text === undefined) !== (text_repeat === undefined), "text or text_repeat");
const vectors = z.array(vector).min(1);

type Vector = z.output<typeof vector>;

const textOf = ({ text, text_repeat }: Vector) => text ?? text_repeat?.[0].repeat(text_repeat[1]) ?? "";

const clipConfig = z.strictObject({ start: z.int(), end: z.int(), pad: z.int(), max_length: z.int().optional() });

/** CLIP's BPE, with the vocabulary in the JSON or openai/CLIP's file of merges. */
export const clipBpeCheck: GoldenCheck = async (c) => {
  const { dir, json } = c;
  const config = parsePart(c, clipConfig);
  let { vocab, merges } = json;
  if (!vocab) {
    const bytes = (await Deno.open(`${dir}/${json["vocab_file"]}`)).readable.pipeThrough(
      new DecompressionStream("gzip"),
    );
    // As the peer reads it: a line of version, then the merges of all tokens but 512 bytes and the two special ones.
    merges = (await new Response(bytes).text()).split("\n").slice(1, config.start - 512 + 1);
    const symbols = byteSymbols();
    const tokens = [...symbols, ...symbols.map((s) => `${s}</w>`), ...merges.map((m: string) => m.replace(" ", ""))];
    vocab = Object.fromEntries([...tokens, "<|startoftext|>", "<|endoftext|>"].map((token, id) => [token, id]));
  }
  const tokenOf = (id: number) => Object.keys(vocab).find((token) => vocab[token] === id) ?? "";
  const [start, end, pad] = [config.start, config.end, config.pad].map(tokenOf) as [string, string, string];
  const given = parsePart(c, vectors, "vectors");
  const padded = (v: Vector) => v.sd_input_ids_77 ?? v.padded_20 ?? [];
  const length = config.max_length ?? Math.max(...given.map((v) => padded(v).length));
  const tokenizer = new Tokenizer({ vocab, merges, start, end, pad, length });
  return compareTexts(
    given.map((v) => ({
      text: textOf(v),
      right: equal(tokenizer.ids(textOf(v)), v.huggingface_ids ?? v.ids) &&
        equal(tokenizer.encode(textOf(v)), padded(v)),
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

const bertConfig = z.strictObject({ cls: z.int(), sep: z.int(), pad: z.int(), unk: z.int(), max_length: z.int() });

/** BERT's WordPiece. */
export const wordPieceCheck: GoldenCheck = async (c) => {
  const config = parsePart(c, bertConfig);
  const words = (await readText(`${c.dir}/${c.json["vocab_file"]}`)).split("\n").filter((line) => line);
  const word = (id: number) => words[id] ?? "";
  const tokenizer = new Tokenizer({
    vocab: Object.fromEntries(words.map((word, id) => [word, id])),
    merges: null,
    start: word(config.cls),
    end: word(config.sep),
    pad: word(config.pad),
    length: config.max_length,
  });
  return compareTexts(
    parsePart(c, vectors, "vectors").map((v) => {
      const padded = [...v.ids, ...Array(config.max_length - v.ids.length).fill(config.pad)];
      return { text: textOf(v), right: equal(tokenizer.encode(textOf(v)), padded) };
    }),
  );
};

/** CLIP text encoder: every hidden state, the pooled output, and gradients. */
export const clipTextCheck: GoldenCheck = networkCheck(({ c, want, input, scope }) => {
  const config = readConfig(textEncoderFormat, c.json["config"], c.name);
  const ids = input("ids");
  const { context, hidden } = encodeText(scope(), config, ids);
  const outputs: Record<string, Value> = { "output/last_hidden_state": context };
  hidden.forEach((value, k) => outputs[`hidden/${k}`] = value);
  const loss = want.has("input/target") ? mse(context, input("target")) : undefined;
  if (loss) outputs["loss/mse"] = loss;
  return {
    outputs,
    ...loss && { loss },
    after({ got }) {
      // The network has no use for the pooled output, the row of the last token, which has the largest id.
      const { N, T } = dims(ids, "N T");
      const D = config.hidden_size;
      const tokens = Array.from(got.get("output/last_hidden_state") ?? []);
      const given = tensorOf(want, "input/ids").data;
      const rows = Array.from({ length: N }, (_, n) => {
        const row = [...given.subarray(n * T, (n + 1) * T)];
        return n * T + row.indexOf(Math.max(...row));
      });
      got.set("output/pooled", rows.flatMap((row) => tokens.slice(row * D, (row + 1) * D)));
    },
  };
});
