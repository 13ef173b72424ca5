import assert from "node:assert/strict";
import { InputError } from "../../formats/input_error.ts";
import { decodeText } from "../../formats/text.ts";
import { encodeText } from "../cases/_lib.ts";

const TEXT = 'version: 1\nn_points: 2\n{\n1 2 "é €"\n}\n';

/** The error of bytes that are no text. */
function refused(bytes: Uint8Array): InputError {
  try {
    decodeText(bytes, "a.txt");
  } catch (error) {
    assert(error instanceof InputError);
    assert.equal(error.code, "encoding");
    return error;
  }
  assert.fail("it was read");
}

Deno.test("decodeText reads UTF-8 and UTF-16, without the byte order mark", () => {
  for (const encoding of ["utf-8", "utf-8-bom", "utf-16le", "utf-16be"] as const) {
    assert.equal(decodeText(encodeText(TEXT, encoding), "a.txt"), TEXT, encoding);
  }
  for (const encoding of ["utf-16le", "utf-16be"] as const) {
    assert.equal(decodeText(encodeText("plain: 1\n", encoding).subarray(2), "a.txt"), "plain: 1\n", encoding);
  }
  assert.equal(decodeText(new Uint8Array(), "a.txt"), "");
});

Deno.test("decodeText names the first letter that is not UTF-8, and what is binary", () => {
  assert.match(
    refused(encodeText("name,style\ncafé,café\n", "latin1")).message,
    /^Cannot read a\.txt:2:4 as UTF-8: byte e9 begins no letter, hint: .*iconv/,
  );
  assert.match(refused(Uint8Array.of(0x61, 0xe2, 0x82)).message, /a\.txt:1:2 as UTF-8: byte e2/);
  assert.match(refused(Uint8Array.of(0x80)).message, /a\.txt:1:1 as UTF-8: byte 80/);
  assert.match(
    refused(Uint8Array.of(68, 0, 0, 0, 0x12, 0x9f, 0x40, 0x42)).message,
    /as text: it is binary, byte 1 is 0/,
  );
  assert.match(refused(encodeText(TEXT, "utf-16le").subarray(0, 21)).message, /as UTF-16: it is damaged or cut short/);
});
