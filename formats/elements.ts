/**
 * Element types of tensor files, and the conversion of their elements to f32.
 *
 * @module
 */

import { readAt, readInto } from "./files.ts";

/** An element type, by its name in safetensors files. */
export type SafetensorsDtype =
  | ("BOOL" | "U8" | "I8" | "U16" | "I16" | "U32" | "I32" | "U64" | "I64")
  | ("F16" | "BF16" | "F32" | "F64");

/** Bytes of an element. */
export const ELEMENT_BYTES: Readonly<Record<SafetensorsDtype, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  U16: 2,
  I16: 2,
  U32: 4,
  I32: 4,
  U64: 8,
  I64: 8,
  F16: 2,
  BF16: 2,
  F32: 4,
  F64: 8,
};

/** Number of elements of a shape; past 2^53 it is not exact, but then no file is as large either. */
export function countElements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * Reads elements as f32, as {@linkcode toFloat32} does, without holding those of half the size twice.
 *
 * @param seen Called with all bytes, part after part.
 * @throws {InputError} If the file ends before.
 */
export function readFloat32(
  file: Deno.FsFile,
  path: string,
  dtype: SafetensorsDtype,
  [begin, end]: readonly [begin: number, end: number],
  seen?: (bytes: Uint8Array<ArrayBuffer>) => void,
): Float32Array {
  const size = ELEMENT_BYTES[dtype];
  const step = size << 18;
  if ((dtype !== "F16" && dtype !== "BF16") || end - begin <= step) {
    const bytes = readAt(file, path, begin, end - begin);
    seen?.(bytes);
    return toFloat32(dtype, bytes.buffer);
  }
  const data = new Float32Array((end - begin) / size);
  const part = new Uint8Array(step);
  for (let at = begin; at < end; at += step) {
    const bytes = part.subarray(0, Math.min(step, end - at));
    readInto(file, path, at, bytes);
    seen?.(bytes);
    const [from, count] = [(at - begin) / size, bytes.length / size];
    if (dtype === "BF16") widen(new Uint16Array(part.buffer, 0, count), data.subarray(from));
    else data.set(new Float16Array(part.buffer, 0, count), from);
  }
  return data;
}

/** The nearest f32 of each element; 0 or 1 for BOOL. An F32 buffer is used as it is. */
export function toFloat32(dtype: SafetensorsDtype, buffer: ArrayBuffer): Float32Array {
  switch (dtype) {
    case "F32":
      return new Float32Array(buffer);
    case "F16":
      return new Float32Array(new Float16Array(buffer));
    case "BF16":
      return widen(new Uint16Array(buffer), new Float32Array(buffer.byteLength / 2));
    case "F64":
      return new Float32Array(new Float64Array(buffer));
    case "I64":
      return Float32Array.from(new BigInt64Array(buffer), Number);
    case "U64":
      return Float32Array.from(new BigUint64Array(buffer), Number);
    case "I32":
      return new Float32Array(new Int32Array(buffer));
    case "U32":
      return new Float32Array(new Uint32Array(buffer));
    case "I16":
      return new Float32Array(new Int16Array(buffer));
    case "U16":
      return new Float32Array(new Uint16Array(buffer));
    case "I8":
      return new Float32Array(new Int8Array(buffer));
    case "U8":
      return new Float32Array(new Uint8Array(buffer));
    case "BOOL":
      return Float32Array.from(new Uint8Array(buffer), (byte) => byte === 0 ? 0 : 1);
  }
}

/** BF16 is the upper half of an f32. */
function widen(halves: Uint16Array, to: Float32Array): Float32Array {
  const bits = new Uint32Array(to.buffer, to.byteOffset, halves.length);
  halves.forEach((half, k) => {
    bits[k] = half << 16;
  });
  return to;
}
