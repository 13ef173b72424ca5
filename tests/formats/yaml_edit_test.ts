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
  check("a: [{ b: 1 }, 2]\n", ["a", 0, "b"], undefined, "a: [{ }, 2]\n");
  check("a:\n  - b: 1\n  - 2\n", ["a", 0, "b"], undefined, "a:\n  - {}\n  - 2\n");
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

/** YAML of random values in random writing, with a comment `#1`, `#2` and so on wherever one may stand. */
class Writer {
  #comments = 0;

  constructor(private readonly random: Random) {}

  #chance(share: number): boolean {
    return this.random.uniform() < share;
  }

  #comment(): string {
    return this.#chance(0.4) ? ` #${++this.#comments}` : "";
  }

  #lineComment(indent: string): string {
    return this.#chance(0.3) ? `${indent}#${++this.#comments}\n` : "";
  }

  #scalar(): string {
    const scalars = ["1", "-0.25", "true", "word", '"#aabbcc"', "'it''s: so'", "two words"];
    return scalars[Math.floor(this.random.uniform() * scalars.length)]!;
  }

  /** A value after a key or dash; begins with a blank or the end of a line. */
  value(depth: number, indent: string): string {
    if (depth === 0 || this.#chance(0.3)) return ` ${this.#scalar()}${this.#comment()}\n`;
    if (this.#chance(0.5)) return ` ${this.#flow(depth, indent)}${this.#comment()}\n`;
    return `${this.#comment()}\n${this.block(depth - 1, `${indent}  `)}`;
  }

  block(depth: number, indent: string): string {
    const count = 1 + Math.floor(this.random.uniform() * 3), isMap = this.#chance(0.7);
    return Array.from({ length: count }, (_, k) =>
      this.#lineComment(indent) +
      (isMap ? `${indent}k${k}:${this.value(depth, indent)}` : `${indent}- ${this.#inline(depth, indent)}\n`)).join("");
  }

  #inline(depth: number, indent: string): string {
    return (depth && this.#chance(0.5) ? this.#flow(depth, indent) : this.#scalar()) + this.#comment();
  }

  #flow(depth: number, indent: string): string {
    const count = Math.floor(this.random.uniform() * 4), isMap = this.#chance(0.6), breaks = this.#chance(0.4);
    const inner = `${indent}  `, comma = this.#chance(0.5);
    const items = Array.from({ length: count }, (_, k) => {
      const text = depth > 1 && this.#chance(0.3) ? this.#flow(depth - 1, inner) : this.#scalar();
      const last = k === count - 1;
      const entry = `${isMap ? `k${k}: ` : ""}${text}${last && !comma ? "" : ","}`;
      return breaks ? `${this.#lineComment(inner)}${inner}${entry}${this.#comment()}\n` : entry;
    });
    const [open, close] = isMap ? ["{", "}"] : ["[", "]"];
    if (breaks && count) return `${open}\n${items.join("")}${indent}${close}`;
    return isMap && count ? `{ ${items.join(" ")} }` : open + items.join(" ") + close;
  }
}

Deno.test("setYaml() sets what is asked for in any writing, and keeps all comments", () => {
  const random = new Random(2, "yaml_edit.any");
  let spliced = 0, sets = 0;
  for (let k = 0; k < 400; k++) {
    const text = `root:${new Writer(random).value(3, "")}end: 1\n`, content = parseDocument(text).toJS();
    const comments = (text: string) => text.match(/#\d+/g)?.sort() ?? [];
    const paths = pathsOf(content).filter(([first]) => first === "root"),
      path = paths[Math.floor(random.uniform() * paths.length)]!;
    const parent = path.reduce((at, key) => at[key], content);
    const wanted = structuredClone(content);
    const assign = (at: YamlPath, value: unknown) =>
      at.slice(0, -1).reduce((inside, key) => inside[key], wanted)[at.at(-1)!] = value;
    const isCollection = typeof parent === "object";
    const at = !isCollection ? path : [...path, Array.isArray(parent) ? parent.length : "new"];
    const value = random.uniform() < 0.5 ? "a: [#b" : { x: [1, true], y: -0.5 };
    assign(at, value);
    const next = setYaml(text, at, value);
    assert.deepEqual(parseDocument(next).toJS(), wanted, `${at}\n${text}\n${next}`);
    assert.deepEqual(comments(next), comments(text), `${at}\n${text}\n${next}`);
    sets++;
    const lines = new Set(next.split("\n"));
    if (text.split("\n").filter((line) => !lines.has(line)).length <= 1) spliced++;

    const gone = setYaml(text, path, undefined), left = parseDocument(gone).toJS();
    const inside = path.slice(0, -1).reduce((at, key) => at?.[key], left);
    if (Array.isArray(inside)) {
      assert.ok(inside.length < path.slice(0, -1).reduce((at, key) => at[key], content).length);
    } else assert.ok(inside === undefined || !Object.hasOwn(inside, path.at(-1)!), `${path}\n${text}\n${gone}`);
    assert.equal(left.end, 1);
  }
  assert.ok(spliced > 0.97 * sets, `${spliced} of ${sets} texts are changed in one line alone`);
});
