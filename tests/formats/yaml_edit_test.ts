import assert from "node:assert/strict";
import { parseDocument } from "yaml";
import { Random } from "../../engine/rng.ts";
import { fileNames, readText } from "../../formats/files.ts";
import { setYaml, type YamlPath, type YamlValue } from "../../formats/yaml_edit.ts";

const check = (text: string, path: YamlPath, value: YamlValue | undefined, expected: string) =>
  assert.equal(setYaml(text, path, value), expected);

const FILE = `# A style of ours
style: ink # the word in prompts
doc: Brush and ink.
render:
  # proportions
  shape: { vary: 0.1, exaggerate: 1.25 }
  colours: {
    hair: ["#0a0a0a"], # nearly black
    # the cloth is black
    cloth: ["#060606"],
  }
  line:
    outline: 0.014 # thick
    colour: "#060608"
`;

Deno.test("setYaml() replaces a value where it stands", () => {
  check(FILE, ["render", "shape", "vary"], 0.25, FILE.replace("0.1,", "0.25,"));
  check(FILE, ["render", "line", "outline"], 0.02, FILE.replace("0.014", "0.02"));
  check(FILE, ["render", "line", "colour"], "#ff0000", FILE.replace('"#060608"', '"#ff0000"'));
  check(FILE, ["render", "colours", "hair", 0], "#111111", FILE.replace("#0a0a0a", "#111111"));
  check(FILE, ["style"], "stained glass", FILE.replace("style: ink #", "style: stained glass #"));
  check(FILE, ["doc"], "x: {y}", FILE.replace("Brush and ink.", '"x: {y}"'));
  check("a:\nb: 1\n", ["a"], true, "a: true\nb: 1\n");
  check("a: # none yet\nb: 1\n", ["a", "c"], 2, "a: { c: 2 } # none yet\nb: 1\n");
  check("a: |\n  text\n  more\nb: 1\n", ["a"], "no", 'a: "no"\nb: 1\n');
});

Deno.test("setYaml() adds keys and items behind the last one, and makes what is missing on the way", () => {
  check(FILE, ["render", "shape", "hair"], 2, FILE.replace("1.25 }", "1.25, hair: 2 }"));
  check(
    FILE,
    ["render", "colours", "lips"],
    ["#aa0000", "#bb0000"],
    FILE.replace('["#060606"],\n', '["#060606"],\n    lips: ["#aa0000", "#bb0000"],\n'),
  );
  check(FILE, ["render", "colours", "hair", 1], "#222222", FILE.replace('"#0a0a0a"]', '"#0a0a0a", "#222222"]'));
  check(FILE, ["render", "line", "folds"], 1, FILE.replace('"#060608"\n', '"#060608"\n    folds: 1\n'));
  check(FILE, ["render", "lens", "fade"], 0.5, `${FILE}  lens: { fade: 0.5 }\n`);
  check(FILE, ["split"], "test", `${FILE}split: test\n`);
  check("a: {}\n", ["a", "b", "c"], 1, "a: { b: { c: 1 } }\n");
  check("a: []", ["a", 0], "x", "a: [x]");
  check("a: {\n  b: 1 # one\n}\n", ["a", "c"], 2, "a: {\n  b: 1, # one\n  c: 2\n}\n");
  check("a: { b: 1, }\n", ["a", "c"], 2, "a: { b: 1, c: 2, }\n");
  check("a: 1", ["b"], 2, "a: 1\nb: 2");
  check("a: 1\r\nb:\r\n  c: 1\r\n", ["b", "d"], 2, "a: 1\r\nb:\r\n  c: 1\r\n  d: 2\r\n");
  check("- a: 1\n  b: 2\n- a: 3\n", [0, "c"], 4, "- a: 1\n  b: 2\n  c: 4\n- a: 3\n");
  check(
    "a:\n  - { b: 1 } # one\n\nc: 2\n",
    ["a", 1],
    { b: [2, 3] },
    "a:\n  - { b: 1 } # one\n  - { b: [2, 3] }\n\nc: 2\n",
  );
  check("# only this\n", ["a"], 1, "# only this\n\na: 1\n");
});

