import assert from "node:assert/strict";
import { inFolder } from "./stages/run_stages.ts";

const root = new URL("../", import.meta.url);

/** Runs the example of docs/library.md that calls a function; resolves to what it prints. */
async function runExample(calls: string, dir: string): Promise<string> {
  const page = await Deno.readTextFile(new URL("docs/library.md", root));
  const code = [...page.matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code!).find((code) => code.includes(calls))!;
  assert.match(code, /"@facewright\/facewright"/);
  assert.equal(code.match(/^import /gm)!.length, 1);
  await Deno.writeTextFile(
    `${dir}/example.ts`,
    code.replace("@facewright/facewright", new URL("mod.ts", root).href),
  );
  const config = new URL("deno.json", root).pathname;
  const args = [
    "run",
    "-q",
    "--check",
    "--no-lock",
    "--no-prompt",
    "-P=cli",
    `--config=${config}`,
    `${dir}/example.ts`,
  ];
  const output = await new Deno.Command("deno", { args }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert.equal(output.code, 0, text(output.stderr));
  return text(output.stdout);
}

Deno.test("the example of docs/library.md trains a network with nothing but mod.ts", () =>
  inFolder(async (dir) => {
    const out = await runExample("fw.Trainer(", dir);
    const [, error] = /^mean error: (\d\.\d\d) pixels\n$/.exec(out) ?? assert.fail(out);
    assert.ok(Number(error) < 0.3, `${error} pixels`);
  }));

Deno.test("the example of docs/library.md finds faces with nothing but mod.ts", () =>
  inFolder(async (dir) => {
    const lines = (await runExample("fw.findFaces(", dir)).trim().split("\n");
    assert.equal(lines.length, 3, lines.join("\n"));
    for (const line of lines) {
      assert.match(line, /^box -?\d+,-?\d+,\d+,\d+, turned by -?\d\.\d\d, 68 points, 68 doubts$/);
    }
  }));
