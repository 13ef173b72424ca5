/**
 * Tokenizers: prompts to token ids, from the files that models ship.
 *
 *     tokenizer/vocab.json, merges.txt     CLIP: bytes merged pair by pair into words (BPE)
 *     tokenizer/vocab.txt                  BERT: longest pieces first (WordPiece), for the text-to-image LDM
 *     tokenizer/tokenizer.json             the same of either in one file
 *     tokenizer/tokenizer_config.json, special_tokens_map.json     which token starts, ends and pads
 *
 * The merging itself is done by `@huggingface/tokenizers`. A small world of our own has a CLIP tokenizer too, learnt from
 * its prompts ({@linkcode trainTokenizer}), so that its folder loads wherever CLIP's does.
 *
 * Easy to get wrong:
 * - Stable Diffusion pads with the end token, not with 0; other models say what they pad with;
 * - a prompt that is too long keeps its end token: ids are cut before it is put behind them.
 *
 * Sources: Radford et al. 2021, arXiv 2103.00020; transformers 4.32, CLIPTokenizer and BertTokenizer.
 *
 * @module
 */

import { Tokenizer as Encoder } from "@huggingface/tokenizers";
import { exists, parseJson, readJson, readText, writeFile } from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";

/** Definition of a tokenizer: enough to write its folder again. */
export interface TokenizerFiles {
  /** Id of every token. */
  readonly vocab: Readonly<Record<string, number>>;
  /** `"a b"`, the first merge first; none for WordPiece. */
  readonly merges: readonly string[] | null;
  /** Token in front of every prompt. */
  readonly start: string;
  /** Token behind it. */
  readonly end: string;
  /** Token that fills up. */
  readonly pad: string;
  /** Tokens of every prompt, start, end and padding included. */
  readonly length: number;
}

const START = "<|startoftext|>";
const END = "<|endoftext|>";
/** Words, numbers digit by digit, and runs of other signs. */
const CLIP_WORDS = String.raw`'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`;

/**
 * A tokenizer.
 *
 * @example
 * ```ts
 * import { loadTokenizer } from "./tokenizer.ts";
 *
 * const tokenizer = await loadTokenizer("models/tiny/tokenizer");
 * const ids = tokenizer.encode("a portrait of cartoon style"); // tokenizer.length numbers
 * ```
 */
export class Tokenizer {
  /** Its definition. */
  readonly files: TokenizerFiles;
  readonly #encoder: Encoder;

  /** Makes a tokenizer of vocabulary and merges. */
  constructor(files: TokenizerFiles) {
    this.files = files;
    const special = [files.start, files.end, files.pad, ...(files.merges ? [] : ["[UNK]", "[MASK]"])];
    const ids = [...new Set(special)].map((content) => ({ content, id: files.vocab[content] }));
    const added_tokens = ids.filter((token) => token.id !== undefined).map((token) => ({
      ...token,
      special: true,
      normalized: false,
      single_word: false,
      lstrip: false,
      rstrip: false,
    }));
    const rest = { post_processor: null, decoder: null };
    this.#encoder = new Encoder({ added_tokens, ...rest, ...(files.merges ? clipJson(files) : bertJson(files)) }, {});
  }

  /** Tokens of every prompt. */
  get length(): number {
    return this.files.length;
  }

  /** Number of tokens known: one more than the largest id. */
  get size(): number {
    return Math.max(...Object.values(this.files.vocab)) + 1;
  }

  /** Ids of a text, without start and end. */
  ids(text: string): number[] {
    return this.#encoder.encode(text, { add_special_tokens: false }).ids;
  }

