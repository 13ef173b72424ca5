import assert from "node:assert/strict";
import { MOST_LEVELS, tooDeepAt } from "../../formats/yaml_depth.ts";
import { setYaml } from "../../formats/yaml_edit.ts";
import { type Diagnostic, parseYaml, toJS } from "../../formats/yaml_tree.ts";

/** Lists and maps in each other, in all writings; each is one level. */
const WRITINGS: Readonly<Record<string, (levels: number) => string>> = {
  "flow lists": (levels) => "[".repeat(levels) + "]".repeat(levels),
  "flow maps": (levels) => "{ a: ".repeat(levels) + "1" + " }".repeat(levels),
  "block lists": (levels) => "- ".repeat(levels) + "1\n",
  "block maps": (levels) => Array.from({ length: levels }, (_, k) => `${" ".repeat(k)}a:`).join("\n") + " 1\n",
  "keys": (levels) => "? ".repeat(levels) + "1\n",
};

Deno.test("tooDeepAt() finds the first list or map past the limit, in any writing", () => {
  for (const [name, nested] of Object.entries(WRITINGS)) {
    assert.equal(tooDeepAt(nested(MOST_LEVELS)), undefined, name);
    const text = nested(MOST_LEVELS + 1), at = tooDeepAt(text);
    assert.ok(at !== undefined && at <= text.length, `${name}: ${at}`);
    assert.ok(tooDeepAt(nested(2000))! <= at + 1, `${name}: the rest is not read`);
  }
  assert.equal(tooDeepAt("a: [1, {b: 2}]\n".repeat(2) + "# [[[[\nc: '" + "[".repeat(200) + "'\n"), undefined);
});

Deno.test("parseYaml() and setYaml() say that a text is nested too deeply, and take one that is just not", () => {
  for (const [name, nested] of Object.entries(WRITINGS)) {
    const problems: Diagnostic[] = [];
    assert.equal(parseYaml({ name: "deep.yaml", text: nested(2000) }, problems), null, name);
    assert.deepEqual(problems.map(({ message }) => message), [
      "Cannot read YAML as more than 64 lists and maps are nested",
    ]);
    assert.throws(() => setYaml(nested(2000), ["a"], 1), {
      name: "InputError",
      message: "Cannot change a value as the text has more than 64 nested lists and maps",
    });
  }
  const text = `a: ${"[".repeat(MOST_LEVELS - 1)}1${"]".repeat(MOST_LEVELS - 1)}\nb: 1\n`;
  assert.deepEqual(Object.keys(toJS(parseYaml({ name: "a.yaml", text }, [])!) as object), ["a", "b"]);
  assert.equal(setYaml(text, ["b"], 2), text.replace("b: 1", "b: 2"));
});
