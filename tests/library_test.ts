import assert from "node:assert/strict";
import { saveFinder } from "../models/finder/finder.ts";
import { finderConfig, finderSpecs } from "../models/finder/network.ts";
import { initialise } from "../models/io/params.ts";
import { inFolder } from "./stages/run_stages.ts";

const root = new URL("../", import.meta.url);

/** Runs the example of docs/library.md that calls a function; resolves to what it prints. */
async function runExample(
  calls: string,
  dir: string,
  change: (code: string) => string = (code) => code,
): Promise<string> {
  const page = await Deno.readTextFile(new URL("docs/library.md", root));
  const code = [...page.matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code!).find((code) => code.includes(calls))!;
  assert.match(code, /"@facewright\/facewright"/);
  assert.equal(code.match(/^import /gm)!.length, 1);
  await Deno.writeTextFile(
    `${dir}/example.ts`,
    change(code).replace("@facewright/facewright", new URL("mod.ts", root).href),
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
    // A finder that is not trained: it sees faces everywhere.
    const config = finderConfig.parse({ stem: 4, c4: 4, c8: 8, c16: 8, c32: 8, neck: 8 });
    await saveFinder(`${dir}/finder`, config, initialise(finderSpecs(config), 3));
    const untrained = (code: string) =>
      code.replace("models/faces/finder", `${dir}/finder`).replace("max_faces: 3", "max_faces: 3, min_score: 0.001");
    const lines = (await runExample("fw.findFaces(", dir, untrained)).trim().split("\n");
    assert.ok(lines.length >= 1 && lines.length <= 3, lines.join("\n"));
    for (const line of lines) {
      assert.match(line, /^box -?\d+,-?\d+,\d+,\d+, turned by -?\d\.\d\d, 68 points, 68 doubts$/);
    }
  }));
