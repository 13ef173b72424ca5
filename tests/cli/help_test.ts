import assert from "node:assert/strict";
import { ERROR_CODES } from "../../formats/input_error.ts";
import { COMMANDS } from "../../cli/main.ts";
import { runCommand } from "./run_command.ts";

// The texts are written anew by `deno task docs`.
const update = Deno.args.includes("--update");
const page = new URL("../../docs/cli.md", import.meta.url);

Deno.test("help: every command has arguments, options with types and defaults, and an example", async (t) => {
  for (const name of Object.keys(COMMANDS)) {
    await t.step(name, async () => {
      const { code, lines, notes } = await runCommand([name, "--help"]);
      assert.deepEqual([code, notes], [0, ""]);
      assert.match(lines.join("\n"), new RegExp(`Example:\n  deno task ${name}`));
    });
  }
});

Deno.test("docs/cli.md has the text of --help of every command", async () => {
  const text = await Deno.readTextFile(page);
  const block = async (args: string[]) => `\`\`\`\n${(await runCommand(args)).lines.join("\n")}\n\`\`\`\n`;
  let written = text.slice(0, text.indexOf("```")) + await block(["--help"]);
  for (const name of Object.keys(COMMANDS)) written += `\n## ${name}\n\n${await block([name, "--help"])}`;
  written +=
    "\n## Errors\n\nExit codes: 0 done, 1 failed, 2 wrong arguments or a wrong file (nothing was written), 130 interrupted. With `--json`\n" +
    'the last line is `{ "error": { "code", "message", "hint", "where" } }`; `stage` names the stage that failed, and\n' +
    "`problems` has the mistakes of a pipeline. Codes do not change:\n\n";
  const rows = Object.entries(ERROR_CODES).map(([code, doc]) => [`\`${code}\``, doc] as const);
  const [codes, docs] = [0, 1].map((k) => Math.max(7, ...rows.map((row) => row[k]!.length)));
  const row = (code: string, doc: string, fill = " ") =>
    `| ${code.padEnd(codes!, fill)} | ${doc.padEnd(docs!, fill)} |\n`;
  written += row("code", "meaning") + row("", "", "-") + rows.map(([code, doc]) => row(code, doc)).join("");
  if (update) await Deno.writeTextFile(page, written);
  else assert.equal(text, written, "hint: deno task docs");
});

Deno.test("help: an example of a command is read without an error", async () => {
  const { lines } = await runCommand(["plan", "--help"]);
  const example = /Example:\n {2}deno task (.*)/.exec(lines.join("\n"))![1]!;
  const { code, notes } = await runCommand(example.split(" "));
  assert.deepEqual([code, notes], [0, ""]);
});

Deno.test("stages describes the options of a type, also those that lie in others", async () => {
  const { code, lines } = await runCommand(["stages", "detector/train"]);
  assert.equal(code, 0);
  assert.ok(lines.includes("  steps: Optimizer steps (a whole number from 1; required)"));
  const augment = lines.findIndex((line) => line.startsWith("  augment: "));
  assert.match(lines[augment]!, /\(a map or null\)$/);
  assert.match(lines[augment + 1]!, /^ {4}flip: .* \(a number from 0 to 1; default 0\.5\)$/);
});

Deno.test("wrong arguments: exit code 2, the usage, and a hint", async (t) => {
  const wrong: [string[], RegExp][] = [
    [["detec"], /^Cannot run "detec" as there is no such command, hint: did you mean "detect"\?$/],
    [["xyz"], /hint: commands: run, plan, validate, /],
    [
      ["detect", "a.png", "--detectr", "dir"],
      /^Cannot use option --detectr as .*, hint: did you mean "--detector"\?\n/,
    ],
    [["detect", "a.png", "--detectr=dir"], /^Cannot use option --detectr as/],
    [
      ["export", "--out", "x"],
      /required option '--format <FORMAT>' not specified\nusage: deno task export \[options\]/,
    ],
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
