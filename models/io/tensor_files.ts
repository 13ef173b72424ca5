/**
 * Opens files of tensors in any known format: safetensors, one or in shards, or those of PyTorch.
 *
 *     *.safetensors                  by name; also a file with another ending that is neither of the two below
 *     *.index.json                   names of tensors by the file next to it that holds them
 *     *.ckpt, *.pth, *.bin, *.pkl    by content, which is a zip archive
 *
 * @module
 */

import { InputError } from "../../formats/input_error.ts";
import { exists, firstBytes, isMissing, readText } from "../../formats/files.ts";
import { FOREIGN_BYTES, foreignKind } from "../../formats/foreign.ts";
import { counted } from "../../formats/numbers.ts";
import { readSafetensors, type SafetensorsInfo, type TensorData } from "../../formats/safetensors.ts";
import { readTorchArchive } from "../../formats/torch_archive.ts";
import type { TensorFile } from "./parameter_files.ts";
import { type Section, unwrapped } from "./sections.ts";

/** An open file of tensors; close it, or declare it with `using`. */
export interface OpenTensors extends TensorFile, Disposable {
  /** Element type and shape of a tensor. */
  info(name: string): SafetensorsInfo;
}

/** Names of a network's weights in a folder of diffusers or transformers, the first that is there counts. */
const NETWORK_FILES = [
  ...["diffusion_pytorch_model", "model"].map((name) => `${name}.safetensors`),
  ...["diffusion_pytorch_model", "model"].map((name) => `${name}.safetensors.index.json`),
  ...["diffusion_pytorch_model", "model"].map((name) => `${name}.fp16.safetensors`),
  ...["diffusion_pytorch_model", "model"].map((name) => `${name}.safetensors.index.fp16.json`),
  ...["diffusion_pytorch_model", "pytorch_model"].map((name) => `${name}.bin`),
  ...["diffusion_pytorch_model", "pytorch_model"].map((name) => `${name}.bin.index.json`),
  ...["diffusion_pytorch_model", "pytorch_model"].map((name) => `${name}.fp16.bin`),
];

/** A format of checkpoints: one row of {@linkcode CHECKPOINT_FORMATS}. */
export interface CheckpointFormat {
  /** Name in a few words. */
  readonly doc: string;
  /**
   * True if a file is in it.
   *
   * @param path The file.
   * @param start Its first bytes, a character each.
   */
  is(path: string, start: string): boolean;
  /** Opens a file, or refuses it with a hint. */
  open(path: string): Promise<OpenTensors>;
}

/** The formats that are known, in the order in which they are looked for; the last is of any other file. */
export const CHECKPOINT_FORMATS: Readonly<Record<string, CheckpointFormat>> = {
  shards: {
    doc: "an index of safetensors or PyTorch files beside it, *.index.json",
    is: (path) => path.endsWith(".json"),
    open: openShards,
  },
  torch: {
    doc: "PyTorch's archive, *.ckpt, *.pth, *.bin, *.pkl",
    is: (_, start) => start.startsWith("PK\x03\x04"),
    open: readTorchArchive,
  },
  old_torch: {
    doc: "a file of PyTorch before 1.6, which is refused",
    is: (_, start) => start.startsWith("\x80\x02\x8a\x0a"),
    open(path) {
      throw new InputError(`Cannot read ${path} as PyTorch before 1.6 wrote it`, {
        hint: "load it in a newer one and save it with torch.save",
      });
    },
  },
  pickle: {
    doc: "a bare pickle, which is refused",
    // The length of a safetensors header may equal one, but the header follows it.
    is: (_, start) => start.startsWith("\x80") && start[8] !== "{",
    open(path) {
      throw new InputError(`Cannot read ${path}: it is a bare pickle`, { hint: "save the tensors with torch.save" });
    },
  },
  safetensors: { doc: "safetensors", is: () => true, open: (path) => readSafetensors(path) },
};

/**
 * Opens a file of tensors; reads none yet.
 *
 * @throws {InputError} If it is in no format that is known, or damaged.
 */