  /** Start, ids, end and padding: as many numbers as {@linkcode Tokenizer.length}. */
  encode(text: string): number[] {
    const { start, end, pad, length } = this.files;
    const ids = [this.#idOf(start), ...this.ids(text).slice(0, length - 2), this.#idOf(end)];
    return [...ids, ...Array<number>(length - ids.length).fill(this.#idOf(pad))];
  }

  #idOf(token: string): number {
    const id = this.files.vocab[token];
    if (id === undefined) throw new InputError(`Cannot encode a prompt: the vocabulary lacks "${token}"`);
    return id;
  }

  /** Writes the files of a `tokenizer/` folder. */
  async save(dir: string): Promise<void> {
    const { vocab, merges, start, end, pad, length } = this.files;
    if (merges) {
      await writeFile(`${dir}/vocab.json`, JSON.stringify(vocab));
      await writeFile(`${dir}/merges.txt`, ["#version: 0.2", ...merges, ""].join("\n"));
    } else {
      const lines = Object.entries(vocab).sort(([, a], [, b]) => a - b).map(([token]) => token);
      await writeFile(`${dir}/vocab.txt`, [...lines, ""].join("\n"));
    }
    const tokens = merges
      ? { bos_token: start, eos_token: end, pad_token: pad, unk_token: end }
      : { cls_token: start, sep_token: end, pad_token: pad, unk_token: "[UNK]" };
    await writeJson(`${dir}/special_tokens_map.json`, tokens);
    await writeJson(`${dir}/tokenizer_config.json`, {
      tokenizer_class: merges ? "CLIPTokenizer" : "BertTokenizer",
      model_max_length: length,
      ...tokens,
    });
  }
}

function clipJson({ vocab, merges }: TokenizerFiles) {
  return {
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "NFC" },
        { type: "Replace", pattern: { Regex: String.raw`\s+` }, content: " " },
        { type: "Lowercase" },
      ],
    },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: CLIP_WORDS }, behavior: "Removed", invert: true },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    model: {
      type: "BPE",
      unk_token: END,
      continuing_subword_prefix: "",
      end_of_word_suffix: "</w>",
      fuse_unk: false,
      vocab,
      merges,
    },
  };
}

function bertJson({ vocab }: TokenizerFiles) {
  return {
    normalizer: { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, lowercase: true },
    pre_tokenizer: { type: "BertPreTokenizer" },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab,
    },
  };
}

/**
 * Reads a `tokenizer/` folder.
 *
 * @throws {InputError} If it holds neither `vocab.json` with `merges.txt` nor `vocab.txt`, or lacks a token it names.
 */
export async function loadTokenizer(dir: string): Promise<Tokenizer> {
  const { vocab, merges } = await readVocabulary(dir);
  const config = {
    ...await jsonIn(`${dir}/tokenizer_config.json`),
    ...await jsonIn(`${dir}/special_tokens_map.json`),
  };
  // Later versions write { content: "...", lstrip: ... } in place of the text.
  const token = (key: string, fallback: string) => config[key]?.content ?? config[key] ?? fallback;
  // "No limit" is written as 10^30.
  const length = config.model_max_length < 1e6 ? config.model_max_length : 77;
  const files: TokenizerFiles = merges
    ? {
      vocab,
      merges,
      start: token("bos_token", START),
      end: token("eos_token", END),
      pad: token("pad_token", END),
      length,
    }
    : {
      vocab,
      merges,
      start: token("cls_token", "[CLS]"),
      end: token("sep_token", "[SEP]"),
      pad: token("pad_token", "[PAD]"),
      length,
    };
  for (const name of [files.start, files.end, files.pad]) {
    if (!(name in files.vocab)) {
      throw new InputError(`Cannot read ${dir} as a tokenizer: its vocabulary lacks "${name}"`);
    }
  }
  return new Tokenizer(files);
}

