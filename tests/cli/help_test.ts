import assert from "node:assert/strict";
import { COMMANDS } from "../../cli/main.ts";
import { runCommand } from "./run_command.ts";

// The texts are written anew by `deno test -P=cli --allow-write=docs tests/cli/help_test.ts -- --update`.
const update = Deno.args.includes("--update");
const page = new URL("../../docs/cli.md", import.meta.url);

/** What precedes the text of `--help` in docs/cli.md, for the list of commands and for one of them. */
const heading = (name: string) => name === "--help" ? "keeps them equal.\n\n" : `## ${name}\n\n`;

Deno.test("help: every command has arguments, options with types and defaults, an example, and its place in docs/cli.md", async (t) => {
  const before = await Deno.readTextFile(page);
  let written = before;
  for (const name of ["--help", ...Object.keys(COMMANDS)]) {
    await t.step(name, async () => {
      const { code, lines, notes } = await runCommand(name === "--help" ? [name] : [name, "--help"]);
      assert.deepEqual([code, notes], [0, ""]);
      const text = lines.join("\n");
      const block = new RegExp(`${heading(name)}\`\`\`\n([^]*?)\n\`\`\``);
      if (update) written = written.replace(block, () => `${heading(name)}\`\`\`\n${text}\n\`\`\``);
      assert.equal(text, block.exec(written)?.[1], "hint: see the first lines of this test");
      if (name !== "--help") assert.match(text, new RegExp(`Example:\n  deno task ${name}`));
    });
  }
  if (written !== before) await Deno.writeTextFile(page, written);
  const sections = [...written.matchAll(/^## (.*)$/gm)].map(([, name]) => name);
  assert.deepEqual(sections, Object.keys(COMMANDS));
});

Deno.test("help: an example of a command is read without an error", async () => {
  const { lines } = await runCommand(["plan", "--help"]);
  const example = /Example:\n {2}deno task (.*)/.exec(lines.join("\n"))![1]!;
  const { code, notes } = await runCommand(example.split(" "));
  assert.deepEqual([code, notes], [0, ""]);
});

Deno.test("wrong arguments: exit code 2, the usage, and a hint", async (t) => {
  const wrong: [string[], RegExp][] = [
    [["detec"], /^Cannot run "detec" as there is no such command, hint: did you mean "detect"\?$/],
    [["xyz"], /hint: commands: run, plan, validate, .*golden$/],
    [
      ["detect", "a.png", "--detectr", "dir"],
      /^Cannot use option --detectr as .*, hint: did you mean "--detector"\?\n/,
    ],
    [["detect", "a.png", "--detectr=dir"], /^Cannot use option --detectr as/],
    [["detect", "a.png"], /required option '--detector <DIR>' not specified\nusage: deno task detect \[options\]/],
    [["detect", "--detector", "dir"], /missing required argument 'IMAGE\|DIR'/],
    [["detect", "a.png", "--detector"], /option '--detector <DIR>' argument missing/],
    [["validate"], /missing required argument/],
    [["validate", "nowhere"], /^Cannot validate "nowhere" as there is no such file or folder\nusage: /],
    [["plan", "a.yaml", "b.yaml"], /too many arguments. Expected 1 argument but got 2: a.yaml, b.yaml/],
    [["run", "a.yaml", "--only", "x", "--from", "y"], /'--only <STAGE>' cannot be used with option '--from <STAGE>'/],
    [["watch", "runs/full", "--port", "http"], /argument 'http' is invalid. It must be a whole number from 0 to 65535/],
    [["export", "--detector", "d", "--out", "x", "--format", "onx"], /Allowed choices are onnx, star/],
    [["score", "--data", "d", "--detector", "d", "--thresholds", "8,x"], /'8,x' is invalid. Numbers above 0/],
    [["stages", "detector/trian"], /hint: did you mean "detector\/train"\?/],
    [["bench", "--soak", "--peers"], /cannot be used with option '--peers'/],
  ];
  for (const [args, message] of wrong) {
    await t.step(args.join(" "), async () => {
      const { code, lines, notes } = await runCommand(args);
      assert.match(notes, message);
      assert.deepEqual([code, lines], [2, []]);
    });
  }
  const { code, lines } = await runCommand([]);
  assert.equal(code, 2);
  assert.match(lines.join("\n"), /Commands:\n {2}run /);
});

Deno.test("options that may be given several times are all taken, and need no order", async () => {
  const set = (text: string) => ["--set", text];
  const { code, notes } = await runCommand(["plan", ...set("none=1"), "pipelines/full.yaml", ...set("nil=2")]);
  assert.equal(code, 2);
  assert.match(notes, /Cannot set "none"/);
  assert.match(notes, /Cannot set "nil"/);
});
