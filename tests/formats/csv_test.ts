import assert from "node:assert/strict";
import { parseCsv } from "../../formats/csv.ts";

const rows = (text: string) => parseCsv(text).map(({ line, fields }) => [line, ...fields]);

Deno.test("parseCsv() reads quotes, commas and line breaks in fields, and any line ends", () => {
  assert.deepEqual(rows('\ufeffname,style\r\n"a, b.png",ink\r\n\r\n   \n"say ""hi"".png" , oil\nx"y,1'), [
    [1, "name", "style"],
    [2, "a, b.png", "ink"],
    [5, 'say "hi".png', "oil"],
    [6, 'x"y', "1"],
  ]);
  assert.deepEqual(rows('a,b\r\n"c\r\nd",e\r\nf,g\r\n'), [[1, "a", "b"], [3, "c\nd", "e"], [4, "f", "g"]]);
  assert.deepEqual(rows("a\rb,,\r"), [[1, "a"], [2, "b", "", ""]]);
  assert.deepEqual(rows(""), []);
});

Deno.test("parseCsv() names the line of a wrong quote", () => {
  assert.throws(() => parseCsv('a,b\n"c,d\n', "list.csv"), {
    name: "InputError",
    message: "Cannot read list.csv:2: a quote is not closed",
  });
  assert.throws(() => parseCsv('a,b\nc,"d"e\n', "list.csv"), {
    name: "InputError",
    message: "Cannot read list.csv:2: something other than a comma follows a closing quote",
  });
  assert.throws(() => parseCsv('a,"b'), { name: "InputError", message: "line 1: a quote is not closed" });
});
