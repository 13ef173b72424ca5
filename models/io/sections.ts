/**
 * The part of a file of tensors that is the weights of networks: below the keys that a trainer puts them, and without the
 * words that PyTorch's wrappers put into their names.
 *
 *     state_dict.model.diffusion_model.…      below "state_dict."
 *     net.module.hgs.0.…                      below "net.", and `module` of DataParallel is left out
 *     _orig_mod.encoder.…                     `_orig_mod` of torch.compile is left out
 *
 * @module
 */

import { InputError } from "../../formats/input_error.ts";
import type { NamedShapes } from "./named_shapes.ts";
import type { OpenTensors } from "./tensor_files.ts";

/** Tensors of a file under the names that networks have. */
export type Section = OpenTensors & NamedShapes;

/** A section of a file, and the keys that it lies below. */
export interface Place {
  /** Keys, each with a dot behind it; empty for the whole file. */
  readonly prefix: string;
  readonly section: Section;
}

/** Words in names that stand for wrappers around a network; no network here has them. */
const WRAPPERS = /(^|\.)(?:(?:module|_orig_mod)(?:\.|$))+/g;

/** A key of a moving average of the weights. */
const AVERAGE = /(^|[._])(ema|averaged?|shadow)([._]|$)/i;

/** The same tensors, without wrappers' words in their names. */
export function unwrapped(file: OpenTensors): Section {
  const names = new Map(file.names.map((name) => [name.replace(WRAPPERS, "$1"), name]));
  // Two names that would become one stay as they are.
  if (names.size < file.names.length) return renamed(file, new Map(file.names.map((name) => [name, name])));
  return renamed(file, names);
}

/** The tensors whose names start with a prefix, without it. */
export function below(file: OpenTensors, prefix: string): Section {
  const names = file.names.filter((name) => name.startsWith(prefix));
  return renamed(file, new Map(names.map((name) => [name.slice(prefix.length), name])));
}

/** Tensors under other names: from theirs to those of the file. */
function renamed(file: OpenTensors, names: ReadonlyMap<string, string>): Section {
  const nameOf = (name: string) => names.get(name) ?? name;
  return {
    path: file.path,
    names: [...names.keys()],
    ...file.objects && { objects: file.objects },
    has: (name) => names.has(name),
    info: (name) => file.info(nameOf(name)),
    read: (name) => file.read(nameOf(name)),
    [Symbol.dispose]: () => file[Symbol.dispose](),
  };
}

/** A tensor that a network has, and the prefixes that its names may have besides the keys of a trainer. */
export interface Mark {
  readonly mark: string;
  readonly prefixes: readonly string[];
}

/**
 * Finds the keys that the networks of a file lie below.
 *
 * @param ema True for those of the moving average; with false it is taken only where there is nothing else.
 * @returns The whole file where no mark is found.
 * @throws {InputError} If there are several such places, or no moving average where one is asked for.
 */
export function findPlace(file: Section, marks: readonly Mark[], ema: boolean): Place {
  const all = new Set(marks.flatMap(({ mark, prefixes }) => {
    const longestFirst = prefixes.toSorted((a, b) => b.length - a.length);
    const found = file.names.filter((name) => name === mark || name.endsWith(`.${mark}`));
    return found.map((name) => {
      const keys = name.slice(0, name.length - mark.length);
      const own = longestFirst.find((prefix) => prefix === "" || keys === prefix || keys.endsWith(`.${prefix}`)) ?? "";
      return keys.slice(0, keys.length - own.length);
    });
  }));
  const average = [...all].filter((prefix) => AVERAGE.test(prefix));
  const plain = [...all].filter((prefix) => !AVERAGE.test(prefix));
  const possible = ema && average.length || !plain.length ? average : plain;
  const prefix = possible.includes("") ? "" : possible[0] ?? "";
  if (prefix !== "" && possible.length > 1) {
    throw new InputError(
      `Cannot tell which weights of ${file.path} to take: networks lie below ${
        possible.map((key) => `"${key}"`).join(" and ")
      }`,
      { hint: "save the one that you want in a file of its own" },
    );
  }
  return { prefix, section: prefix === "" ? file : below(file, prefix) };
}

/** True if tensors lie below the key of a moving average. */
export function isAverage({ prefix }: Place): boolean {
  return AVERAGE.test(prefix);
}

/** Prefix of LitEma's moving average, whose names are those of the model without dots. */
const FLAT = "model_ema.";

/** A name as LitEma has it, relative to the model that it averages. */
export function flatName(name: string): string {
  return FLAT + name.replace(/^model\./, "").replaceAll(".", "");
}

/** True if a file has a moving average of LitEma's. */
export function hasFlat({ names }: Section): boolean {
  return names.some((name) => name.startsWith(FLAT));
}

/** The moving average of LitEma's under names with dots, as far as they are asked for. */
export function flat(file: Section, prefix: string): Section {
  return {
    ...file,
    names: file.names.filter((name) => name.startsWith(FLAT)),
    has: (name) => file.has(flatName(prefix + name)),
    info: (name) => file.info(flatName(prefix + name)),
    read: (name) => file.read(flatName(prefix + name)),
  };
}
