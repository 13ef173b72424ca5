import assert from "node:assert/strict";
import { crc32 as native } from "node:zlib";
import { crc32 } from "../../formats/crc32.ts";

Deno.test("crc32() is zlib's, at once and in parts", () => {
  assert.equal(crc32(new TextEncoder().encode("123456789")), 0xcbf43926);
  const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i * 37);
  assert.equal(crc32(bytes), native(bytes));
  assert.equal(crc32(bytes.subarray(300), crc32(bytes.subarray(0, 300))), native(bytes));
});
