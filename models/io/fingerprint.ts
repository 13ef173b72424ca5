/**
 * Fingerprints of networks.
 *
 * @module
 */

import type { HostTensors } from "./params.ts";

/**
 * Fingerprint of a network's parameters, eight hexadecimal digits: the same for every copy of their values, whatever the
 * element type of its file, and almost certainly another one for other values. It is no proof against forgery.
 *
 * @param tensors In any order.
 */
export function fingerprint(tensors: HostTensors): string {
  let hash = 0;
  for (const [, { data }] of [...tensors].sort(([a], [b]) => a < b ? -1 : 1)) {
    for (const word of new Uint32Array(data.buffer, data.byteOffset, data.length)) {
      // The high bits of a value come down to the low ones: those of f16 are zero.
      hash = Math.imul(hash ^ word ^ (word >>> 16), 0x9e3779b1);
      hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
    }
  }
  return (hash >>> 0).toString(16).padStart(8, "0");
}
