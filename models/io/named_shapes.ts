/**
 * Names and shapes of the tensors of one network under its original names, from which its configuration follows.
 *
 * @module
 */

import { InputError } from "../../formats/input_error.ts";
import type { SafetensorsInfo, TensorData } from "../../formats/safetensors.ts";
import type { OriginalConfig } from "./infer_config.ts";
import type { Renaming } from "./original_names.ts";

/** Tensors of one network under its original names. */
export interface NamedShapes {
  /** Path of the file, for messages. */
  readonly path: string;
  /** Names of all tensors. */
  readonly names: readonly string[];
  /** True if there is a tensor of a name. */
  has(name: string): boolean;
  /** Shape of a tensor. */
  info(name: string): Pick<SafetensorsInfo, "shape">;
  /** Reads a tensor as f32. */
  read(name: string): Promise<TensorData>;
}

/** Numbers in a checkpoint beside its weights. */
export interface Facts {
  /** Factor of the latents for the UNet. */
  readonly scale?: number | undefined;
  /** Side of a detector's images, pixels. */
  readonly size_px?: number | undefined;
}

/** Recognition and reading of a kind of network under its original names. */
export interface OriginalNetwork<T> {
  /** Possible places in a checkpoint. */
  readonly prefixes: readonly string[];
  /** A tensor that no other kind has. */
  readonly mark: string;
  /** Names below the prefix that have no use here. */
  readonly unused?: RegExp;
  /** The configuration, from the shapes and from the original configuration, if given. */
  infer(file: NamedShapes, original: OriginalConfig | undefined, facts: Facts): T;
  /** A fact of the configuration that users must know, such as one that no tensor shows. */
  note?(config: T, facts: Facts): string;
  /** From the names here to the original ones. */
  names(config: T): Renaming;
}

/**
 * Refuses to infer a configuration.
 *
 * @throws {InputError} Always.
 */
export function failToInfer(file: NamedShapes, what: string, problem: string): never {
  throw new InputError(`Cannot tell the configuration of the ${what} in ${file.path} from its tensors: ${problem}`);
}

/** Size of one dimension of a tensor. */
export function sizeIn(file: NamedShapes, what: string, name: string, dimension: number): number {
  if (!file.has(name)) failToInfer(file, what, `"${name}" is missing`);
  const size = file.info(name).shape[dimension];
  return size ?? failToInfer(file, what, `"${name}" is of [${file.info(name).shape.join(", ")}]`);
}

/** Number of names `name(0)`, `name(1)`, ... that are there in a row. */
export function countIn(file: NamedShapes, name: (k: number) => string): number {
  let k = 0;
  while (file.has(name(k))) k++;
  return k;
}
