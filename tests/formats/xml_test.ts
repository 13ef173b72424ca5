import assert from "node:assert/strict";
import { escapeXml, parseXml } from "../../formats/xml.ts";

Deno.test("parseXml() gives elements, attributes, text and lines", () => {
  const root = parseXml(`\uFEFF<?xml version="1.0"?>
<!-- a comment -->
<a b="1 &amp; 2" c='&#x41;'>
  <d> x <![CDATA[<y>]]> </d><e/>
</a>`);
  assert.equal(root.name, "a");
  assert.deepEqual([...root.attributes], [["b", "1 & 2"], ["c", "A"]]);
  assert.deepEqual(root.children.map(({ name, text, line }) => [name, text, line]), [["d", "x <y>", 4], ["e", "", 4]]);
  assert.deepEqual([...parseXml('<a __proto__="x"/>').attributes], [["__proto__", "x"]]);
});

Deno.test("parseXml() names the line of what is not well-formed", () => {
  for (const text of ["", "x", "<a>", "<a>\n</b>", "<a b=1/>", "<a/><b/>", "<a>&x;</a>", "<a>\0</a>"]) {
    assert.throws(() => parseXml(text), { name: "InputError", message: /^line \d+: / }, JSON.stringify(text));
  }
  assert.throws(() => parseXml("<a>\n<b>\n</a>"), /^InputError: line 3: unexpected close tag/);
});

Deno.test("escapeXml() writes what parseXml() reads", () => {
  const text = `a & b < c > "d" 'e'\t\n\r é 😀`;
  assert.equal(parseXml(`<a b="${escapeXml(text)}"/>`).attributes.get("b"), text);
  assert.equal(parseXml(`<a>${escapeXml("\0\x1b[31m")}</a>`).text, "\ufffd\ufffd[31m");
});
