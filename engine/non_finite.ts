/**
 * The search for the first value that is not finite: results of dispatches are copied out as they are made, and read
 * together, because each wait costs about 12 ms for any number of bytes.
 *
 * @module
 */

import type { Device } from "./device.ts";
import type { Shape } from "./graph.ts";
import { type Dtype, mapped, READ_BYTES, unpack } from "./tensor.ts";

/** A result that is not finite. */
export interface NonFiniteResult {
  /** The op that made it, with those that are fused with it as `add+log`; kind and name of a leaf that held it before any op ran. */
  readonly op: string;
  /** Source of its kernel; null for a leaf. */
  readonly label: string | null;
  /** Shape of the result. */
  readonly shape: Shape;
  /** The first number that is not finite. */
  readonly value: number;
}

/** A result that is being read. */
interface Reading extends Omit<NonFiniteResult, "value"> {
  readonly buffer: GPUBuffer;
  readonly dtype: Dtype;
}

/** Collects results in the order in which they are made, and finds the first that is not finite. */
export class NonFiniteSearch {
  readonly #device: Device;
  #readings: Reading[] = [];
  #bytes = 0;
  #encoder: GPUCommandEncoder;

  /** @param device Where the results are. */
  constructor(device: Device) {
    this.#device = device;
    this.#encoder = device.gpu.createCommandEncoder();
  }

  /** Takes commands up to the next {@linkcode NonFiniteSearch.check}. */
  get encoder(): GPUCommandEncoder {
    return this.#encoder;
  }

  /** Adds a result, which was copied to a mappable buffer. */
  add(reading: Reading): void {
    this.#readings.push(reading);
    this.#bytes += reading.buffer.size;
  }

  /**
   * Submits the commands and reads the results, once they are many or these are the last.
   *
   * @returns The first result that is not finite; null if there is none so far.
   */
  async check(last: boolean): Promise<NonFiniteResult | null> {
    if (!last && this.#bytes < READ_BYTES) return null;
    this.#device.gpu.queue.submit([this.#encoder.finish()]);
    this.#encoder = this.#device.gpu.createCommandEncoder();
    const [readings, device] = [this.#readings, this.#device];
    [this.#readings, this.#bytes] = [[], 0];
    const data = await Promise.all(readings.map(({ buffer, dtype }) => mapped(device, buffer, dtype)));
    for (const [k, { op, label, shape }] of readings.entries()) {
      const value = unpack(shape, data[k] ?? new Float32Array()).find((number) => !Number.isFinite(number));
      if (value !== undefined) return { op, label, shape, value };
    }
    return null;
  }
}