export async function openTensors(path: string): Promise<OpenTensors> {
  const bytes = await firstBytes(path, FOREIGN_BYTES);
  const foreign = path.endsWith(".json") ? undefined : foreignKind(bytes);
  if (foreign) {
    throw new InputError(`Cannot read ${path} as tensors: it is ${foreign.what}`, {
      code: "format",
      hint: foreign.hint,
    });
  }
  const start = String.fromCharCode(...bytes.subarray(0, 9));
  for (const format of Object.values(CHECKPOINT_FORMATS)) {
    if (!format.is(path, start)) continue;
    const file = await format.open(path);
    if (file.names.length) return file;
    file[Symbol.dispose]();
    throw new InputError(`Cannot read ${path}: it has no tensors`, {
      code: "format",
      hint: "it may be the metadata of another file",
    });
  }
  throw new InputError(`Cannot read ${path}: it is in no format of tensors that is known`);
}

/**
 * Opens the weights of a network's folder, under any of the names that diffusers and transformers give them.
 *
 * @throws {InputError} If there are none.
 */
export async function openNetworkTensors(dir: string): Promise<Section> {
  for (const file of NETWORK_FILES) {
    const path = `${dir}/${file}`;
    if (exists(path)) return unwrapped(await openTensors(path));
  }
  throw new InputError(`Cannot read the weights in ${dir}: it has none of ${NETWORK_FILES.join(", ")}`);
}

/** Several files as one. */
class Shards implements OpenTensors {
  readonly names: readonly string[];

  constructor(
    readonly path: string,
    readonly fileOf: ReadonlyMap<string, OpenTensors>,
    readonly files: readonly OpenTensors[],
  ) {
    this.names = [...fileOf.keys()];
  }

  info(name: string): SafetensorsInfo {
    return this.#file(name).info(name);
  }

  read(name: string): Promise<TensorData> {
    return this.#file(name).read(name);
  }

  [Symbol.dispose](): void {
    for (const file of this.files) file[Symbol.dispose]();
  }

  #file(name: string): OpenTensors {
    const file = this.fileOf.get(name);
    if (file) return file;
    throw new InputError(`Cannot read tensor "${name}" of ${this.path}: it has ${counted(this.fileOf.size, "other")}`);
  }
}

async function openShards(path: string): Promise<OpenTensors> {
  const fail = (problem: string): never => {
    throw new InputError(`Cannot read ${path} as an index of shards: ${problem}`);
  };
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  const opened = new Map<string, OpenTensors>();
  try {
    let map: Record<string, unknown>;
    try {
      map = JSON.parse(await readText(path)).weight_map;
    } catch (error) {
      if (error instanceof SyntaxError) fail(`it is not JSON: ${error.message}`);
      throw error;
    }
    if (typeof map !== "object" || map === null) return fail("it has no weight_map");
    const fileOf = new Map<string, OpenTensors>();
    for (const [name, shard] of Object.entries(map)) {
      // A path could lead anywhere on the disk.
      if (typeof shard !== "string" || !/^[^/\\]+\.(safetensors|bin)$/.test(shard)) {
        return fail(`"${name}" is in ${JSON.stringify(shard)}, which is no .safetensors or .bin file beside it`);
      }
      const file = opened.get(shard) ?? await openTensors(folder + shard).catch((error) => {
        if (!isMissing(error)) throw error;
        throw new InputError(`Cannot read ${path}: its file ${shard} is missing`, {
          code: "missing",
          hint: "download all its files",
        });
      });
      opened.set(shard, file);
      if (!file.names.includes(name)) fail(`"${name}" is not in ${shard}`);
      fileOf.set(name, file);
    }
    for (const [shard, file] of opened) {
      const extra = file.names.find((name) => fileOf.get(name) !== file);
      if (extra !== undefined) fail(`"${extra}" of ${shard} is not in the index, or in another file there`);
    }
    return new Shards(path, fileOf, [...opened.values()]);
  } catch (error) {
    for (const file of opened.values()) file[Symbol.dispose]();
    throw error;
  }
}
