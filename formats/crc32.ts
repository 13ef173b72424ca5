/**
 * The checksum of zip and PNG files.
 *
 * @module
 */

/** Remainders of each byte, of the polynomial 0xedb88320. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/**
 * CRC-32 of some bytes.
 *
 * @param bytes The bytes.
 * @param before Checksum of the bytes before these.
 * @returns An unsigned number of 32 bits.
 *
 * Source: ISO 3309; RFC 1952, section 8.
 */
export function crc32(bytes: Uint8Array, before = 0): number {
  let crc = ~before;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}
