/**
 * A JPEG with an orientation in its EXIF data, as cameras write it: tag 274 of the first directory, in an APP1 segment
 * behind the start of the image.
 */
export function withOrientation(jpeg: Uint8Array, orientation: number, little = true): Uint8Array<ArrayBuffer> {
  const ENTRIES = 2;
  const tiff = new DataView(new ArrayBuffer(8 + 2 + 12 * ENTRIES + 4));
  tiff.setUint16(0, little ? 0x4949 : 0x4d4d);
  tiff.setUint16(2, 42, little);
  tiff.setUint32(4, 8, little);
  tiff.setUint16(8, ENTRIES, little);
  for (const [k, [tag, type, value]] of [[256, 4, 77], [274, 3, orientation]].entries()) {
    const at = 10 + 12 * k;
    tiff.setUint16(at, tag!, little);
    tiff.setUint16(at + 2, type!, little);
    tiff.setUint32(at + 4, 1, little);
    if (type === 3) tiff.setUint16(at + 8, value!, little);
    else tiff.setUint32(at + 8, value!, little);
  }
  const content = [...new TextEncoder().encode("Exif\0\0"), ...new Uint8Array(tiff.buffer)];
  const length = content.length + 2;
  return Uint8Array.from([
    ...jpeg.subarray(0, 2),
    0xff,
    0xe1,
    length >> 8,
    length & 255,
    ...content,
    ...jpeg.subarray(2),
  ]);
}
