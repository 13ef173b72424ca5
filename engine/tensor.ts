/**
 * Tensors that live on the device.
 *
 * @module
 */

import { InputError } from "../formats/input_error.ts";
import type { Device } from "./device.ts";
import { elements, type Shape, showShape, texels } from "./graph.ts";
import { itemAt, lookUp } from "./lookup.ts";
import { ROW_TEXELS, TEXEL_FORMATS } from "./wgsl.ts";

/** Element type of a tensor's memory. Arithmetic is f32; f16 is for weights that are only read and, in mixed precision, activations. */
export type Dtype = "f32" | "f16";

/** Columns and rows of the texture that holds so many texels: rows of 1,024, or one that is as long as they are. */
function extent(count: number): [number, number] {
  return [Math.max(1, Math.min(count, ROW_TEXELS)), Math.max(1, Math.ceil(count / ROW_TEXELS))];
}

/** Bytes on a device of the storage class that so many texels take. */
export function storageBytes(count: number, storage: Device["storage"], dtype: Dtype = "f32"): number {
  const [width, height] = extent(count);
  return (storage === "texture" ? width * height : Math.max(1, count)) * TEXEL_BYTES[dtype];
}

/** Bytes of a texel. */
const TEXEL_BYTES = { f32: 16, f16: 8 } as const;

/** Bytes that are read back at a time; a read takes as much again on the device. */
export const READ_BYTES = 2 ** 26;

/** Counts memory that was allocated, or with a negative number freed. */
export function countBytes(device: Device, bytes: number): void {
  device.memory.live += bytes;
  device.memory.peak = Math.max(device.memory.peak, device.memory.live);
}

/** A buffer that counts as memory of its device until it is disposed of. */
export interface CountedBuffer extends Disposable {
  readonly buffer: GPUBuffer;
}

/** Allocates a {@linkcode CountedBuffer}. */
export function countedBuffer(device: Device, descriptor: GPUBufferDescriptor): CountedBuffer {
  const buffer = device.gpu.createBuffer(descriptor);
  countBytes(device, buffer.size);
  return {
    buffer,
    [Symbol.dispose]() {
      countBytes(device, -buffer.size);
      buffer.destroy();
    },
  };
}

/**
 * Frees resources together: `using _parameters = disposing(parameters.values())`.
 *
 * @returns Disposes of all of them, in reverse order.
 */
export function disposing(resources: Iterable<Disposable>): DisposableStack {
  const stack = new DisposableStack();
  for (const resource of resources) stack.use(resource);
  return stack;
}

/** Encodes a copy of a slice of a buffer to a new mappable buffer. */
export function copyBufferOut(
  device: Device,
  encoder: GPUCommandEncoder,
  from: GPUBuffer,
  { offset, size }: { readonly offset: number; readonly size: number },
): GPUBuffer {
  const back = device.gpu.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  countBytes(device, size);
  encoder.copyBufferToBuffer(from, offset, back, 0, size);
  return back;
}

/** Encodes a command that is given again and again: what it takes is made once, and sizes by name, which cost least. */
export type Encode = (encoder: GPUCommandEncoder) => void;

/** A tensor that is larger than the adapter's limits allow. */
export class AllocationError extends InputError {
  /** The class. */
  override readonly name = "AllocationError";

  /**
   * @param sentence What cannot be allocated.
   * @param share The part of the tensor that the adapter allows, below 1.
   */
  constructor(sentence: string, readonly share: number) {
    super(sentence, { hint: "use a smaller batch or size" });
  }
}

/** Memory for texels: a storage texture of rows of 1,024 texels, or a storage buffer. */
export class Storage implements Disposable {
  /** Element type. */
  readonly dtype: Dtype;
  readonly #device: Device;
  readonly #texture: GPUTexture | null = null;
  readonly #buffer: GPUBuffer | null = null;
  /** Size on the device. */
  readonly bytes: number;
  /** Bytes of a texel. */
  readonly #texel: number;
  /** Resource for a bind group. */
  readonly resource: GPUBindingResource;
  #version = 0;
  #freed = false;

