/**
 * Converts any readable checkpoint to a folder in the layout of diffusers.
 *
 *     complete checkpoint of CompVis    OUT/unet, vae, text_encoder or bert, scheduler, controlnet, model_index.json
 *     one network of it, or STAR's      OUT/config.json and its weights
 *     folder of diffusers               the same parts, weights as one safetensors file each
 *
 * Tensors are read, checked and written one at a time. A folder is written under a temporary name and renamed when whole.
 *
 * Easy to get wrong:
 * - complete checkpoints carry a moving average of the UNet under `model_ema.`, its names without dots, and some nothing else;
 * - no checkpoint carries a tokenizer: it is taken from a folder that has one.
 *
 * @module
 */

import { exists, isFolder, namesIn, writeFolderAtomic } from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";
import { convertFile } from "./convert_file.ts";
import { convertFolder } from "./convert_folder.ts";
import type { Converted, ConvertOptions } from "./convert_part.ts";

export type { Converted, ConvertedPart, ConvertOptions } from "./convert_part.ts";

/**
 * Converts a checkpoint.
 *
 * @param from A file of tensors under original names, a folder of diffusers, or the file of one of its networks.
 * @param to The folder to write; it must not be there yet, or be empty.
 * @throws {InputError} If the checkpoint cannot be read, or is of networks that are not built here; nothing is written then.
 * @throws {InputError} If a weight does not fit the element type.
 *
 * @example
 * ```ts ignore
 * import { convertCheckpoint } from "./convert.ts";
 *
 * await convertCheckpoint("v1-5-pruned.ckpt", "sd15", { dtype: "F16", tokenizer: "clip/tokenizer" });
 * ```
 */
export async function convertCheckpoint(
  from: string,
  to: string,
  options: ConvertOptions = {},
): Promise<Converted> {
  if (exists(to)) {
    if (!await isFolder(to)) throw new InputError(`Cannot write to ${to} as it is a file`);
    const [name] = await namesIn(to);
    if (name !== undefined) {
      throw new InputError(`Cannot write to ${to} as it is not empty: it has "${name}"`, { hint: "name a new folder" });
    }
  }
  const convert = await isFolder(from)
    ? (dir: string) => convertFolder(from.replace(/\/+$/, ""), dir, options)
    : (dir: string) => convertFile(from, dir, options);
  return await writeFolderAtomic(to.replace(/\/+$/, ""), convert);
}