/** Vocabulary and merges of a folder, in the files of their own or, as transformers writes since version 5, in one. */
async function readVocabulary(dir: string): Promise<Pick<TokenizerFiles, "vocab" | "merges">> {
  const clip = await textIn(`${dir}/vocab.json`);
  const merges = await textIn(`${dir}/merges.txt`);
  if (clip && merges) {
    return {
      vocab: parseJson(clip, `${dir}/vocab.json`) as Record<string, number>,
      merges: lines(merges).filter((line) => !line.startsWith("#version")),
    };
  }
  const bert = await textIn(`${dir}/vocab.txt`);
  if (bert) return { vocab: Object.fromEntries(lines(bert).map((line, id) => [line, id])), merges: null };
  const { model } = await jsonIn(`${dir}/tokenizer.json`);
  if (model?.type === "WordPiece") return { vocab: model.vocab, merges: null };
  if (model?.type === "BPE" && model.end_of_word_suffix === "</w>") {
    return { vocab: model.vocab, merges: model.merges.map((pair: string | string[]) => [pair].flat().join(" ")) };
  }
  throw new InputError(
    `Cannot read ${dir} as a tokenizer: it has neither vocab.json with merges.txt (CLIP) nor vocab.txt (BERT) nor ` +
      "a tokenizer.json of one of the two",
  );
}

/**
 * Learns a CLIP tokenizer from texts: pairs are merged, the most frequent first, until every word is one token.
 *
 * Words that it never saw fall into pieces; lower-case ASCII letters, digits and signs are always known.
 *
 * @param texts Prompts.
 * @param length Tokens of every prompt, start, end and padding included.
 */
export function trainTokenizer(texts: readonly string[], length: number): Tokenizer {
  const words = new Map<string, number>();
  for (const text of texts) {
    for (const [word] of text.toLowerCase().matchAll(new RegExp(CLIP_WORDS, "gu"))) {
      words.set(word, (words.get(word) ?? 0) + 1);
    }
  }
  const foreign = [...words.keys()].find((word) => /[^!-~]/.test(word));
  if (foreign !== undefined) throw new InputError(`Cannot learn a tokenizer from "${foreign}": it is not plain ASCII`);
  const signs = Array.from({ length: 94 }, (_, k) => String.fromCharCode(33 + k)).filter((c) => !/[A-Z]/.test(c));
  const tokens = [...signs, ...signs.map((c) => `${c}</w>`)];
  const merges: string[] = [];
  const parts = [...words].sort(([a], [b]) => a < b ? -1 : 1).map(([word, count]) => ({
    pieces: [...word].map((c, k) => k === word.length - 1 ? `${c}</w>` : c),
    count,
  }));
  for (;;) {
    const pairs = new Map<string, number>();
    for (const { pieces, count } of parts) {
      for (let k = 1; k < pieces.length; k++) {
        const pair = `${pieces[k - 1]} ${pieces[k]}`;
        pairs.set(pair, (pairs.get(pair) ?? 0) + count);
      }
    }
    if (!pairs.size) break;
    const [best] = [...pairs].reduce((a, b) => b[1] > a[1] ? b : a);
    merges.push(best);
    const [left, right] = best.split(" ") as [string, string];
    tokens.push(left + right);
    for (const part of parts) {
      const merged: string[] = [];
      for (const piece of part.pieces) {
        if (piece === right && merged.at(-1) === left) merged[merged.length - 1] = left + right;
        else merged.push(piece);
      }
      part.pieces = merged;
    }
  }
  const vocab = Object.fromEntries([...tokens, START, END].map((token, id) => [token, id]));
  return new Tokenizer({ vocab, merges, start: START, end: END, pad: END, length });
}

const lines = (text: string) => text.split("\n").map((line) => line.replace(/\r$/, "")).filter((line) => line !== "");

/** The JSON object of a file; an empty one where there is none. */
// deno-lint-ignore no-explicit-any
async function jsonIn(path: string): Promise<Record<string, any>> {
  return exists(path) ? await readJson(path) ?? {} : {};
}

async function textIn(path: string): Promise<string | null> {
  return exists(path) ? await readText(path) : null;
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(path, JSON.stringify(value, null, 2) + "\n");
}