Deno.test("setYaml() takes values out with their own comments, and maps that become empty", () => {
  check(FILE, ["render", "shape", "vary"], undefined, FILE.replace(" vary: 0.1,", ""));
  check(FILE, ["render", "shape", "exaggerate"], undefined, FILE.replace(", exaggerate: 1.25", ""));
  check(
    FILE,
    ["render", "colours", "hair"],
    undefined,
    FILE.replace('\n    hair: ["#0a0a0a"], # nearly black', ""),
  );
  check(
    FILE,
    ["render", "colours", "cloth"],
    undefined,
    FILE.replace('\n    # the cloth is black\n    cloth: ["#060606"],', ""),
  );
  check(FILE, ["render", "line", "outline"], undefined, FILE.replace("    outline: 0.014 # thick\n", ""));
  check("a: { b: { c: 1 } }\nd: 2\n", ["a", "b", "c"], undefined, "d: 2\n");
  check("a: [1, 2, 3]\n", ["a", 1], undefined, "a: [1, 3]\n");
  check("a: [1, 2]\n", ["a", 1], undefined, "a: [1]\n");
  check("a: [1]\n", ["a", 0], undefined, "a: []\n");
  check(FILE, ["render", "nothing"], undefined, FILE);
});

Deno.test("setYaml() keeps comments where the text leaves no place for the change", () => {
  const rewritten = setYaml("# begin\nlist:\n  -\n    a # first\n  - b\nlast: 1 # end\n", ["list", 2], "c");
  assert.deepEqual(parseDocument(rewritten).toJS(), { list: ["a", "b", "c"], last: 1 });
  for (const comment of ["# begin", "# first", "# end"]) assert.ok(rewritten.includes(comment), rewritten);
});

Deno.test("setYaml() refuses what is no YAML, aliases, and places that are not there", () => {
  assert.throws(() => setYaml("a: [", ["a"], 1), /Cannot change a value as the text is no YAML: /);
  assert.throws(() => setYaml("a: &x 1\nb: *x\n", ["a"], 2), /has YAML aliases/);
  assert.throws(() => setYaml("a: [1]\n", ["a", 3], 2), /Cannot set a\.3 as a has no such place/);
  assert.throws(() => setYaml("a: [1]\n", ["a", "b"], 2), /Cannot set a\.b as a has no such place/);
});

/** Paths of all values of a file. */
function pathsOf(value: unknown, path: YamlPath = []): YamlPath[] {
  if (typeof value !== "object" || value === null) return [path];
  const inner = Array.isArray(value) ? value.map((item, k) => [k, item] as const) : Object.entries(value);
  return [...(path.length ? [path] : []), ...inner.flatMap(([key, item]) => pathsOf(item, [...path, key]))];
}

Deno.test("setYaml() changes one line of the shipped styles and edits, and nothing else in it", async () => {
  const random = new Random(1, "yaml_edit");
  for (const folder of ["pipelines/styles", "pipelines/edits"]) {
    for (const name of fileNames(folder).filter((name) => name.endsWith(".yaml"))) {
      const text = await readText(`${folder}/${name}`), content = parseDocument(text).toJS();
      for (const path of pathsOf(content)) {
        if (random.uniform() > 0.25) continue;
        const old = path.reduce((at, key) => at[key], content);
        if (typeof old === "number") {
          const next = setYaml(text, path, old + 0.125), lines = text.split("\n");
          const changed = next.split("\n").filter((line, k) => line !== lines[k]);
          assert.equal(changed.length, 1, `${name} ${path}`);
        }
        const gone = setYaml(text, path, undefined), wanted = structuredClone(content);
        const parent = path.slice(0, -1).reduce((at, key) => at[key], wanted);
        if (!Array.isArray(parent) && Object.keys(parent).length > 1) {
          delete parent[path.at(-1)!];
          assert.deepEqual(parseDocument(gone).toJS(), wanted, `${name} ${path}`);
          // The lines that are left are those of the file, but for the one that it shared.
          const lines = new Set(text.split("\n"));
          assert.ok(gone.split("\n").filter((line) => !lines.has(line)).length <= 1, `${name} ${path}\n${gone}`);
        }
      }
    }
  }
});
