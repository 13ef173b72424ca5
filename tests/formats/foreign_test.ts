import assert from "node:assert/strict";
import { parseJson } from "../../formats/files.ts";
import { foreignKind } from "../../formats/foreign.ts";
import fc from "../fast_check.ts";

const bytes = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

Deno.test("foreignKind() recognises web pages, pointers, answers, archives and unfinished files, and no others", () => {
  const cases: [RegExp, Uint8Array][] = [
    [/^a web page$/, bytes("<!DOCTYPE html><html>")],
    [/^a web page$/, bytes("\xef\xbb\xbf \n<html lang=en>")],
    [/^a web page$/, bytes('<?xml version="1.0"?>\n<html xmlns="">')],
    [/^a web page$/, bytes("<!-- saved from url --><HEAD>")],
    [/^a git-lfs pointer/, bytes("version https://git-lfs.github.com/spec/v1\noid sha256:0")],
    [/in XML$/, bytes("<?xml version='1.0'?><Error><Code>AccessDenied</Code>")],
    [/in JSON$/, bytes('{"error":"Not found"}')],
    [/^packed by gzip$/, bytes("\x1f\x8b\x08")],
    [/^an archive of 7-Zip$/, bytes("7z\xbc\xaf\x27\x1c")],
    [/GGUF/, bytes("GGUF\x03\0\0\0")],
    [/begins with zeros$/, new Uint8Array(512)],
    [/^empty/, new Uint8Array()],
  ];
  for (const [what, start] of cases) assert.match(foreignKind(start)?.what ?? "nothing", what);
  for (
    const start of [
      "PK\x03\x04",
      "\x89PNG\r\n\x1a\n",
      "\xff\xd8\xff\xe0",
      '{"weight_map": {}}',
      "<annotation>",
      "1 2\n",
    ]
  ) {
    assert.equal(foreignKind(bytes(start)), undefined, start);
  }
});

Deno.test("foreignKind() ends on any bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (start) => void foreignKind(start)),
    { numRuns: 20_000 },
  );
});

Deno.test("a web page in place of a JSON file is called so", () => {
  assert.throws(
    () => parseJson("<!doctype html>", "config.json"),
    /^InputError: Cannot read config\.json as JSON: it is a web page, hint: download the file itself/,
  );
});
