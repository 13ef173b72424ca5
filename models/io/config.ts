/**
 * Reads `config.json` files of diffusers and transformers, which have dozens of options; a network here supports some of them.
 *
 * @module
 */

import type { z } from "zod";
import { InputError } from "../../formats/input_error.ts";

/** A network's `config.json`: its known options, and those that need one value. */
export interface ConfigFormat<T> {
  /** `_class_name` (diffusers) or `model_type` (transformers) of the file. */
  readonly name: string;
  /** Options that are known, with the peers' defaults. */
  readonly schema: z.ZodType<T>;
  /** Options that must have this value where they are given. */
  readonly fixed: Readonly<Record<string, unknown>>;
  /** Options that do not matter here, such as dropout. */
  readonly ignored?: RegExp;
  /** A second class of network that may be in its place, by the file's `_class_name`, and whether a configuration is of it. */
  readonly other?: { readonly format: ConfigFormat<T>; is(config: T): boolean };
}

/**
 * Checks a parsed `config.json`. Options that are not known may only be null or false.
 *
 * @param where The file, for messages.
 * @throws {InputError} If an option is missing, wrong or of a kind of network that is not built here; all are named.
 */
export function readConfig<T>(format: ConfigFormat<T>, json: unknown, where: string): T {
  const wrong: string[] = [];
  const given = (json ?? {}) as Record<string, unknown>;
  const other = format.other?.format;
  if (other && given["_class_name"] === other.name) return readConfig(other, json, where);
  const known = new Set(Object.keys((format.schema as unknown as z.ZodObject).shape));
  const options: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(given)) {
    if (known.has(key)) options[key] = value;
    else if (key in format.fixed) {
      if (!equal(value, format.fixed[key])) {
        wrong.push(`\n  "${key}" is ${JSON.stringify(value)}: only ${JSON.stringify(format.fixed[key])} is built here`);
      }
    } else if (!key.startsWith("_") && !format.ignored?.test(key) && value !== null && value !== false) {
      wrong.push(`\n  "${key}" is ${JSON.stringify(value)}: this option is not known here`);
    }
  }
  const result = format.schema.safeParse(options);
  if (!result.success) {
    for (const { path, message } of result.error.issues) wrong.push(`\n  "${path.join(".")}": ${message}`);
  }
  if (wrong.length || !result.success) {
    throw new InputError(`Cannot read ${where} as the configuration of ${format.name}:${wrong.join("")}`);
  }
  return result.data;
}

/** Content of `config.json`, which {@linkcode readConfig} and the peers read. */
export function writeConfig<T extends object>(format: ConfigFormat<T>, config: T): Record<string, unknown> {
  if (format.other?.is(config)) return writeConfig(format.other.format, config);
  const tag = /[A-Z]/.test(format.name)
    ? { _class_name: format.name, _diffusers_version: "0.20.2" }
    : { model_type: format.name };
  return { ...tag, ...format.fixed, ...config };
}

function equal(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b) || (a === null && b === undefined);
}
