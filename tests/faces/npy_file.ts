/**
 * Writes NumPy files.
 *
 * @module
 */

/** A file as numpy.save writes it. */
export function npy(descr: string, shape: string, data: Uint8Array, order = "False"): Uint8Array<ArrayBuffer> {
  const header = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`.padEnd(117) + "\n";
  return new Uint8Array([
    0x93,
    ...new TextEncoder().encode("NUMPY"),
    1,
    0,
    118,
    0,
    ...new TextEncoder().encode(header),
    ...data,
  ]);
}
