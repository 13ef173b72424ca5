/**
 * One network of a conversion, and the folder that it is written to.
 *
 * @module
 */

import { type TensorSource, writeSafetensors } from "../../formats/safetensors.ts";
import { FILE_METADATA, saveConfig, weightsName } from "./network_folder.ts";
import { declared, type NetworkKind } from "./network_kinds.ts";
import { fileName, fileShape, findParameters, type LoadOptions } from "./parameter_files.ts";
import { countParameters } from "./params.ts";
import type { OpenTensors } from "./tensor_files.ts";

/** Options of a conversion. */
export interface ConvertOptions {
  /** Element type of the weights written; by default `"F32"`. */
  readonly dtype?: "F32" | "F16";
  /** The original's YAML file, or a network's `config.json`; the rest follows from the tensors. */
  readonly config?: string;
  /** Folder of a tokenizer to add to a complete model. */
  readonly tokenizer?: string;
  /** Takes the moving average of a training, where the checkpoint has one. */
  readonly ema?: boolean;
}

/** Result of a conversion. */
export interface Converted {
  readonly parts: readonly ConvertedPart[];
  /** Other contents of the checkpoint: folders, first words of tensors' names, or objects with their classes. */
  readonly left_out: readonly string[];
  /** Keys of the checkpoint that the weights lie below, such as `state_dict.`; empty for none. */
  readonly below: string;
}

/** A network that was written. */
export interface ConvertedPart {
  /** Folder below the output's; empty for a network alone. */
  readonly folder: string;
  /** Class of the network. */
  readonly network: string;
  readonly tensors: number;
  readonly parameters: number;
  /** A fact that users must know, such as the size of a detector's images. */
  readonly note?: string | undefined;
}

/** A network to write: its configuration, and where its tensors are. */
export interface Part {
  readonly kind: NetworkKind<object>;
  readonly config: object;
  readonly file: OpenTensors;
  readonly load: LoadOptions;
  /** True if the weights are LitEma's moving average. */
  readonly isAveraged?: boolean | undefined;
  /** A fact that users must know. */
  readonly note?: string | undefined;
}

/** Writes one network's folder. */
export async function writePart(
  part: Part,
  to: string,
  folder: string,
  { dtype = "F32" }: ConvertOptions,
): Promise<ConvertedPart> {
  const { kind, config, file, load } = part;
  const specs = declared(kind, config);
  const found = findParameters(file, specs, load);
  const sources = new Map<string, TensorSource>(
    [...found.values()].map(({ spec, read }) => [fileName(spec.name), { shape: fileShape(spec), read }]),
  );
  const dir = folder ? `${to}/${folder}` : to;
  await saveConfig(dir, kind.format, config);
  await writeSafetensors(`${dir}/${weightsName(kind.format)}`, sources, { dtype, metadata: FILE_METADATA });
  const { note } = part;
  return { folder, network: networkName(part), tensors: specs.size, parameters: countParameters(specs), note };
}

/** Class of a network. */
export function networkName({ kind, config }: Part): string {
  const { other } = kind.format;
  return other?.is(config) ? other.format.name : kind.format.name;
}
