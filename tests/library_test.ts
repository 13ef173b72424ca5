import assert from "node:assert/strict";
import { inFolder } from "./stages/run_stages.ts";

const root = new URL("../", import.meta.url);

Deno.test("the example of docs/library.md trains a network with nothing but mod.ts", () =>
  inFolder(async (dir) => {
    const page = await Deno.readTextFile(new URL("docs/library.md", root));
    const [, code] = /```ts\n([^]*?)```/.exec(page)!;
    assert.match(code!, /"@facewright\/facewright"/);
    assert.equal(code!.match(/^import /gm)!.length, 1);
    await Deno.writeTextFile(
      `${dir}/example.ts`,
      code!.replace("@facewright/facewright", new URL("mod.ts", root).href),
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
    const out = text(output.stdout);
    const [, error] = /^mean error: (\d\.\d\d) pixels\n$/.exec(out) ?? assert.fail(out);
    assert.ok(Number(error) < 0.3, `${error} pixels`);
  }));
