/**
 * The file of a detector's folder that says which of its landmarks err together.
 *
 * @module
 */
import { exists } from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";
import { readSafetensors, writeSafetensors } from "../../formats/safetensors.ts";
import type { LandmarkSchema } from "../../faces/schema.ts";

const FILE = "errors.safetensors", TENSOR = "covariance";

/**
 * Writes the covariance of a detector's errors beside its weights.
 *
 * @param covariance `[2P, 2P]`, see `errorCovariance`.
 */
export async function writeErrors(dir: string, covariance: Float32Array): Promise<void> {
  const size = Math.sqrt(covariance.length);
  const tensors = new Map([[TENSOR, { shape: [size, size], data: covariance }]]);
  await writeSafetensors(`${dir}/${FILE}`, tensors, { dtype: "F16" });
}

/**
 * Reads the covariance of a detector's errors.
 *
 * @param schema Schema of the detector's landmarks.
 * @returns `[2P, 2P]`; undefined if the detector has none.
 * @throws {InputError} If it is not of as many landmarks.
 */
export async function readErrors(dir: string, { count, name }: LandmarkSchema): Promise<Float32Array | undefined> {
  const path = `${dir}/${FILE}`;
  if (!exists(path)) return undefined;
  using file = await readSafetensors(path);
  const { shape, data } = await file.read(TENSOR);
  if (shape.length !== 2 || shape.some((side) => side !== 2 * count)) {
    throw new InputError(`Cannot read ${path}: ${TENSOR} is [${shape}], not [${2 * count}, ${2 * count}] of ${name}`);
  }
  return data;
}