  /**
   * @param device Where to allocate.
   * @param capacity Texels that must fit.
   * @param dtype Element type.
   * @throws {AllocationError} If the adapter's limits are too small.
   */
  constructor(device: Device, capacity: number, dtype: Dtype = "f32") {
    this.#device = device;
    this.dtype = dtype;
    this.#texel = TEXEL_BYTES[dtype];
    const { gpu } = device;
    this.bytes = storageBytes(capacity, device.storage, dtype);
    if (device.storage === "texture") {
      const [width, height] = extent(capacity);
      const most = gpu.limits.maxTextureDimension2D;
      if (height > most) {
        throw new AllocationError(
          `Cannot allocate a tensor of ${capacity * 4} elements: a storage texture of this adapter holds ` +
            `${ROW_TEXELS * most * 4}`,
          most / height,
        );
      }
      this.#texture = gpu.createTexture({
        size: [width, height],
        format: TEXEL_FORMATS[dtype],
        usage: GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_SRC | GPUTextureUsage.COPY_DST,
      });
      this.resource = this.#texture.createView();
    } else {
      const most = Math.min(gpu.limits.maxBufferSize, gpu.limits.maxStorageBufferBindingSize);
      if (this.bytes > most) {
        throw new AllocationError(
          `Cannot allocate a tensor of ${this.bytes} bytes: the adapter allows ${most} in a binding`,
          most / this.bytes,
        );
      }
      this.#buffer = gpu.createBuffer({
        size: this.bytes,
        usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
      });
      this.resource = { buffer: this.#buffer };
    }
    countBytes(device, this.bytes);
  }

  /** Number of writes by uploads, copies and in place: values computed from it are valid while this is the same. */
  get version(): number {
    return this.#version;
  }

  /** Counts a write in place, by a dispatch. */
  changed(): void {
    this.#version++;
  }

  /** Uploads texels from the start on; f16 rounds them. */
  write(floats: Float32Array<ArrayBuffer>): void {
    this.#version++;
    const { queue } = this.#device.gpu;
    const data = this.dtype === "f16" ? new Float16Array(floats) : floats;
    if (this.#buffer) return queue.writeBuffer(this.#buffer, 0, data);
    const count = data.length / 4;
    const rows = Math.floor(count / ROW_TEXELS);
    const rest = count % ROW_TEXELS;
    const texture = this.#texture!;
    if (rows) queue.writeTexture({ texture }, data, { bytesPerRow: ROW_TEXELS * this.#texel }, [ROW_TEXELS, rows]);
    if (rest) {
      queue.writeTexture(
        { texture, origin: [0, rows] },
        data.subarray(rows * ROW_TEXELS * 4),
        { bytesPerRow: rest * this.#texel },
        [rest, 1],
      );
    }
  }

  /** A copy of the first `count` texels to another storage of the same element type. */
  copyTo(to: Storage, count: number): Encode {
    if (this.#buffer) {
      const [from, into, size] = [this.#buffer, to.#buffer!, count * this.#texel];
      return (encoder) => {
        to.#version++;
        encoder.copyBufferToBuffer(from, 0, into, 0, size);
      };
    }
    const [width, height] = extent(count);
    const [from, into, size] = [{ texture: this.#texture! }, { texture: to.#texture! }, { width, height }];
    return (encoder) => {
      to.#version++;
      encoder.copyTextureToTexture(from, into, size);
    };
  }

  /** A copy of `count` texels of a buffer, in whole rows, to the texture's start. */
  copyFrom(buffer: GPUBuffer, offset: number, count: number): Encode {
    const from = { buffer, offset, bytesPerRow: ROW_TEXELS * this.#texel };
    const [width, height] = extent(count);
    const [into, size] = [{ texture: this.#texture! }, { width, height }];
    return (encoder) => {
      this.#version++;
      encoder.copyBufferToTexture(from, into, size);
    };
  }

  /** Encodes a copy of the first `count` texels to a new mappable buffer. */
  copyOut(encoder: GPUCommandEncoder, count: number): GPUBuffer {
    const [width, height] = extent(count);
    const size = (this.#buffer ? count : width * height) * this.#texel;
    const back = this.#device.gpu.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    countBytes(this.#device, size);
    if (this.#buffer) encoder.copyBufferToBuffer(this.#buffer, 0, back, 0, size);
    else {
      const rows = height > 1 ? { bytesPerRow: ROW_TEXELS * this.#texel } : {};
      encoder.copyTextureToBuffer({ texture: this.#texture! }, { buffer: back, ...rows }, [width, height]);
    }
    return back;
  }

  /** Frees the memory; does nothing the second time. */
  destroy(): void {
    if (this.#freed) return;
    this.#freed = true;
    this.#texture?.destroy();
    this.#buffer?.destroy();
    countBytes(this.#device, -this.bytes);
  }

  /** As {@linkcode Storage.destroy}: for `using`. */
  [Symbol.dispose](): void {
    this.destroy();
  }
}

/** A tensor with storage of its own: parameters, optimizer state, inputs. */
export class Tensor implements Disposable {
  /** Extent of each dimension, channels last. */
  readonly shape: Shape;
  /**
   * Storage of the texels.
   *
   * @internal
   */
  readonly storage: Storage;
  /** The device it lives on. */
  readonly device: Device;

  /** Allocates a tensor and fills it with `data`, dense and row-major, or with zeros. */
  constructor(device: Device, shape: Shape, data?: ArrayLike<number>, dtype: Dtype = "f32") {
    this.device = device;
    this.shape = shape;
    this.storage = new Storage(device, texels(shape), dtype);
    if (!data) return; // WebGPU gives new memory as zeros
    try {
      this.write(data);
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  /** Replaces the contents. */
  write(data: ArrayLike<number>): void {
    this.storage.write(pack(this.shape, data));
  }

  /** Reads the contents back, dense and row-major. */
  async read(): Promise<Float32Array> {
    return lookUp(await readAll([this]), this, "tensors read");
  }

  /** Frees the memory; does nothing the second time. */
  destroy(): void {
    this.storage.destroy();
  }

  /** As {@linkcode Tensor.destroy}: for `using`. */
  [Symbol.dispose](): void {
    this.destroy();
  }
}

/** Reads many tensors of one device with few waits, each of which costs about 12 ms on Deno however few bytes it reads. */
export async function readAll(tensors: readonly Tensor[]): Promise<Map<Tensor, Float32Array>> {
  const read = new Map<Tensor, Float32Array>();
  for (let rest = tensors; rest.length > 0;) {
    let bytes = 0;
    const full = rest.findIndex(({ storage }) => (bytes += storage.bytes) > READ_BYTES);
    const group = rest.slice(0, full < 0 ? rest.length : Math.max(1, full));
    rest = rest.slice(group.length);
    await readGroup(group, read);
  }
  return read;
}

async function readGroup(tensors: readonly Tensor[], read: Map<Tensor, Float32Array>): Promise<void> {
  const { device: { gpu }, device } = itemAt(tensors, 0, "tensors");
  const encoder = gpu.createCommandEncoder();
  const backs = tensors.map(({ storage, shape }) => storage.copyOut(encoder, texels(shape)));
  gpu.queue.submit([encoder.finish()]);
  const reads = tensors.map(async ({ storage, shape }, k) =>
    unpack(shape, await mapped(device, itemAt(backs, k, "copies"), storage.dtype))
  );
  for (const [k, data] of (await Promise.all(reads)).entries()) read.set(itemAt(tensors, k, "tensors"), data);
}

/** Waits for a mappable buffer, copies its floats and destroys it. */
export async function mapped(device: Device, buffer: GPUBuffer, dtype: Dtype = "f32"): Promise<Float32Array> {
  try {
    await buffer.mapAsync(GPUMapMode.READ);
  } catch (error) {
    device.check();
    throw error;
  }
  device.check();
  const bytes = buffer.getMappedRange().slice(0);
  const data = dtype === "f16" ? Float32Array.from(new Float16Array(bytes)) : new Float32Array(bytes);
  countBytes(device, -buffer.size);
  buffer.destroy();
  return data;
}

/**
 * Dense row-major elements to texels: the innermost dimension is padded to a multiple of four with zeros.
 *
 * Data that is in texels already is returned as it is, so that other threads can do this for large inputs.
 */
export function pack(shape: Shape, data: ArrayLike<number>): Float32Array<ArrayBuffer> {
  if (data instanceof Float32Array && data.length === texels(shape) * 4) return data as Float32Array<ArrayBuffer>;
  if (data.length !== elements(shape)) {
    throw new TypeError(`Cannot write ${data.length} elements to a tensor of shape ${showShape(shape)}`);
  }
  const last = shape.at(-1) ?? 1;
  if (last % 4 === 0) return Float32Array.from(data);
  const out = new Float32Array(texels(shape) * 4);
  packInto(out, last, data);
  return out;
}

/**
 * Writes dense row-major elements as texels.
 *
 * @param out Receives them; the elements that pad the innermost dimension are left as they are.
 * @param last Length of the innermost dimension.
 */
export function packInto(out: Float32Array, last: number, data: ArrayLike<number>): void {
  const padded = Math.ceil(last / 4) * 4;
  for (let from = 0, to = 0; from < data.length; from += last, to += padded) {
    for (let c = 0; c < last; c++) out[to + c] = data[from + c]!;
  }
}

/** Texels to dense row-major elements. */
export function unpack(shape: Shape, data: Float32Array): Float32Array {
  const last = shape.at(-1) ?? 1;
  const count = elements(shape);
  if (last % 4 === 0) return data.length === count ? data : data.slice(0, count);
  const padded = Math.ceil(last / 4) * 4;
  const out = new Float32Array(count);
  for (let from = 0, to = 0; to < count; from += padded, to += last) {
    for (let c = 0; c < last; c++) out[to + c] = data[from + c]!;
  }
  return out;
}
